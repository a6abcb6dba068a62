"""A pool of local processes. Importing torch costs seconds: it is done once, in the process that
workers are forked from, and they live on across trials.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import MappingProxyType

from registry.spec import InputError, Trial, Unavailable

from ..records.outcome import Outcome
from .schedule import STACK, Schedule

STARTS = 3  # workers in a row that may die before they are ready
LOOK_EVERY = 1.0  # seconds between looks at how long the trials have taken


@dataclass
class _Worker:
    number: int
    evaluates: bool  # what others have trained, on the CPU, and trains nothing
    process: BaseProcess
    pipe: Connection
    # Trials that it takes at once; None until torch is imported, 0 where it has no device.
    size: int | None = None
    group: dict[str, Trial] = field(default_factory=dict)  # what it is running
    since: float = 0.0  # of its last sign of life

    def late(self, limit: float) -> bool:
        """A group trains together before its first outcome comes: its trials' time is one."""
        return bool(self.group) and time.monotonic() - self.since > limit * len(self.group)


def run_local(
    trials: Iterable[Trial],
    home: Path,
    workers: int,
    device: str = "cpu",
    limit: float = math.inf,
    on_start: Callable[[Trial], None] = lambda trial: None,
    stopping: Callable[[], bool] = lambda: False,
    environment: Mapping[str, str] = MappingProxyType({}),
    evaluators: int = 0,
) -> Iterator[Outcome]:
    """Runs every trial, each after its reference where that is among them, and yields outcomes as
    they come.

    On CPUs a worker has one thread and runs trials one by one; each GPU has one worker, which runs
    trials of a kind as groups. A worker that dies, or is killed as it takes longer than `limit`
    seconds a trial, is replaced; its trial gets a "failed" outcome, those of a group run again one
    by one. Leaving the iterator early ends the workers; when this process itself is killed they end
    themselves.

    With evaluators the workers train all that they can before they evaluate anything, and the
    evaluators evaluate what has trained.

    Args:
        device: "cpu"; "cuda:1"; "cuda", all GPUs; or "auto", all GPUs, and the CPU where there is
            none.
        stopping: once it is true nothing more is begun, and the iterator ends with what is running.
        environment: variables that the workers have before they load torch.
        evaluators: further workers, of one thread each, that evaluate on the CPU.
    Raises:
        Unavailable: workers die before they are ready.
        InputError: there is no such device.
    """
    schedule = Schedule(trials)
    numbers = range(min(workers, len(schedule)))
    pool = _Pool(home, device, limit, environment)
    pool.workers += [pool.started(number) for number in numbers]
    more = range(min(evaluators, len(schedule)))
    pool.workers += [pool.started(number, evaluates=True) for number in more]
    try:
        while schedule:
            yield from schedule.orphans()
            if not stopping():
                for trial in pool.occupied(schedule):
                    on_start(trial)
            awaited = pool.awaited(stopping())
            if not awaited:
                break
            for worker in _heard_of(awaited, limit):
                outcome = pool.heard(worker, schedule)
                if outcome is not None:
                    schedule.settle(outcome)
                    yield outcome
            if all(worker.size == 0 for worker in pool.workers if not worker.evaluates):
                raise InputError(
                    "--device: there is no such GPU; `regbench doctor` lists what there is"
                )
    finally:
        for worker in pool.workers:
            worker.process.terminate()
        for worker in pool.workers:
            worker.process.join()


@dataclass
class _Pool:
    """The workers, and what a new one in a dead one's place is started with."""

    home: Path
    device: str
    limit: float  # seconds a trial
    environment: Mapping[str, str]
    workers: list[_Worker] = field(default_factory=list)
    stillborn: int = 0  # workers in a row that died before they were ready

    @property
    def shares(self) -> bool:
        """Whether some workers evaluate what the others have trained."""
        return any(worker.evaluates for worker in self.workers)

    def occupied(self, schedule: Schedule) -> Iterator[Trial]:
        """Gives every idle worker what may run next, and yields those trials."""
        for worker in list(self.workers):
            if not worker.size or worker.group:
                continue
            if not worker.process.is_alive():
                self._replace(worker)  # which is idle once it is ready
                continue
            new = [] if worker.evaluates else schedule.take(worker.size)
            trials = new or schedule.take_trained()
            if trials:
                worker.group = {trial.key: trial for trial in trials}
                worker.since = time.monotonic()
                worker.pipe.send((trials, bool(new) and self.shares))
                yield from new

    def awaited(self, stopping: bool) -> list[_Worker]:
        """The workers that will be heard of: they run something, or are about to be ready."""
        return [
            worker
            for worker in self.workers
            if worker.group or (worker.size is None and not stopping)
        ]

    def heard(self, worker: _Worker, schedule: Schedule) -> Outcome | None:
        """What a worker has sent, if it is an outcome, or the failure of the one trial that it died
        of; a group that it died of goes back to the schedule.
        """
        late = worker.late(self.limit)
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):  # also in the middle of a message
            message = self._death(worker, schedule, late)
        if isinstance(message, Outcome):
            del worker.group[message.key]
            worker.since = time.monotonic()
            return message
        if isinstance(message, tuple):
            for key in message:
                schedule.await_evaluation(worker.group.pop(key))
            return None
        if message is not None:
            worker.size, self.stillborn = message, 0
        return None

    def _death(self, worker: _Worker, schedule: Schedule, late: bool) -> Outcome | None:
        worker.process.join()
        why = _told_of(worker.process.exitcode)
        if late:
            why = f"it took longer than the limit of {self.limit:g} s"
        if worker.size is None:
            self.stillborn += 1
        if self.stillborn == STARTS:
            raise Unavailable(
                f"worker processes cannot start: {why}; `regbench doctor` may say why"
            ) from None
        self._replace(worker)
        if len(worker.group) == 1:
            return Outcome.of(*worker.group.values(), status="failed", error=why)
        schedule.put_back(worker.group.values())
        return None

    def _replace(self, worker: _Worker) -> None:
        new = self.started(worker.number, worker.evaluates)
        self.workers[self.workers.index(worker)] = new

    def started(self, number: int, evaluates: bool = False) -> _Worker:
        """A new worker of this number. Raises Unavailable where none can be started."""
        context, failures = _context(alone=bool(self.environment)), 0
        environment = {**os.environ, **self.environment}
        device = "cpu" if evaluates else self.device
        while True:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(theirs, self.home, device, number, environment),
                daemon=True,
            )
            try:
                process.start()
            except (EOFError, OSError) as error:  # or what it is forked from has just died
                failures += 1
                if failures == STARTS:
                    raise Unavailable(f"worker processes cannot start: {error}") from error
                continue
            theirs.close()
            return _Worker(number, evaluates, process, ours)


def _context(alone: bool) -> SpawnContext | ForkServerContext:
    """How workers start: forked from one that has imported torch, whose memory they share.

    Args:
        alone: each imports them itself, under variables of its own. So it is on macOS as well,
            whose libraries do not stand a fork.
    """
    if alone or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The compiler as well: torch loads it with the first optimizer or gradient of a function.
    context.set_forkserver_preload(["torch", "torch._dynamo"])
    return context


def _heard_of(workers: list[_Worker], limit: float) -> list[_Worker]:
    """Waits for workers that have sent something or ended; one that is over its limit is ended."""
    ready = wait(
        [worker.pipe for worker in workers] + [worker.process.sentinel for worker in workers],
        timeout=None if limit == math.inf else LOOK_EVERY,
    )
    for worker in workers:
        if worker.pipe not in ready and worker.late(limit):
            worker.process.kill()
            worker.process.join()
            ready.append(worker.process.sentinel)
    return [
        worker for worker in workers if worker.pipe in ready or worker.process.sentinel in ready
    ]


def _told_of(code: int | None) -> str:
    if code is not None and code < 0:
        hint = "; out of memory? try fewer --workers" if code == -9 else ""
        return f"its worker process was ended by signal {-code}{hint}"
    return f"its worker process ended with exit code {code}"


def _work(
    pipe: Connection, home: Path, device: str, number: int, environment: Mapping[str, str]
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ctrl-C reaches the whole group; when to stop is for the parent to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # That of the process that it was forked from may be older than the caller's.
    os.environ.clear()
    os.environ |= {**environment, "OMP_NUM_THREADS": "1"}
    import torch

    from ..trials.group import configure, run_group, train_group

    configure()
    place = _place(device, number, torch.cuda.device_count())
    try:
        pipe.send(0 if place is None else 1 if place == "cpu" else STACK)
        while place is not None:
            trials, only_train = pipe.recv()
            do = train_group if only_train else run_group
            for done in do(trials, home, place):
                pipe.send(done)
    except (EOFError, BrokenPipeError):
        return


def _place(device: str, number: int, gpus: int) -> str | None:
    """The device of the worker of this number; None where there is none for it."""
    if device == "cpu" or (device == "auto" and not gpus):
        return "cpu"
    if device in ("auto", "cuda"):
        return f"cuda:{number}" if number < gpus else None
    return device if number == 0 and int(device.removeprefix("cuda:")) < gpus else None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
