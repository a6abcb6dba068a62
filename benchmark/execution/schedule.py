"""What may run next: every trial after its reference, trials of a kind together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from registry.spec import Trial, canonical

from ..records.outcome import Outcome

STACK = 80  # trials in a group at most, on a device that trains groups as one model


class Execute(Protocol):
    """An executor with its settings given: takes trials and yields their outcomes as they come."""

    def __call__(
        self,
        trials: Iterable[Trial],
        home: Path,
        *,
        on_start: Callable[[Trial], None],
        stopping: Callable[[], bool],
    ) -> Iterator[Outcome]: ...


class Schedule:
    """The trials of a run that are not over."""

    def __init__(self, trials: Iterable[Trial]):
        trials = list(trials)
        self._unfinished = {trial.key for trial in trials}
        self._ready: dict[object, deque[Trial]] = {}  # kind → trials, in order of first appearance
        self._blocked: dict[
            str, list[Trial]
        ] = {}  # key of a reference → the trials that wait for it
        self._trained: deque[Trial] = deque()  # that only wait for their evaluation
        self._orphans: list[Trial] = []
        references: dict[object, str | None] = {}
        for trial in trials:
            name = trial.reference_id
            if name not in references:
                reference = trial.reference
                references[name] = None if reference is None else reference.key
            key = references[name]
            if key in self._unfinished:
                self._blocked.setdefault(str(key), []).append(trial)
            else:
                self._add(trial)

    def __len__(self) -> int:
        return len(self._unfinished)

    def _add(self, trial: Trial, alone: bool = False) -> None:
        self._ready.setdefault(trial.key if alone else kind(trial), deque()).append(trial)

    def take(self, size: int) -> list[Trial]:
        """Up to `size` trials that can train as one; none where all that are left are running or
        wait for a reference.
        """
        for which, trials in self._ready.items():
            group = [trials.popleft() for _ in range(min(size, len(trials)))]
            if not trials:
                del self._ready[which]
            return group
        return []

    def take_trained(self) -> list[Trial]:
        """One trial that has trained and waits for its evaluation; none where there is none."""
        return [self._trained.popleft()] if self._trained else []

    def put_back(self, trials: Iterable[Trial]) -> None:
        """Trials of a group that broke: each runs alone now, so that one of them cannot bring down
        the others again.
        """
        for trial in trials:
            self._add(trial, alone=True)

    def await_evaluation(self, trial: Trial) -> None:
        """Notes that a trial has trained: those that wait for it may begin."""
        self._trained.append(trial)
        self._unblock(trial.key)

    def settle(self, outcome: Outcome) -> None:
        """Notes that a trial is over."""
        self._unfinished.discard(outcome.key)
        if outcome.status == "failed":
            self._orphans += self._blocked.pop(outcome.key, [])
        else:
            self._unblock(outcome.key)

    def _unblock(self, key: str) -> None:
        for trial in self._blocked.pop(key, []):
            self._add(trial)

    def orphans(self) -> Iterator[Outcome]:
        """The outcomes of the trials whose reference failed."""
        while self._orphans:
            trial = self._orphans.pop(0)
            self._unfinished.discard(trial.key)
            yield Outcome.of(trial, status="failed", error="its reference failed")


def kind(trial: Trial) -> object:
    """Equal for trials that the stacked engine may train as one: they differ in λ and seed only."""
    if not trial.stackable:
        return trial.key
    return (
        trial.dataset.identity,
        trial.architecture.identity,
        trial.recipe.identity,
        trial.regularizer_sha256,
        canonical(trial.params),
    )
