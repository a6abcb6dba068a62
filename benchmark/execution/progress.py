"""What the user sees of a run: a live view in a terminal, plain lines elsewhere, or JSON events."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from registry.spec import Trial

from ..records.outcome import Outcome
from ..records.store import Store
from .runner import Plan, run
from .schedule import Execute

LINE_EVERY = 10.0  # seconds between lines where there is no terminal
RUNNING, LAST = 8, 4  # lines of the live view for running trials and for the last outcomes


class _View:
    """Counts, what is running, and what came last."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.counts = {"finished": 0, "diverged": 0, "failed": 0}
        self.failures: dict[str, int] = {}  # reason → trials: each reason is told once
        self.running: dict[str, tuple[str, float]] = {}
        self.last: deque[str] = deque(maxlen=LAST)
        self.start = time.monotonic()
        self.bar = Progress(
            TextColumn("trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        self.task = self.bar.add_task("", total=len(plan.trials), completed=plan.done)

    @property
    def complete(self) -> int:
        return self.plan.done + sum(self.counts.values())

    def begin(self, trial: Trial) -> None:
        self.running[trial.key] = f"{trial.entry.id} seed {trial.seed}", time.monotonic()

    def end(self, outcome: Outcome) -> None:
        self.running.pop(outcome.key, None)
        self.counts[outcome.status] += 1
        self.last.append(_told(outcome))
        self.bar.update(self.task, completed=self.complete)

    def counted(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)

    def left(self) -> str:
        """The first trials also wait for the workers to start: too few say nothing of the rest."""
        ran, to_run = sum(self.counts.values()), len(self.plan.trials) - self.complete
        if ran <= max(len(self.running), 2) or not to_run:
            return ""
        return f", about {(time.monotonic() - self.start) / ran * to_run:.0f} s left"

    def __rich__(self) -> Group:
        now = time.monotonic()
        lines = [
            f"  running {now - since:5.0f} s  {name}"
            for name, since in list(self.running.values())[:RUNNING]
        ]
        if len(self.running) > RUNNING:
            lines.append(f"  … and {len(self.running) - RUNNING} more")
        if not self.running and not self.last:
            lines.append("  starting workers")
        lines += [f"  {told}" for told in self.last]
        return Group(self.bar, *map(Text, [*lines, self.counted()]))


def follow(plan: Plan, home: Path, store: Store, execute: Execute, *, as_json: bool) -> int:
    """Runs a plan and shows it; returns how many trials failed. Ctrl-C stops after the running
    trials, twice at once.
    """
    console = Console(stderr=True, highlight=False, markup=False)
    out = sys.stdout  # an executor may redirect what its libraries print

    def say(**event: Any) -> None:
        if as_json:
            print(json.dumps(event), file=out, flush=True)

    say(
        event="plan",
        trials=len(plan.trials),
        done=plan.done,
        to_run=len(plan.to_run),
        harvested=plan.harvested,
    )
    view = _View(plan)
    live = console.is_terminal and not as_json and bool(plan.to_run)

    def begin(trial: Trial) -> None:
        view.begin(trial)
        say(event="start", key=trial.key, entry=trial.entry.id, seed=trial.seed)

    told = time.monotonic()
    with (
        _stopping(console) as stop,
        Live(view, console=console, refresh_per_second=4) if live else nullcontext(),
    ):
        for outcome in run(
            plan,
            home,
            store,
            execute,
            on_start=begin,
            stopping=stop.is_set,
            on_wait=lambda who: console.print(who),
        ):
            view.end(outcome)
            say(
                event="outcome",
                key=outcome.key,
                entry=outcome.entry_id,
                seed=outcome.seed,
                status=outcome.status,
                error=outcome.error,
            )
            if outcome.status == "failed":
                reason = outcome.error or "unknown"
                if reason not in view.failures:
                    console.print(
                        f"failed: {outcome.entry_id} seed {outcome.seed}: {reason}", soft_wrap=True
                    )
                view.failures[reason] = view.failures.get(reason, 0) + 1
            whole = view.complete == len(plan.trials)
            if not live and not as_json and (time.monotonic() - told > LINE_EVERY or whole):
                told = time.monotonic()
                counted = f"{view.complete}/{len(plan.trials)} trials{view.left()}"
                print(f"{counted}; last {_told(outcome)}", file=sys.stderr, flush=True)
    seconds = time.monotonic() - view.start
    say(event="end", seconds=round(seconds, 1), stopped=stop.is_set(), **view.counts)
    if not as_json:
        found = f" ({plan.harvested} of them by an interrupted run)" if plan.harvested else ""
        ran = view.counted() or ("none ran" if plan.to_run else "nothing was left to run")
        print(f"{len(plan.trials)} trials: {plan.done} were done{found}; {ran}, in {seconds:.0f} s")
    if view.failures:
        console.print(
            "\n".join(f"{count} × {reason}" for reason, count in view.failures.items()),
            soft_wrap=True,
        )
        console.print(
            f"tracebacks: {home}/<trial key>/error.txt; the same command tries failed trials again",
            soft_wrap=True,
        )
    if stop.is_set() and view.complete < len(plan.trials):
        raise KeyboardInterrupt
    return view.counts["failed"]


@contextmanager
def _stopping(console: Console) -> Iterator[threading.Event]:
    """Set by the first Ctrl-C, which begins nothing more; the second is a KeyboardInterrupt."""
    stop = threading.Event()

    def handle(signum: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print("stopping after the trials that are running; Ctrl-C again stops now")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _told(outcome: Outcome) -> str:
    robust = next(
        (
            f", {score.threat} {score.value:.3f}"
            for score in reversed(outcome.scores)
            if score.metric == "robust_accuracy" and score.split == "validation"
        ),
        "",
    )
    return f"{outcome.entry_id} seed {outcome.seed}: {outcome.status}{robust}"
