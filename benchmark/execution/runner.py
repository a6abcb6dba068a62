"""The batch runner: plans a selection, skips what is done, runs the rest and harvests it. The sole
database writer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from registry.spec import Part, Trial

from ..records.home import TrialFolder
from ..records.outcome import Outcome
from ..records.store import Store
from .schedule import Execute

WRITE_EVERY = 1.0  # seconds: a write costs some 50 ms, a small trial little more


@dataclass(frozen=True)
class Plan:
    """The trials of a selection and the references that they fine-tune, each once, references
    first.

    harvested: how many of those that are done an interrupted run had left unrecorded.
    """

    trials: list[Trial]
    to_run: list[Trial] = field(default_factory=list)
    harvested: int = 0

    @property
    def done(self) -> int:
        return len(self.trials) - len(self.to_run)


def known(trials: Mapping[str, Trial], store: Store) -> set[str]:
    """Those of `trials`, key → trial, of which the store has every part; asked once for all that
    are evaluated alike.
    """
    shared = {
        id(trial.evaluation): trial.evaluation for trial in trials.values()
    }  # few objects; hashing each is slow
    alike: dict[tuple[Part, ...], list[str]] = {evaluation: [] for evaluation in shared.values()}
    lists = {number: alike[evaluation] for number, evaluation in shared.items()}
    for key, trial in trials.items():
        lists[id(trial.evaluation)].append(key)
    done: set[str] = set()
    for evaluation, keys in alike.items():
        done |= store.done(keys, [part.id for part in evaluation])
    return done


def plan(trials: Iterable[Trial], store: Store) -> Plan:
    """Trials that are one by their key become one, evaluated under the threats of all.

    Nothing is to run of a trial whose every part the store knows, from a run here or from the
    registered results. A trial that lacks a part is evaluated on its weights, or trained again
    where they are not here; so is its reference.
    """
    merged: dict[str, Trial] = {}
    references: dict[Any, Trial] = {}
    fine_tuned: dict[str, Any] = {}  # trial's key → which reference
    for trial in trials:  # maybe 100,000: what takes microseconds is asked once of each
        key = trial.key
        other = merged.setdefault(key, trial)
        if other is not trial:
            merged[key] = other.also(trial.evaluation)
        elif (which := trial.reference_id) is not None:
            fine_tuned[key] = which
            if which not in references:
                references[which] = cast("Trial", trial.reference)
    first = {reference.key: reference for reference in references.values()}
    for key in merged.keys() & first.keys():
        first[key] = first[key].also(merged.pop(key).evaluation)
    everything = first | merged
    done = known(everything, store)
    # Registered rows bring no weights: a reference that is known but not here runs where a
    # fine-tune starts from it.
    home = store.path.parent
    folders = set(os.listdir(home)) if home.is_dir() else set()
    trained = {key for key in folders if TrialFolder(home, key).is_trained}
    absent = {
        which: reference.key
        for which, reference in references.items()
        if reference.key not in trained
    }
    done -= {
        absent[which]
        for key, which in fine_tuned.items()
        if which in absent and key not in done and key not in trained
    }
    return Plan(
        list(everything.values()), [trial for key, trial in everything.items() if key not in done]
    )


def prepared(trials: Iterable[Trial], home: Path, store: Store) -> Plan:
    """The plan of a run: what a killed run left behind unrecorded is recorded, not run again."""
    trials = list(trials)
    chosen = plan(trials, store)
    harvested = harvest(chosen.to_run, home, store)
    return replace(plan(trials, store), harvested=harvested) if harvested else chosen


def trusted(trials: Iterable[Trial]) -> list[Trial]:
    """The same trials, of which submitted code runs as registered code does, in no sandbox."""
    return [
        trial.model_copy(update={"sandboxed": False}) if trial.sandboxed else trial
        for trial in trials
    ]


def harvest(trials: Iterable[Trial], home: Path, store: Store) -> int:
    """Records finished outcomes that a killed run left behind unrecorded; returns how many."""
    found = []
    for trial in trials:
        outcome = TrialFolder(home, trial.key).outcome()
        if outcome is not None and outcome.answers(trial):
            found.append(outcome)
    if found:
        store.record(found)
    return len(found)


def run(
    plan: Plan,
    home: Path,
    store: Store,
    execute: Execute,
    *,
    on_start: Callable[[Trial], None] = lambda trial: None,
    stopping: Callable[[], bool] = lambda: False,
    on_wait: Callable[[str], None] = lambda who: None,
) -> Iterator[Outcome]:
    """Runs what is to run and yields every outcome; all that was yielded is in the database when
    the iterator ends.
    """
    unwritten: list[Outcome] = []
    written = time.monotonic()
    try:
        for outcome in execute(plan.to_run, home, on_start=on_start, stopping=stopping):
            unwritten.append(outcome)
            if time.monotonic() - written > WRITE_EVERY:
                store.record(unwritten, on_wait)
                unwritten, written = [], time.monotonic()
            yield outcome
    finally:
        if unwritten:
            store.record(unwritten, on_wait)
