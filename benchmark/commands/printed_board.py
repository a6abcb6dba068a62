"""A track's board as `regbench rank` prints it: a table a network, and what must be known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from registry.spec import Track

from ..ranking.both_sides import WIDE_GAP
from ..ranking.placement import diverged, on_fewer_images, place, points, strength, unranked
from .console import print_table

Row = dict[str, Any]


def print_board(track: Track, rows: Sequence[Row]) -> None:
    """Prints it.

    Args:
        rows: the board's, with None for what is not known.
    """
    seeds = max((row["seeds"] for row in rows), default=0)
    print(f"\n{track.title} ({track.name}); {seeds} of {track.seeds} seeds")
    if not seeds:
        print(f"nothing has run yet: regbench run {track.name}")
        return
    columns = _columns(track, rows)
    for architecture in track.architectures:
        mine = [row for row in rows if row["architecture"] == architecture]
        own = mine[0]["seeds"] if mine else 0
        if not own:
            print(f"\n{architecture}: no method has run in full yet: regbench run {track.name}")
            continue
        print(f"\n{architecture}" + (f" ({own} of {track.seeds} seeds)" if own != seeds else ""))
        cells = [_cells(track, row) for row in mine]
        right = frozenset(columns) - {"method", "tier", "source"}
        print_table(columns, [[cell[name] for name in columns] for cell in cells], right)
        for note in _notes(track, mine):
            print(f"– {note}")
    print(f"\n{_legend(track, columns)}")


def _columns(track: Track, rows: Sequence[Row]) -> list[str]:
    """Those that say something of a row."""
    certified = ["certified"] if any(row["certified"] is not None for row in rows) else []
    ended = ["diverged"] if any(row["diverged"] for row in rows) else []
    source = ["source"] if {row["source"] for row in rows} - {"", "here"} else []
    threats = [threat.id for threat in track.threats]
    scores = ["clean", *threats, "worst", *certified]
    return ["rank", "method", "λ", *scores, "tier", "cost ×", *ended, *source]


def _cells(track: Track, row: Row) -> dict[str, str]:
    """Column → what a row reads there; the score that ranks has its interval."""
    scores = ["clean", *(threat.id for threat in track.threats), "worst", "certified"]
    cells = {column: points(row[column]) for column in scores}
    ends = row[f"{track.ranking}_low"], row[f"{track.ranking}_high"]
    cells[track.ranking] = points(row[track.ranking], *ends)
    would_be = f"would be {row['would_be']}" if row["would_be"] else ""
    return cells | {
        "rank": would_be or place(row["rank"], row["rank_high"]),
        "method": row["regularizer"],
        "λ": strength(row),
        "tier": row["tier"],
        "cost ×": "" if row["cost"] is None else f"{row['cost']:.1f}",
        "diverged": diverged(row),
        "source": row["source"],
    }


def _notes(track: Track, rows: Sequence[Row]) -> list[str]:
    """What a reader of the table must know beside it."""
    notes = [
        f"not ranked: {', '.join(names)}: {reason}" for reason, names in unranked(rows).items()
    ]
    notes += [
        f"broken by challenge: {row['regularizer']}: {row['challenged']}"
        for row in rows
        if row["challenged"]
    ]
    if fewer := on_fewer_images(rows):
        notes.append(fewer)
    return notes + [
        f"{row['regularizer']}: {track.headline} leaves {100 * row['gap']:.1f} points more than "
        "all attacks together"
        for row in rows
        if (row["gap"] or 0) > WIDE_GAP
    ]


def _legend(track: Track, columns: Sequence[str]) -> str:
    certified = "; certified: proven within them" if "certified" in columns else ""
    ended = "; diverged: of its trials, every λ" if "diverged" in columns else ""
    return (
        f"ranked by {track.ranking}, in percent (distances: 100·‖r‖/‖x‖), with the 95 % interval "
        "over seeds and images; worst: under the\nunion of all attacks within the norm and ε that "
        f"rank{certified}; rank: from the best to the worst that the methods it cannot\nbe told "
        "apart from allow; λ ↑ ↓: the largest or smallest of its grid, so that the best may lie "
        "beyond (`regbench plan` says where);\nin brackets the λ of seeds for which the others "
        f"choose another one{ended}"
    )
