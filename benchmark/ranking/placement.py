"""How a board's rows read, and where a method stands on it: pure functions of the rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

import pandas as pd

from registry.spec import Track

GRID_ENDS = {"largest": " ↑", "smallest": " ↓"}


def place(first: float | None, last: float | None) -> str:
    """A rank interval: `1–3`, or `2` where nothing is left open; `–` for no rank."""
    if not (_known(first) and _known(last)):
        return "–"
    return f"{first:.0f}" if first == last else f"{first:.0f}–{last:.0f}"


def points(value: float | None, low: float | None = math.nan, high: float | None = math.nan) -> str:
    """A share with its interval, in percent: `54.5 [52.1, 56.9]`; "" for one that is not known."""
    if not _known(value):
        return ""
    told = f"{100 * value:.1f}"
    return f"{told} [{100 * low:.1f}, {100 * high:.1f}]" if _known(low) and _known(high) else told


def strength(row: Mapping[Any, Any]) -> str:
    """A row's λ, marked where it ends its grid, and those of seeds that are scored at another one:
    `0.3 ↑`, `0.06 (0.04 in 1 of 5)`; "" where none is selected.
    """
    if not _known(row["lambda"]):
        return ""
    others = other_strengths(row)
    return f"{row['lambda']:g}{GRID_ENDS.get(row['at_end'], '')}" + (
        f" ({others})" if others else ""
    )


def other_strengths(row: Mapping[Any, Any]) -> str:
    """`0.04 in 1 of 5`: the λ that a row's other seeds choose for some, where it is not the row's;
    else "".
    """
    others = Counter(each for each in row["lambdas"] if each != row["lambda"])
    told = [
        f"{each:g} in {count} of {len(row['lambdas'])}" for each, count in sorted(others.items())
    ]
    return ", ".join(told)


def diverged(row: Mapping[Any, Any]) -> str:
    """`2 of 15`: how many of a row's trials did; "" where none."""
    return f"{row['diverged']} of {row['trials']}" if row["diverged"] else ""


def unranked(rows: Iterable[Mapping[Any, Any]]) -> dict[str, list[str]]:
    """Why methods have no rank → their names."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["why"]:
            found.setdefault(row["why"], []).append(row["regularizer"])
    return found


def on_fewer_images(rows: Iterable[Mapping[Any, Any]]) -> str:
    """On how many test images the worst case and the certificates rest, where these are fewer; ""
    where not.
    """
    counts = {(row["certified_images"], row["worst_images"]) for row in rows}
    fewer = [pair for pair in counts if _known(pair[0]) and _known(pair[1]) and pair[0] < pair[1]]
    if not fewer:
        return ""
    certified, worst = min(fewer)
    return (
        f"certified: of the first {certified:,.0f} test images; worst case: of the first "
        f"{worst:,.0f}"
    )


def tied(first: pd.DataFrame, told: Callable[[str], str] = str) -> str:
    """Who cannot be told apart from the leader: by name where they have rank 1 as well, else how
    many; "" where nobody.

    Args:
        first: a board's rows of rank 1 on one network, in its order.
        told: how a name is written.
    """
    count = int(first["rank_high"].iloc[0]) - 1
    if count >= len(first):
        return f"{count} others"
    return ", ".join(told(name) for name in first["regularizer"].iloc[1:])


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def placements(track: Track, board: pd.DataFrame, name: str) -> list[str]:
    """One line for each of a method's rows: its score, its ranks, and who else may have them.

    Args:
        board: as `board.board` gives it.
        name: a regularizer's, without options; its variants are told as well.
    """
    rows = board.to_dict("records")
    mine = [row for row in rows if row["regularizer"].partition(":")[0] == name]
    return [_told(track, row, rows) for row in mine]


def _told(track: Track, row: dict, rows: list[dict]) -> str:
    where = f"{row['regularizer']} on {track.name}, {row['architecture']}"
    if pd.isna(row["rank"]):
        beside = f"would be rank {row['would_be']}, but is " if row["would_be"] else ""
        return f"{where}: {beside}not ranked: {row['why']}"
    ranked = [
        other
        for other in rows
        if other["architecture"] == row["architecture"] and pd.notna(other["rank"])
    ]
    tied = [
        other["regularizer"]
        for other in ranked
        if other is not row
        and other["rank"] <= row["rank_high"]
        and row["rank"] <= other["rank_high"]
    ]
    score = _score(row[track.ranking], track)
    ranks = f"rank {place(row['rank'], row['rank_high'])} of {len(ranked)}"
    return f"{where}: {score} {_under(track)} at λ = {row['lambda']:g}, {ranks}" + (
        f", tied with {', '.join(tied)}" if tied else ""
    )


def _under(track: Track) -> str:
    return "in the worst case" if track.ranking == "worst" else f"under {track.headline}"


def _score(value: float, track: Track) -> str:
    if track.headline_threat.epsilon is None:
        return f"‖r‖/‖x‖ = {value:.3f}"
    return f"{100 * value:.1f}%"
