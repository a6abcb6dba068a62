"""What is found on trained weights, with a bar on the way: certificates, transfer."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..execution import Plan
    from ..records.store import Store


def find(plan: Plan, home: Path, store: Store, workers: int, device: str, as_json: bool) -> None:
    """Evaluates what the plan has to run; with JSON to come, its progress goes to stderr.

    Raises typer.Exit with 1 where a trial failed.
    """
    from ..execution import progress
    from ..execution.local import run_local
    from ..records.home import sole_runner

    if not plan.to_run:
        return
    execute = partial(run_local, workers=workers, device=device)
    with sole_runner(home), redirect_stdout(sys.stderr if as_json else sys.stdout):
        if progress.follow(plan, home, store, execute, as_json=False):
            raise typer.Exit(1)
