"""A pool of local processes, one thread each. Workers live on across trials: importing torch costs seconds, once."""
from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from registry.spec import Trial

from ..outcome import Outcome


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    trial: Trial | None = None


def run_local(trials: Iterable[Trial], home: Path, workers: int, device: str = "cpu",
              on_start: Callable[[Trial], None] = lambda trial: None) -> Iterator[Outcome]:
    """Runs every trial, each after its reference where that is among them, and yields outcomes as they come.

    A worker that dies gives its trial a "failed" outcome and is replaced. Leaving the iterator early ends the workers;
    when this process itself is killed they end themselves.
    """
    waiting = deque(trials)
    unfinished = {trial.key for trial in waiting}
    failed: set[str] = set()
    pool = [_start(home, device) for _ in range(min(workers, len(waiting)))]
    try:
        while unfinished:
            for worker in pool:
                while worker.trial is None and (trial := _next_ready(waiting, unfinished)):
                    if trial.reference is not None and trial.reference.key in failed:
                        unfinished.discard(trial.key)
                        yield Outcome.of(trial, status="failed", error="its reference failed")
                        continue
                    worker.trial = trial
                    worker.pipe.send(trial)
                    on_start(trial)
            busy = [worker for worker in pool if worker.trial is not None]
            if not busy:
                break
            ready = wait([worker.pipe for worker in busy] + [worker.process.sentinel for worker in busy])
            for worker in busy:
                if worker.pipe not in ready and worker.process.sentinel not in ready:
                    continue
                trial, worker.trial = worker.trial, None
                assert trial is not None
                try:
                    outcome = worker.pipe.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    outcome = Outcome.of(trial, status="failed", error=_death(worker.process.exitcode))
                    pool[pool.index(worker)] = _start(home, device)
                unfinished.discard(trial.key)
                if outcome.status == "failed":
                    failed.add(trial.key)
                yield outcome
    finally:
        for worker in pool:
            worker.process.terminate()
        for worker in pool:
            worker.process.join()


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
        while True:
            pipe.send(run_trial(pipe.recv(), home, device))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
