"""What commands print: tables, JSON, durations."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def print_json(data: Any) -> None:
    """What `--json` prints: standard JSON, so no NaN."""
    print(json.dumps(data, indent=1, default=str, allow_nan=False))


def without_nan(value: Any) -> Any:
    """The same data with null for every number that JSON has not."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(
    columns: list[str], rows: list[list[str]], right: frozenset[str] = frozenset()
) -> None:
    """A table as wide as its cells; the columns named in `right` are set flush right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=not sys.stdout.isatty()
        )
    for row in rows:
        table.add_row(*row)
    # A pipe has no width: rows stay whole for grep.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 10_000).print(
        table
    )


def counted(things: Sequence[T], what: str) -> Iterator[T]:
    """Each of them, with a bar on a terminal's stderr while they are gone through."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(things, what, console=console) if console.is_terminal else things


def duration(seconds: float) -> str:
    """`95` → "1 min 35 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
