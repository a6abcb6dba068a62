"""How the page writes its tables, and norms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NORMS = {"inf": "ℓ∞", "2": "ℓ2"}


def table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A cell a column of each row."""
    head = f"{_line(columns)}|{'---|' * len(columns)}\n"
    return head + "".join(map(_line, rows))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
