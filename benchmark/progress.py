"""What the user sees of a run: a live bar in a terminal, plain lines elsewhere, or JSON events."""
from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .outcome import Outcome
from .runner import Plan, run
from .store import Store

LINE_EVERY = 10.0  # seconds between lines where there is no terminal


def follow(plan: Plan, harvested: int, home: Path, store: Store, workers: int, device: str, limit: float, *,
           as_json: bool) -> int:
    """Runs a plan and shows it; returns how many trials failed."""
    console = Console(stderr=True, highlight=False, markup=False)
    say = _event if as_json else lambda **event: None
    say(event="plan", trials=len(plan.trials), done=plan.done, to_run=len(plan.to_run), harvested=harvested)
    counts = {"finished": 0, "diverged": 0, "failed": 0}
    failures: dict[str, int] = {}  # reason → trials: each reason is told once
    start = told = time.monotonic()
    live = console.is_terminal and not as_json
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"),
                   TimeRemainingColumn(), TextColumn("{task.fields[last]}"), console=console, disable=not live)
    with bar:
        task = bar.add_task("trials", total=len(plan.trials), completed=plan.done, last="starting workers")
        for outcome in run(plan, home, store, workers=workers, device=device, limit=limit,
                           on_start=lambda trial: say(event="start", key=trial.key, entry=trial.entry.id),
                           on_wait=lambda who: console.print(who)):
            counts[outcome.status] += 1
            last = f"{_id(outcome)} seed {outcome.seed}: {outcome.status}"
            bar.update(task, advance=1, last=last)
            say(event="outcome", key=outcome.key, entry=_id(outcome), seed=outcome.seed, status=outcome.status,
                error=outcome.error)
            if outcome.status == "failed":
                reason = outcome.error or "unknown"
                if reason not in failures:
                    console.print(f"failed: {_id(outcome)} seed {outcome.seed}: {reason}", soft_wrap=True)
                failures[reason] = failures.get(reason, 0) + 1
            complete = plan.done + sum(counts.values())
            if not live and not as_json and (time.monotonic() - told > LINE_EVERY or complete == len(plan.trials)):
                told = time.monotonic()
                ran, left = sum(counts.values()), len(plan.trials) - complete
                # The first trials also wait for the workers to start: too few say nothing about the rest.
                eta = f", about {(told - start) / ran * left:.0f} s left" if ran > workers and left else ""
                print(f"{complete}/{len(plan.trials)} trials{eta}; last {last}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - start
    say(event="end", seconds=round(seconds, 1), **counts)
    if not as_json:
        ran = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "nothing was left to run"
        found = f" ({harvested} of them by an interrupted run)" if harvested else ""
        print(f"{len(plan.trials)} trials: {plan.done} were done{found}; {ran}, in {seconds:.0f} s")
    if failures:
        console.print("\n".join(f"{count} × {reason}" for reason, count in failures.items()), soft_wrap=True)
        console.print(f"tracebacks: {home}/<trial key>/error.txt; the same command tries failed trials again", soft_wrap=True)
    return counts["failed"]


def _event(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def _id(outcome: Outcome) -> str:
    return f"{outcome.dataset}/{outcome.architecture}/{outcome.regularizer}/{outcome.strength:g}"
