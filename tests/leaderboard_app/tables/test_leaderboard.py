"""What the leaderboard tells a method's author, and how its rows may be ordered."""

import pandas as pd
import pytest

from leaderboard_app.tables import author, leaderboard
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


def test_a_paper_s_losses_are_in_nats_and_its_accuracies_in_percent():
    table = leaderboard.reported(Registry().track("wen-cifar10"))
    told = dict(zip(table["Score"], table["Value"]))
    losses = {score for score in told if score.startswith("loss_")}
    assert {"loss_gap", "loss_variation_1"} <= losses
    assert losses == {score for score, value in told.items() if value.endswith(" nats")}
    assert "0.669 nats" in table["Value"].tolist() and "88.9 %" in table["Value"].tolist()


def test_a_cost_that_is_not_known_is_an_empty_cell_of_a_paper_s_table():
    rows = board()
    rows.loc[1, "cost"] = float("nan")
    told = leaderboard.written(rows, TRACK, styles("abcd"))["Cost ×"].tolist()
    assert told == ["3.0", "", "2.0", "4.0"]


def test_an_author_reads_the_rank_and_the_nearest_above_and_below():
    said = author.told(board(), TRACK, "b")
    assert said[0] == "**b** has rank 2–3 with 80.0 [79.0, 81.0] %."
    assert said[1] == "Nearest above: **a**, 10.0 points above."
    assert said[2].startswith("Nearest below: **c**, 5.0 points below, not told apart")
    assert len(said) == 3
    assert len(author.told(board(), TRACK, "a")) == 2  # nobody is above
    assert "not ranked: flagged" in author.told(board(), TRACK, "d")[0]
    assert author.told(board(), TRACK, "") == []


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
    assert f"**{source}**" in author.told(board(source), TRACK, "b")[-1]


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
    two = pd.concat([board(), board().assign(architecture="lenet_5")])
    assert "".join(leaderboard.in_order(two, "cost")["regularizer"]) == "bcadbcad"


def with_a_claim():
    """b is claimed, and would be 2–3."""
    rows = board()
    b = rows["regularizer"] == "b"
    rows.loc[b, ["rank", "rank_high"]] = pd.NA
    rows.loc[b, ["would_be", "source", "why"]] = "2–3", "claimed", "claimed"
    return pd.concat(
        [rows[~b], rows[b]], ignore_index=True
    )  # the board has those with a rank first


def test_a_claim_reads_as_the_rank_that_it_would_have():
    shown = leaderboard.shown(with_a_claim(), TRACK, styles("abcd"))
    assert "would be 2–3" in shown.to_html()
    # A cell without a value would show the placeholder.
    ranks = shown.data.set_index("Method")["Rank"]
    assert ranks["b"] == 2 and pd.isna(ranks["d"])
    said = leaderboard.leaders(with_a_claim(), TRACK)
    assert "leads" in said and "**b**" not in said
    room = leaderboard.widths(with_a_claim(), on_a_phone=False)["Rank"]
    assert room > leaderboard.widths(board(), on_a_phone=False)["Rank"]


def test_who_claims_reads_the_rank_that_would_be_and_the_nearest_above_and_below():
    said = author.told(with_a_claim(), TRACK, "b")
    assert said[:3] == [
        "**b** would have rank 2–3 with 80.0 [79.0, 81.0] %.",
        "Nearest above: **a**, 10.0 points above.",
        "Nearest below: **c**, 5.0 points below.",
    ]
    assert "**claimed**" in said[3]


def test_a_method_s_name_has_room_but_on_a_phone():
    rows = board().replace({"regularizer": {"a": "trades:epsilon=0.1,step_size=0.025"}})
    assert leaderboard.widths(rows, on_a_phone=False)["Method"] > 7 * 34
    assert leaderboard.widths(rows, on_a_phone=True) == leaderboard.widths(board(), False)
