"""A pool of local processes, one thread each. Workers live on across trials: importing torch costs seconds, once."""
from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from registry.spec import InputError, Trial

from ..outcome import Outcome

LOOK_EVERY = 1.0  # seconds between looks at how long the trials have taken


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    ready: bool = False  # torch is imported
    trial: Trial | None = None
    since: float = 0.0


def run_local(trials: Iterable[Trial], home: Path, workers: int, device: str = "cpu", limit: float = math.inf,
              on_start: Callable[[Trial], None] = lambda trial: None) -> Iterator[Outcome]:
    """Runs every trial, each after its reference where that is among them, and yields outcomes as they come.

    A worker that dies, or takes longer than `limit` seconds for one trial and is killed, gives its trial a "failed"
    outcome and is replaced. Leaving the iterator early ends the workers; when this process itself is killed they end
    themselves.
    """
    waiting = deque(trials)
    unfinished = {trial.key for trial in waiting}
    failed: set[str] = set()
    pool = [_start(home, device) for _ in range(min(workers, len(waiting)))]
    try:
        while unfinished:
            for number, worker in enumerate(pool):
                if worker.ready and worker.trial is None and not worker.process.is_alive():
                    pool[number] = worker = _start(home, device)
                while worker.ready and worker.trial is None and (trial := _next_ready(waiting, unfinished)):
                    if trial.reference is not None and trial.reference.key in failed:
                        unfinished.discard(trial.key)
                        yield Outcome.of(trial, status="failed", error="its reference failed")
                        continue
                    worker.trial, worker.since = trial, time.monotonic()
                    worker.pipe.send(trial)
                    on_start(trial)
            for worker in _heard_of([worker for worker in pool if worker.trial or not worker.ready], limit):
                trial, worker.trial = worker.trial, None
                try:
                    outcome = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    if trial is None:
                        raise InputError(f"a worker process could not start: {_death(worker.process.exitcode)}; "
                                         "`regbench doctor` may say why") from None
                    late = time.monotonic() - worker.since > limit
                    error = f"it took longer than the limit of {limit:g} s" if late else _death(worker.process.exitcode)
                    outcome = Outcome.of(trial, status="failed", error=error)
                    pool[pool.index(worker)] = _start(home, device)
                if trial is None:
                    worker.ready = True
                    continue
                unfinished.discard(trial.key)
                if outcome.status == "failed":
                    failed.add(trial.key)
                yield outcome
    finally:
        for worker in pool:
            worker.process.terminate()
        for worker in pool:
            worker.process.join()


def _heard_of(workers: list[_Worker], limit: float) -> list[_Worker]:
    """Waits for workers that have sent something or ended; one that is over its limit is ended."""
    if not workers:
        return []
    ready = wait([worker.pipe for worker in workers] + [worker.process.sentinel for worker in workers],
                 timeout=None if limit == math.inf else LOOK_EVERY)
    for worker in workers:
        if worker.trial is not None and worker.pipe not in ready and time.monotonic() - worker.since > limit:
            worker.process.kill()
            worker.process.join()
            ready.append(worker.process.sentinel)
    return [worker for worker in workers if worker.pipe in ready or worker.process.sentinel in ready]


def _next_ready(waiting: deque[Trial], unfinished: set[str]) -> Trial | None:
    for _ in range(len(waiting)):
        trial = waiting.popleft()
        reference = trial.reference
        if reference is None or reference.key not in unfinished:
            return trial
        waiting.append(trial)
    return None


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        hint = "; out of memory? try fewer --workers" if code == -9 else ""
        return f"its worker process was ended by signal {-code}{hint}"
    return f"its worker process ended with exit code {code}"


def _start(home: Path, device: str) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, home, device), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(pipe: Connection, home: Path, device: str) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Threads of two workers on few cores hinder each other, and one thread makes a CPU trial repeat bit by bit.
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    from ..trial import run_trial

    torch.set_num_threads(1)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        pipe.send(None)
        while True:
            pipe.send(run_trial(pipe.recv(), home, device))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
