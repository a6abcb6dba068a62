"""From a point of a chart to the trials that it rests on."""

import json

import pytest

from benchmark.ranking.board import board
from benchmark.ranking.sweep import labelled
from leaderboard_app.figures import curves, pareto, sweeps
from leaderboard_app.reading import provenance
from leaderboard_app.tables import find, matched, origin, robustness
from leaderboard_app.words.style import styles
from registry.load import HERE, Registry

pytestmark = pytest.mark.slow


def points_of(figure):
    for curve, trace in enumerate(figure.data):
        for point in range(len(trace.x)):
            found = origin.of_point(figure, curve, point)
            if found:
                yield trace, point, found


def test_every_point_leads_to_the_trials_whose_scores_it_shows(fill):
    trials = fill("quickstart")
    track = Registry().track("quickstart")
    scores = fill.store.scores({trial.key for trial in trials})
    standings = board(track, trials, fill.store, scores)
    rows = labelled(trials, scores)
    style = styles({trial.entry.regularizer for trial in trials})
    swept = matched.curves(matched.matched(rows, 2))
    headline = swept[swept["column"] == track.headline]
    every = find.strengths(track, rows, standings)
    [epsilon, *_] = robustness.curves(trials, rows, standings).values()
    figures = [
        sweeps.against_lambda(headline, style, "t", "x", "y"),
        sweeps.against_clean(swept, track.headline, style, "t", "y"),
        pareto.trade_off(every, every.head(0), "clean", style, "t", "y"),
        pareto.pareto(standings, track.headline, style, "t", "y"),
    ]
    value = {
        row["key"]: row["value"]
        for row in scores.to_dict("records")
        if row["threat"] == track.headline and row["split"] == "test"
    }
    for figure in figures:
        found = list(points_of(figure))
        assert len(found) >= 5
        for trace, point, mark in found:
            mine = origin.trials(mark, trials, standings, "lenet_300_100")
            assert {trial.seed for trial in mine} == {0, 1, 2}
            mean = sum(value[trial.key] for trial in mine) / len(mine)
            assert trace.y[point] == pytest.approx(100 * mean)
    assert list(points_of(curves.accuracy_against_epsilon(epsilon, style, "t", "x")))
    key = trials[0].key
    assert origin.trials(key, trials, standings, "lenet_300_100")[0].key == key
    assert origin.trials("no such", trials, standings, "lenet_300_100") == []


def test_a_registered_row_lies_in_its_file_and_a_run_here_in_its_folder(
    home, tmp_path, monkeypatch
):
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setenv("REGBENCH_RESULTS", str(folder))
    with open(HERE / "results" / "quickstart.jsonl") as rows:
        row = rows.readline()
    (folder / "a.jsonl").write_text(row)
    registered = json.loads(row)["key"]
    (home / "fedcba9876543210").mkdir(parents=True)
    found = provenance.files([registered, "fedcba9876543210", "0" * 16])
    assert {key: path.rpartition("/")[2] for key, path in found.items()} == {
        registered: "a.jsonl",
        "fedcba9876543210": "fedcba9876543210",
    }
