"""The commands of `regbench`, and what they share. Nothing here loads torch before something trains."""
from __future__ import annotations

import json
import math
import os
import re
import sys
from typing import Annotated, Any

import typer

from registry.read import nearest
from registry.spec import InputError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="RegBench: rank regularizers against adversarial examples.\n\n"
                       "Example: regbench run quickstart && regbench rank quickstart && regbench app")

Selectors = Annotated[list[str], typer.Argument(help="Track names, or globs of entry ids such as 'digits/*/jacobian/*'.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Only the first so many seeds of each track.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes at once: one thread each on a CPU, or one for each GPU.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N; auto takes the GPU where there is one.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run submitted code without the sandbox. Read it first.")]
CORES = os.cpu_count() or 1


def check_device(name: str) -> None:
    """Raises InputError for what is no device's name."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError(f"--device: {nearest(name, ('auto', 'cpu', 'cuda', 'cuda:0'), 'a device')}")


def print_json(data: Any) -> None:
    print(json.dumps(data, indent=1, default=str, allow_nan=False))


def without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(columns: list[str], rows: list[list[str]], right: frozenset[str] = frozenset()) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*row)
    # A pipe has no width: rows stay whole for grep.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 10_000).print(table)


def duration(seconds: float) -> str:
    """`95` → "1 min 35 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
