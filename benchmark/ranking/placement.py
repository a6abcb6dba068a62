"""Where a method stands on a board, in words: a pure function of the board's rows."""

from __future__ import annotations

import pandas as pd

from registry.spec import Track


def place(first: int | None, last: int | None) -> str:
    """A rank interval: `1–3`, or `2` where nothing is left open; `–` for no rank."""
    if first is None or last is None:
        return "–"
    return f"{first}" if first == last else f"{first}–{last}"


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
    score = _score(row[track.headline], track)
    ranks = f"rank {place(row['rank'], row['rank_high'])} of {len(ranked)}"
    return f"{where}: {score} under {track.headline} at λ = {row['lambda']:g}, {ranks}" + (
        f", tied with {', '.join(tied)}" if tied else ""
    )


def _score(value: float, track: Track) -> str:
    if track.headline_threat.epsilon is None:
        return f"‖r‖/‖x‖ = {value:.3f}"
    return f"{100 * value:.1f}%"
