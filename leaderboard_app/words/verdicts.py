"""What the equivalence of two methods is, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from benchmark.ranking.verdict import Verdict
from registry.spec import Track

from .labels import columns_of, plain, quantity

SMALLEST = 1e-6  # points: less is rounding
SAID = ("shown", "refuted", "not decided")


def together(tests: pd.DataFrame, verdict: Verdict, margin: float) -> str:
    """The claim that two methods are equivalent and its verdict, to follow their names.

    Args:
        tests, verdict: as `tables.equivalence.tests` gives them.
        margin: in points.
    """
    words = tests["verdict"].value_counts()
    counts = ", ".join(f"{words[word]} {word}" for word in SAID if word in words)
    return (
        f"are equivalent within ±{margin:g} points: **{verdict}**. "
        f"Of {len(tests)} scores and λ: {counts}."
    )


def largest_gap(track: Track, gap: pd.Series, methods: Sequence[str], unit: str) -> str:
    """One sentence about the largest gap: what, where, which way, on how many seeds."""
    higher, lower = methods if gap["difference"] >= 0 else reversed(methods)
    size = 100 * abs(gap["difference"])
    # As many digits as tell the two apart.
    digits = max(1, -math.floor(math.log10(size))) if size > SMALLEST else 1
    first, second = (
        f"{100 * value:.{digits}f} %"
        for value in sorted((gap["first"], gap["second"]), reverse=True)
    )
    return (
        f"**{size:.{digits}f} {unit}**, "
        f"in {plain(quantity(track, gap['column']))} at λ = {gap['matched']:g}: "
        f"`{higher}` {first}, `{lower}` {second} "
        f"({gap['seeds']} paired seed{'s' if gap['seeds'] > 1 else ''})."
    )


def by_lambda(track: Track, tests: pd.DataFrame) -> list[str]:
    """One sentence a λ: of which scores equivalence is shown there, of which it is refuted, and
    where that is not decided.
    """
    lines, headings = [], columns_of(track)
    for strength, mine in tests.groupby("matched"):
        parts = []
        for word in SAID:
            found = set(mine.loc[mine["verdict"] == word, "column"])
            names = [plain(headings[column]) for column in headings if column in found]
            if names:
                where = "every score" if len(names) == len(mine) else ", ".join(names)
                parts.append(f"{word} in {where}")
        lines.append(f"- λ = {strength:g}: {'; '.join(parts)}.")
    return lines
