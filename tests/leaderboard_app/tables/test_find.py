"""The best within limits is the board's best among the methods that fit and are not flagged."""

import math

import pandas as pd
import pytest

from benchmark.ranking.board import board
from benchmark.ranking.sweep import labelled
from leaderboard_app.tables import find
from registry.load import Registry


@pytest.fixture
def filled(fill):
    """The track, its board and every strength of quickstart."""
    trials = fill("quickstart")
    track = Registry().track("quickstart")
    rows = labelled(trials, fill.store.scores({trial.key for trial in trials}))
    standings = board(track, trials, fill.store)
    return track, standings, find.strengths(track, rows, standings)


def test_every_lambda_is_there_and_the_selected_one_has_the_boards_scores(filled):
    track, standings, table = filled
    chosen = table[table["selected"]].set_index("method")
    board_of = standings[standings["lambda"].notna()].set_index("regularizer")
    assert set(chosen.index) == set(board_of.index)
    for method, row in chosen.iterrows():
        assert row["lambda"] == board_of["lambda"][method]
        assert row["clean"] == pytest.approx(board_of["clean"][method])
        assert row["robust"] == pytest.approx(board_of[track.headline][method])
    assert len(table) > len(chosen)


def test_the_best_is_the_boards_within_the_limits_and_never_one_with_a_flag(filled):
    track, standings, table = filled
    everywhere = find.best(table, standings, track)
    assert everywhere is not None
    score = standings.set_index("regularizer")[track.ranking]
    assert everywhere["regularizer"] == score.idxmax()

    flagged = table.assign(flags=table["method"].map({score.idxmax(): "gradients masked"}))
    second = find.best(flagged.fillna({"flags": ""}), standings, track)
    assert second is not None
    assert second["regularizer"] == score.drop(score.idxmax()).idxmax()

    last = find.within(flagged.fillna({"flags": ""}), math.inf, 0).iloc[-1]
    assert (last["method"], last["flags"]) == (score.idxmax(), "gradients masked")

    costly = standings.loc[standings["cost"].idxmax(), "regularizer"]
    cheap = find.within(table, standings["cost"].max() - 1e-9, 0)
    assert costly not in set(cheap["method"][cheap["selected"]])
    assert find.best(find.within(table, 0.0, 1.0), standings, track) is None


@pytest.mark.parametrize(("axis", "sign"), [("clean", 1), ("cost", -1)])
def test_the_front_rises_to_the_best_and_holds_no_flagged_row(axis, sign):
    table = pd.DataFrame(
        {
            "clean": [0.9, 0.8, 0.85, 0.95],
            "cost": [1.0, 3.0, 2.0, 0.5],
            "robust": [0.1, 0.5, 0.05, 0.9],
            "flags": ["", "", "", "gradients masked"],
        }
    )
    found = find.front(table, axis)
    assert set(found.index) == {0, 1}
    assert found[axis].is_monotonic_increasing
    assert (sign * found[axis]).corr(found["robust"]) < 0
