"""The best within limits: each method at the λ that validation images choose among those that fit,
and of these the one with the best score that carries no flag.
"""

import math

import pandas as pd
import pytest

from benchmark.ranking.board import board
from benchmark.ranking.scrutiny import raised_at
from benchmark.ranking.sweep import labelled
from leaderboard_app.tables import find
from leaderboard_app.words.style import styles
from registry.load import Registry

TRACK = Registry().track("quickstart")


class Quickstart:
    """The track's trials, rows, board and strengths."""

    def __init__(self, fill, status=lambda trial: "finished"):
        self.trials = fill("quickstart", status=status)
        self.rows = labelled(self.trials, fill.store.scores({trial.key for trial in self.trials}))
        self.standings = board(TRACK, self.trials, fill.store)
        flags = raised_at(self.trials, self.rows)
        self.table = find.strengths(TRACK, self.rows, self.standings, flags)

    def within(self, cost=math.inf, clean=0.0, table=None):
        fitting = find.within(self.table if table is None else table, cost, clean)
        return find.chosen(TRACK, self.trials, self.rows, fitting, seeds=3)

    def validation(self, metric, threat, method):
        """λ → mean on validation images."""
        mine = self.rows[(self.rows["regularizer"] == method) & (self.rows["threat"] == threat)]
        mine = mine[(mine["split"] == "validation") & (mine["metric"] == metric)]
        return mine.groupby("lambda")["value"].mean()


def test_every_lambda_is_there_and_the_selected_one_has_the_boards_scores(fill):
    filled = Quickstart(fill)
    chosen = filled.table[filled.table["selected"]].set_index("method")
    board_of = filled.standings.dropna(subset=["lambda"]).set_index("regularizer")
    assert set(chosen.index) == set(board_of.index)
    for method, row in chosen.iterrows():
        assert row["lambda"] == board_of["lambda"][method]
        assert row["clean"] == pytest.approx(board_of["clean"][method])
        assert row["robust"] == pytest.approx(board_of[TRACK.headline][method])
        assert row["worst"] == pytest.approx(board_of["worst"][method])
    assert len(filled.table) > len(chosen)
    assert filled.table["worst"][~filled.table["selected"]].isna().all()


def test_within_limits_each_method_s_lambda_is_chosen_anew_on_validation_images(fill):
    filled = Quickstart(fill)
    board_of = filled.standings.set_index("regularizer")["lambda"]
    clean = filled.validation("accuracy", "clean", "jacobian")
    floor = float(clean.drop(board_of["jacobian"]).max())  # beyond what the board selects
    robust = filled.validation("robust_accuracy", TRACK.headline, "jacobian")
    found = filled.within(clean=floor)
    mine = found[(found["method"] == "jacobian") & found["selected"]]
    assert floor > clean[board_of["jacobian"]]
    assert mine["lambda"].tolist() == [robust[clean >= floor].idxmax()]
    assert (found["validation"] >= floor).all()

    cost = filled.table.set_index(["method", "lambda"])["cost"]["jacobian"]
    bound = float(cost.drop(board_of["jacobian"]).min())
    cheap = filled.within(cost=bound)
    mine = cheap[(cheap["method"] == "jacobian") & cheap["selected"]]
    assert mine["lambda"].tolist() == [robust[cost <= bound].idxmax()]


def test_a_lambda_trained_in_stacks_alone_has_its_method_s_cost(fill):
    filled = Quickstart(fill)
    stacked = (filled.rows["regularizer"] == "jacobian") & (filled.rows["lambda"] == 0.1)
    rows = filled.rows.assign(seconds_alone=filled.rows["seconds_alone"].mask(stacked))
    table = find.strengths(TRACK, rows, filled.standings).set_index(["method", "lambda"])
    others = rows[rows["regularizer"] == "jacobian"].drop_duplicates("key")["seconds_alone"]
    control = rows[rows["regularizer"] == "none"].drop_duplicates("key")["seconds_alone"]
    assert table["cost"]["jacobian", 0.1] == pytest.approx(others.median() / control.median())


def test_what_has_no_known_cost_fits_until_a_limit_leaves_others_out(fill):
    filled = Quickstart(fill)
    lost = filled.table["method"] == "jacobian"
    table = filled.table.assign(cost=filled.table["cost"].mask(lost))
    dearest = find.dearest(table)
    assert len(find.within(table, dearest, 0.0)) == len(table)
    assert not (find.within(table, dearest - 0.1, 0.0)["method"] == "jacobian").any()

    stacked = filled.table.assign(cost=math.nan)
    best = find.best(filled.within(cost=find.dearest(stacked), table=stacked))
    assert best is not None
    said = find.in_words(best, TRACK, "robust", styles(set(stacked["method"])))
    assert "nan" not in said and "training cost" not in said


def test_the_best_is_on_top_and_is_never_one_with_a_flag(fill):
    filled = Quickstart(fill)
    everything = filled.within()
    best = find.best(everything)
    assert best is not None and best == everything.to_dict("records")[0]
    assert best["robust"] == everything["robust"][everything["selected"]].max()
    assert everything["selected"].is_monotonic_decreasing

    marked = (filled.table["method"] == best["method"]) & (filled.table["lambda"] == best["lambda"])
    flagged = filled.table.assign(flags=marked.map({True: "gradients masked", False: ""}))
    found = filled.within(table=flagged)
    second = find.best(found)
    assert second is not None and second["method"] != best["method"]
    assert found.iloc[-1]["flags"] == "gradients masked"
    assert find.best(filled.within(cost=0.0)) is None


def test_a_lambda_at_which_a_seed_diverged_is_not_chosen(fill):
    def of(trial):
        lost = trial.entry.regularizer == "jacobian" and trial.seed == 1
        return "diverged" if lost and trial.entry.strength == max_of_grid else "finished"

    max_of_grid = max(
        entry.strength
        for entry in Registry().entries("quickstart")
        if entry.regularizer == "jacobian"
    )
    found = Quickstart(fill, of).within()
    mine = found[(found["method"] == "jacobian") & found["selected"]]
    assert len(mine) == 1 and mine["lambda"].item() < max_of_grid


def test_the_score_that_names_the_best_is_one_that_all_chosen_have(fill):
    filled = Quickstart(fill)
    table, style = filled.within(), styles(set(filled.table["method"]))
    by_worst = TRACK.model_copy(update={"ranks_by": "worst_case"})
    assert find.score(TRACK, table) == "robust"
    known = find.chosen(
        by_worst, filled.trials, filled.rows, table.assign(worst=1 - table["robust"]), seeds=3
    )
    assert find.score(by_worst, known) == "worst"
    best = find.best(known)
    assert best is not None and best["worst"] == known["worst"][known["selected"]].max()
    assert "in the worst case" in find.in_words(best, by_worst, "worst", style)

    known.loc[known["selected"].idxmax(), "worst"] = math.nan
    assert find.score(by_worst, known) == "robust"
    said = find.in_words(known.to_dict("records")[0], by_worst, "robust", style)
    assert "accuracy under PGD" in said and "is not known at every λ here." in said


@pytest.mark.parametrize(("axis", "sign"), [("clean", 1), ("cost", -1)])
def test_the_front_rises_to_the_best(axis, sign):
    table = pd.DataFrame(
        {
            "clean": [0.9, 0.8, 0.85],
            "cost": [1.0, 3.0, 2.0],
            "robust": [0.1, 0.5, 0.05],
        }
    )
    found = find.front(table, axis)
    assert set(found.index) == {0, 1}
    assert found[axis].is_monotonic_increasing
    assert (sign * found[axis]).corr(found["robust"]) < 0
