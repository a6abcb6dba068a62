"""What is found on the weights of trials that have run, and added to their outcomes: certificates,
and the adversarial images of other models. Nothing is trained, unless weights turn out damaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from registry.spec import Track, Trial

from ..records.home import TrialFolder
from ..records.store import Store
from .runner import Plan, known


def to_certify(chosen: Iterable[tuple[Track, Trial]], home: Path, store: Store) -> Plan:
    """`afterwards` of the trials of a selection with their tracks' certificates."""
    asked = [
        trial.model_copy(update={"evaluation": track.certificates(trial.dataset.test_size)})
        for track, trial in chosen
    ]
    return afterwards(asked, home, store)


def afterwards(asked: Iterable[Trial], home: Path, store: Store) -> Plan:
    """Trials whose evaluation is all that is to be added to what is known of them, but those that
    know it neither from a run here nor from registered rows and have no weights here.

    A trial without weights is left to `runner.plan`.
    """
    merged: dict[str, Trial] = {}
    for trial in asked:
        other = merged.get(trial.key)
        merged[trial.key] = trial if other is None else other.also(trial.evaluation)
    done = known(merged, store)
    trials = [trial for trial in merged.values() if trial.key in done or _may_run(trial, home)]
    return Plan(trials, [trial for trial in trials if trial.key not in done])


def _may_run(trial: Trial, home: Path) -> bool:
    """Whether there are weights, and an outcome that more can be added to, and the weights of the
    models whose images are asked for.
    """
    folder = TrialFolder(home, trial.key)
    sources = [source.key for part in trial.evaluation for source in part.sources]
    return (
        folder.is_trained
        and folder.outcome() is not None
        and all(TrialFolder(home, key).is_trained for key in sources)
    )
