"""Certificates of trials that have run, found on their weights and added to their outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from registry.spec import Track, Trial

from ..records.home import TrialFolder
from ..records.store import Store
from .runner import Plan, known


def to_certify(chosen: Iterable[tuple[Track, Trial]], home: Path, store: Store) -> Plan:
    """The trials of a selection with their tracks' certificates as all that is to be evaluated, but
    those that know them neither from a run here nor from registered rows and have no weights here.

    Nothing is trained: a trial without weights is left to `runner.plan`.
    """
    merged: dict[str, Trial] = {}
    for track, trial in chosen:
        parts = track.certificates(trial.dataset.test_size)
        alone = trial.model_copy(update={"evaluation": parts, "sandboxed": False})
        other = merged.get(trial.key)
        merged[trial.key] = alone if other is None else other.also(parts)
    done = known(merged, store)
    trials = [trial for trial in merged.values() if trial.key in done or _has_run(trial, home)]
    return Plan(trials, [trial for trial in trials if trial.key not in done])


def _has_run(trial: Trial, home: Path) -> bool:
    """Whether there are weights, and an outcome that certificates can be added to."""
    folder = TrialFolder(home, trial.key)
    return folder.is_trained and folder.outcome() is not None
