"""What papers report, over the curves of the page."""

import pandas as pd
import pytest

from leaderboard_app.figures import sweeps
from leaderboard_app.figures.distributions import of_strengths
from leaderboard_app.tables import margins, samples
from leaderboard_app.words.style import styles
from registry.load import Registry

METHOD = "adversarial_training:step_size=0.00784314"
STYLE = styles([METHOD])[METHOD]


def test_a_papers_accuracies_and_gaps_lie_on_the_chart_at_its_strengths():
    track = Registry().track("wen-cifar10")
    for quantity, metric, scale in (("accuracy", "clean", 100), ("gap", "loss_gap", 1)):
        told = margins.reported(track, "resnet_56_fixup", METHOD, quantity)
        figure = sweeps.with_reported(sweeps.figure("t", "x", "y"), told, STYLE, scale)
        drawn = {(x, round(y, 9)) for trace in figure.data for x, y in zip(trace.x, trace.y)}
        expected = {
            (result.strength, round(scale * result.value, 9))
            for result in track.reported
            if result.architecture == "resnet_56_fixup"
            and result.regularizer == METHOD
            and result.metric == metric
        }
        assert drawn == expected and len(drawn) == 3
        assert {trace.name for trace in figure.data} == {"Wen et al. 2020 reports"}
    assert margins.reported(track, "resnet_56_fixup", METHOD, "error_gap").empty
    assert margins.reported(track, "resnet_56_fixup", "trades", "gap").empty


def test_a_papers_loss_variation_lies_at_its_radii():
    tracks = [Registry().track(name) for name in Registry().track_names]
    track, result = next(
        (track, result)
        for track in tracks
        for result in track.reported
        if result.metric == "loss_variation_4" and result.strength is not None
    )
    told = margins.reported_variation(track, result.architecture, result.regularizer)
    table = pd.DataFrame(
        {"lambda": [0.1], "radius": ["4"], "mean": [0.2], "half_width": [0.1], "seeds": [3]}
    )
    lines = of_strengths([0.1], STYLE)
    figure = sweeps.loss_variation(table, lines, told)
    points = [(x, y) for trace in figure.data[1:] for x, y in zip(trace.x, trace.y)]
    assert (4.0, pytest.approx(result.value)) in points


def test_a_model_counts_where_the_leaderboard_scores_its_seed(fill):
    trials = fill("quickstart")
    mine = [trial for trial in trials if trial.entry.regularizer == "jacobian"]
    grid = sorted({trial.entry.strength for trial in mine})
    standings = pd.DataFrame(
        {
            "architecture": ["lenet_300_100"],
            "regularizer": ["jacobian"],
            "lambdas": [(grid[0], grid[1], grid[0])],
        }
    )
    rows = pd.DataFrame(
        [
            {"key": t.key, "method": t.entry.regularizer, "at": (t.seed, t.entry.strength)}
            for t in trials
        ]
    )
    kept = samples.scored(rows, trials, standings)
    assert set(kept["method"]) == {"jacobian"}
    assert set(kept["at"]) == {(0, grid[0]), (1, grid[1]), (2, grid[0])}
