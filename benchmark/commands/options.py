"""The options that several commands take, spelt once."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from registry.read import nearest
from registry.spec import InputError

Selectors = Annotated[
    list[str],
    typer.Argument(
        help="Track names, or globs of entry ids such as 'digits/*/jacobian/*', or "
        "'quickstart/*/jacobian/*' for a track's own."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seeds = Annotated[
    int | None, typer.Option(min=1, help="Only the first so many seeds of each track.")
]
Workers = Annotated[
    int,
    typer.Option(min=1, help="Processes at once: one thread each on a CPU, or one for each GPU."),
]
Device = Annotated[
    str, typer.Option(help="cpu, cuda or cuda:N; auto takes the GPU where there is one.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run submitted code without the sandbox. Read it first.")
]
CORES = os.cpu_count() or 1


def check_one_of(option: str, given: str, known: Sequence[str], what: str) -> None:
    """Raises InputError for a value that an option does not know; `what` is "a tier", say."""
    if given not in known:
        raise InputError(f"{option}: {nearest(given, known, what)}")


def check_device(name: str) -> None:
    """Raises InputError for what is no device's name."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError(
            f"--device: {nearest(name, ('auto', 'cpu', 'cuda', 'cuda:0'), 'a device')}"
        )
