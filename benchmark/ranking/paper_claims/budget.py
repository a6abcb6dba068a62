"""Every method under one budget: who leads, by how much, how surely and at which cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from registry.spec import Track

from ..front import undominated
from ..placement import on_fewer_images, place, points, strength, unranked
from . import markdown

TRACK = "open-fashion"
NEAR = 0.05  # of worst cases that a reader may take for alike


def section(track: Track, board: pd.DataFrame) -> str:
    """Markdown: of each network that has run what its table says, the table, and what has no rank.

    Args:
        board: as `ranking.board` gives it, of a track that ranks by the worst case.
    """
    found = [f"## {track.title}\n", _intro(track)]
    for architecture in track.architectures:
        rows = board[board["architecture"] == architecture].to_dict("records")
        ran = [row for row in rows if pd.notna(row["worst"])]
        if ran:
            said = [*_first(rows), *_front(ran)]
            parts = (_listed(said), _table(ran), _listed(_not_ranked(rows)))
            on = "; ".join(filter(None, [f"{track.seeds} seeds", on_fewer_images(ran)]))
            found.append(f"### {architecture}\n\n{rows[0]['seeds']} of {on}.\n")
            found += filter(None, parts)
    if len(found) == 2:
        found.append("Nothing has run yet.\n")
    return "\n".join(found)


def _intro(track: Track) -> str:
    threat = track.headline_threat
    norm = markdown.NORMS[threat.norm]
    return (
        f"`{track.name}`: one reference, one fine-tune and the same seeds for all. λ is chosen by "
        f"{threat.id} on validation images; the order is by the worst case over all attacks in "
        f"{norm} within ε {threat.epsilon:g}, on {track.test_examples:,} test images, in percent, "
        "with 95 % intervals over seeds and images. Certified: what linear bounds prove at that ε. "
        "Cost: training seconds relative to `none`. ↑ "
        "and ↓: the λ ends its grid, so that the best may lie beyond. In brackets: for how many "
        "seeds the other seeds choose another λ, and which; these are scored at it.\n"
    )


def _listed(sentences: Iterable[str]) -> str:
    return "".join(f"- {sentence}\n" for sentence in sentences)


def _first(rows: list[dict[Any, Any]]) -> Iterator[str]:
    """Who leads, how surely, and who else may."""
    ranked = [row for row in rows if pd.notna(row["rank"])]
    if not ranked:
        return
    names = short_names([row["regularizer"] for row in rows])
    best, *others = [row for row in ranked if row["rank"] == 1]
    worse = len(ranked) - best["rank_high"]
    yield (
        f"**{names[best['regularizer']]}** has the best mean, {_share(best, 'worst')}, and is "
        f"significantly better than {worse} of the {len(ranked) - 1} others."
    )
    if others:
        listed = ", ".join(names[row["regularizer"]] for row in others)
        yield f"No method is significantly better than any of these either: {listed}."


def _not_ranked(rows: list[dict[Any, Any]]) -> Iterator[str]:
    left_out = unranked(rows)
    if all(pd.isna(row["rank"]) for row in rows):
        most = max(left_out, key=lambda why: len(left_out[why]))
        yield f"No method has a rank yet: {most}."
        left_out.pop(most)
    for why, methods in left_out.items():
        yield f"Not ranked: {', '.join(f'`{name}`' for name in methods)}: {why}."


def _front(rows: list[dict[Any, Any]]) -> Iterator[str]:
    """Among which methods to choose, and which of the good ones costs least, by their means."""
    believed = [row for row in rows if not row["flags"] and pd.notna(row["cost"])]
    names = short_names([row["regularizer"] for row in rows])

    def told(row: Mapping[Any, Any]) -> str:
        return f"{names[row['regularizer']]} ({row['cost']:.1f} ×)"

    front = undominated(*([row[score] for row in believed] for score in ("clean", "worst")))
    best = [row for row, on_it in zip(believed, front) if on_it]
    if not best:  # all are flagged, or trained in stacks, whose time tells nothing of one model
        return
    best.sort(key=lambda row: -row["worst"])
    near = [row for row in believed if row["worst"] >= best[0]["worst"] - NEAR]
    cheapest = min(near, key=lambda row: row["cost"])
    yield (
        "By their means, and with their costs, no other method is both as accurate and as robust "
        f"as one of these: {', '.join(map(told, best))}."
    )
    yield (
        f"Of those within {100 * NEAR:g} points of the best worst case the cheapest is "
        f"{told(cheapest)}."
    )


def _table(rows: list[dict[Any, Any]]) -> str:
    """Without the columns that say nothing of any row."""
    names = short_names([row["regularizer"] for row in rows])
    lines = [_cells(row, names[row["regularizer"]]) for row in rows]
    columns = [name for name in lines[0] if any(line[name] not in ("", "–") for line in lines)]
    return markdown.table(columns, ([line[name] for name in columns] for line in lines))


def short_names(names: list[str]) -> dict[str, str]:
    """Without options where no other variant of the method is on the board."""
    variants = Counter(name.partition(":")[0] for name in names)
    bases = {name: name.partition(":")[0] for name in names}
    return {name: base if variants[base] == 1 else name for name, base in bases.items()}


def _cells(row: Mapping[Any, Any], name: str) -> dict[str, str]:
    """Column → how the row reads there."""
    return {
        "Rank": place(row["rank"], row["rank_high"]),
        "Method": name,
        "λ": strength(row),
        "Clean": f"{100 * row['clean']:.1f}",
        "Worst case": _share(row, "worst"),
        "Certified": _share(row, "certified"),
        "Cost ×": "–" if pd.isna(row["cost"]) else f"{row['cost']:.1f}",
        "Tier": row["tier"],
    }


def _share(row: Mapping[Any, Any], column: str) -> str:
    return points(row[column], row[f"{column}_low"], row[f"{column}_high"])
