"""What the papers report, beside what their tracks gave here."""

from __future__ import annotations

import math
from collections.abc import Iterable

from registry.spec import Result, Track

from . import markdown
from .rows import Interval, Rows

HEADER = """## The papers' own numbers, and ours

Shown beside ours, never tuned toward. Ours: mean over seeds ± half of Student's 95 % interval.
Where a paper is silent, the track's notes say what was taken: `regbench show <track>`.

"""
COLUMNS = ("Track", "Network", "Method", "Score", "Paper", "Ours", "Seeds")


def section(everything: Iterable[Rows]) -> str:
    """Markdown: a line a number of a paper that rows answer; "" where there is none."""
    lines = [
        _line(rows.track, result, ours)
        for rows in everything
        for result in rows.track.reported
        if (ours := _ours(rows, result)) is not None
    ]
    return HEADER + markdown.table(COLUMNS, lines) if lines else ""


def _ours(rows: Rows, result: Result) -> tuple[Interval, int] | None:
    """Our value of accuracies, and over how many seeds."""
    threats = {threat.id for threat in rows.track.threats if threat.epsilon is not None}
    if result.metric != "clean" and result.metric not in threats:
        return None
    metric = "accuracy" if result.metric == "clean" else "robust_accuracy"
    strength = result.strength or 0.0
    found = rows.seeds(
        result.regularizer, strength, result.metric, metric, architecture=result.architecture
    )
    return (Interval.of(found), len(found)) if len(found) else None


def _line(track: Track, result: Result, ours: tuple[Interval, int]) -> tuple[str, ...]:
    interval, seeds = ours
    strength = "" if result.strength is None else f" at λ = {result.strength:g}"
    return (
        track.name,
        result.architecture,
        f"`{result.regularizer}`{strength}",
        result.metric,
        _percent(result.value, result.spread),
        _percent(interval.mean, None if math.isnan(interval.half) else interval.half),
        str(seeds),
    )


def _percent(value: float, spread: float | None) -> str:
    told = f"{100 * value:.2f}"
    return told if spread is None else f"{told} ± {100 * spread:.2f}"
