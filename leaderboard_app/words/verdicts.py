"""What the equivalence of two methods is, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from registry.spec import Track

from .labels import columns_of, plain, quantity

TOGETHER = {
    "equivalent": "are **equivalent**: of every score and λ the interval lies within ±{margin:g}.",
    "different": "are **different**: {count} of {total} intervals lie outside ±{margin:g}.",
    "undecided": "are **not shown to be equivalent**: {count} of {total} intervals reach beyond "
    "±{margin:g}, and none lies outside it.",
    "one seed": "**cannot be tested**: one paired seed says nothing of scatter.",
}


def together(tests: pd.DataFrame, verdict: str, margin: float) -> str:
    """What all tests say, to follow the two methods' names.

    Args:
        tests: as `tables.equivalence.simultaneous` gives it; `verdict` is over all of them.
        margin: in points.
    """
    count = int((tests["verdict"] == verdict).sum())
    return TOGETHER[verdict].format(margin=margin, count=count, total=len(tests))


def largest_gap(track: Track, gap: pd.Series, methods: Sequence[str], unit: str) -> str:
    """One sentence about the largest gap: what, where, which way, on how many seeds."""
    higher, lower = methods if gap["difference"] >= 0 else reversed(methods)
    values = sorted((gap["first"], gap["second"]), reverse=True)
    return (
        f"**{100 * abs(gap['difference']):.1f} {unit}**, "
        f"in {plain(quantity(track, gap['column']))} at λ = {gap['matched']:g}: "
        f"`{higher}` {100 * values[0]:.1f} %, `{lower}` {100 * values[1]:.1f} % "
        f"({gap['seeds']} paired seed{'s' if gap['seeds'] > 1 else ''})."
    )


def by_lambda(track: Track, tests: pd.DataFrame, margin: float) -> list[str]:
    """One sentence a λ: in which scores the two are equivalent there, in which not, and where it
    cannot be told.
    """
    said = {
        "equivalent": "equivalent",
        "different": f"different by more than {margin:g} points",
        "undecided": "undecided (the seeds scatter too much)",
        "one seed": "untestable with one seed",
    }
    lines, headings = [], columns_of(track)
    for strength, mine in tests[tests["column"].isin(headings)].groupby("matched"):
        parts = []
        for verdict, words in said.items():
            names = [
                plain(headings[column])
                for column in headings
                if column in set(mine.loc[mine["verdict"] == verdict, "column"])
            ]
            if names:
                parts.append(
                    f"{words} in {'every score' if len(names) == len(mine) else ', '.join(names)}"
                )
        lines.append(f"- λ = {strength:g}: {'; '.join(parts)}.")
    return lines
