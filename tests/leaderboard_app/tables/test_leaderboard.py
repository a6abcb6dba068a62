"""What the leaderboard tells a method's author, and how its rows may be ordered."""

import pandas as pd
import pytest

from leaderboard_app.tables import leaderboard
from leaderboard_app.words.style import styles
from registry.load import Registry

TRACK = Registry().track("quickstart")
RANKS = {"a": (1, 1), "b": (2, 3), "c": (2, 3), "d": (None, None)}


def board(source="here"):
    """Four methods, of which a, b and c are ranked with 0.9, 0.8 and 0.75."""
    rows = []
    for method, value, cost in (
        ("a", 0.9, 3.0),
        ("b", 0.8, 1.0),
        ("c", 0.75, 2.0),
        ("d", 0.7, 4.0),
    ):
        row = {"architecture": "lenet_300_100", "regularizer": method, "lambda": 0.1, "cost": cost}
        for column in leaderboard.headings(TRACK):
            row |= {column: value, f"{column}_low": value - 0.01, f"{column}_high": value + 0.01}
        row |= {"rank": RANKS[method][0], "rank_high": RANKS[method][1], "source": source}
        row |= {"lambdas": (0.1, 0.1, 0.1)}
        why = "" if method != "d" else "flagged: the gradients are masked"
        row |= {"diverged": 0, "trials": 9, "gap": 0.0, "challenged": "", "would_be": ""}
        rows.append(row | {"tier": "quick", "seeds": 3, "flags": "", "why": why})
    return pd.DataFrame(rows).astype({"rank": "Int64", "rank_high": "Int64"})


def test_an_author_reads_the_rank_and_the_nearest_above_and_below():
    said = leaderboard.told_to_its_author(board(), TRACK, "b")
    assert said[0] == "**b** has rank 2–3 with 80.0 [79.0, 81.0] %."
    assert said[1] == "Nearest above: **a**, 10.0 points above."
    assert said[2].startswith("Nearest below: **c**, 5.0 points below, not told apart")
    assert len(said) == 3
    assert len(leaderboard.told_to_its_author(board(), TRACK, "a")) == 2  # nobody is above
    assert "not ranked: flagged" in leaderboard.told_to_its_author(board(), TRACK, "d")[0]
    assert leaderboard.told_to_its_author(board(), TRACK, "") == []


@pytest.mark.parametrize(
    ("ranks", "told"),
    [
        ([(1, 1), (2, 3), (2, 3)], "every other ranked method is told apart from it."),
        ([(1, 2), (1, 2), (3, 3)], "**b** cannot be told apart from the best."),
        ([(1, 3), (1, 2), (2, 3)], "2 others cannot be told apart from the best."),
    ],
)
def test_a_leader_s_rivals_are_named_or_counted(ranks, told):
    rows = board().head(3).assign(rank=[r[0] for r in ranks], rank_high=[r[1] for r in ranks])
    assert leaderboard.leaders(rows, TRACK).endswith(told)


def test_seeds_that_are_scored_at_another_strength_are_marked_and_told():
    rows = board()
    assert leaderboard.elsewhere(rows) == ""
    rows.at[1, "lambdas"] = (0.1, 0.05, 0.05)
    assert leaderboard.elsewhere(rows).endswith("λ: b at 0.05 in 2 of 3 seeds.")
    names = leaderboard.names_of(TRACK, rows)
    told = [
        leaderboard.cells(row, names, styles("abcd")[row["regularizer"]])["λ"]
        for row in rows.to_dict("records")
    ]
    assert told == ["0.1", "0.1*", "0.1", "0.1"]


@pytest.mark.parametrize("source", ["claimed", "verified"])
def test_an_author_reads_whose_word_the_row_is(source):
    assert f"**{source}**" in leaderboard.told_to_its_author(board(source), TRACK, "b")[-1]


def test_the_rows_of_one_method_stand_out_and_no_others():
    html = leaderboard.shown(board(), TRACK, styles("abcd"), "c").to_html()
    marked = html.partition("background-color")[0]
    columns = len(leaderboard.names_of(TRACK, board()))
    assert marked.count("_row2_") == columns
    assert "_row1_" not in marked and "_row3_" not in marked
    assert "background" not in leaderboard.shown(board(), TRACK, styles("abcd")).to_html()


def test_rows_are_ordered_by_what_is_asked_for_the_best_first():
    def order(column):
        return "".join(leaderboard.in_order(board(), column)["regularizer"])

    assert order("rank") == order("clean") == order("regularizer") == "abcd"
    assert order("cost") == "bcad"


def test_a_claim_reads_as_the_rank_that_it_would_have():
    rows = board().astype({"rank": "Int64"})
    rows.loc[rows["regularizer"] == "b", ["rank", "rank_high"]] = pd.NA
    rows.loc[rows["regularizer"] == "b", "would_be"] = "2–3"
    html = leaderboard.shown(rows, TRACK, styles("abcd")).to_html()
    assert "would be 2–3" in html
    assert "leads" in leaderboard.leaders(rows, TRACK) and "**b**" not in leaderboard.leaders(
        rows, TRACK
    )
