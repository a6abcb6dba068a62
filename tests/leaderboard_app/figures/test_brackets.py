"""Both ends of a method's robustness are means over seeds, once all of them have certificates."""

import pandas as pd
import pytest

from benchmark.ranking.brackets import at_selected
from leaderboard_app.figures.brackets import over_epsilon
from leaderboard_app.tables.origin import of_point
from leaderboard_app.words.style import styles
from registry.load import Registry

TRIALS = [trial for _, trial in Registry().select(["quickstart"])]
STANDINGS = pd.DataFrame(
    [
        {"architecture": "lenet_300_100", "regularizer": name, "lambda": strength,
         "lambdas": (strength,) * 3}
        for name, strength in (("none", 0.0), ("jacobian", 0.1), ("curvature", 0.1))
    ]
)  # fmt: skip


def test_both_ends_are_means_over_the_seeds_of_the_selected_strength():
    rows = [
        {"key": trial.key, "epsilon": epsilon, "images": 200,
         "certified": trial.seed / 10, "worst": 0.5 + trial.seed / 10}
        for trial in TRIALS
        for epsilon in (0.05, 0.1)
        if trial.entry.regularizer == "none"
        or (trial.entry.strength == 0.1 and trial.entry.id.split("/")[2] != "curvature")
        or (trial.entry.strength == 0.1 and trial.seed < 2)
    ]  # fmt: skip
    table = at_selected(TRIALS, pd.DataFrame(rows), STANDINGS)
    assert table[["method", "epsilon"]].values.tolist() == [
        ["none", 0.05], ["none", 0.1], ["jacobian", 0.05], ["jacobian", 0.1],
    ]  # fmt: skip
    assert table["certified"].tolist() == pytest.approx([0.1] * 4)
    assert table["worst"].tolist() == pytest.approx([0.6] * 4)
    drawn = over_epsilon(table, styles(["none", "jacobian"]), "", "ε")
    assert [line.line.dash for line in drawn.data] == ["solid", "dot"] * 2
    assert list(drawn.data[3].y) == pytest.approx([10.0, 10.0])
    assert of_point(drawn, 3, 1) == "jacobian"  # a click opens its trials
    assert drawn.data[3].customdata.tolist() == [[3, 200]] * 2
