"""What the leaderboard tells the author of a method."""

from __future__ import annotations

import pandas as pd

from benchmark.ranking.placement import place
from registry.spec import Track

from ..words.labels import percent, plain

WORD = {  # whose word a row is, to its author
    "claimed": "Its rows are **claimed**: nobody has repeated them yet. `regbench verify` does.",
    "verified": "Its rows are **verified**: repeated in the sandbox.",
}
TIED = ", not told apart from it by their ranks"


def told(rows: pd.DataFrame, track: Track, method: str) -> list[str]:
    """Where a method stands, or would were its claim verified, how far the nearest above and below
    are, and whose word its row is; nothing of a method that has no row.

    Args:
        rows: of one architecture, as the board orders them.
    """
    own = rows["regularizer"] == method
    if not own.any():
        return []
    me, column = rows[own].iloc[0], track.ranking
    is_ranked = pd.notna(me["rank"])
    if not is_ranked and not me["would_be"]:
        return [f"**{plain(method)}** is not ranked: {plain(me['why'])}."]
    score = percent(*(me[name] for name in (column, f"{column}_low", f"{column}_high")))
    rank = place(me["rank"], me["rank_high"]) if is_ranked else me["would_be"]
    has = "has" if is_ranked else "would have"
    said = [f"**{plain(method)}** {has} rank {rank} with {score}."]
    beside = rows[rows["rank"].notna() | own]
    beside = beside.sort_values(column, ascending=False, kind="stable")
    at = beside["regularizer"].tolist().index(method)
    for where, i in (("above", at - 1), ("below", at + 1)):
        if 0 <= i < len(beside):
            other = beside.iloc[i]
            gap = 100 * abs(other[column] - me[column])
            surely = "" if not is_ranked or _apart(me, other) else TIED
            name = plain(other["regularizer"])
            said.append(f"Nearest {where}: **{name}**, {gap:.1f} points {where}{surely}.")
    word = WORD.get(me["source"])
    return [*said, word] if word else said


def _apart(one: pd.Series, other: pd.Series) -> bool:
    """Whether two ranks have nothing in common."""
    return bool(other["rank_high"] < one["rank"] or one["rank_high"] < other["rank"])
