"""Certificates of trials that have run, found on their weights and added to their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from registry.spec import Radius, Track, Trial

from ..records.home import TrialFolder
from ..records.store import Store
from .runner import Plan

if TYPE_CHECKING:
    from ..trials.certify import Looked


def to_certify(chosen: Iterable[tuple[Track, Trial]], home: Path, store: Store) -> Plan:
    """The trials of a selection with their tracks' certificates as all that is to be evaluated, but
    those that know them neither from a run here nor from registered rows and have no weights here.

    Nothing is trained: a trial without weights is left to `runner.plan`.
    """
    merged: dict[str, Trial] = {}
    for track, trial in chosen:
        parts = track.certificates(trial.dataset.test_size)
        alone = trial.model_copy(update={"evaluation": parts, "sandboxed": False})
        known = merged.get(trial.key)
        merged[trial.key] = alone if known is None else known.also(parts)
    done = {
        key
        for key, trial in merged.items()
        if store.done([key], [part.id for part in trial.evaluation])
    }
    trials = [trial for trial in merged.values() if trial.key in done or _has_run(trial, home)]
    return Plan(trials, [trial for trial in trials if trial.key not in done])


def _has_run(trial: Trial, home: Path) -> bool:
    """Whether there are weights, and an outcome that certificates can be added to."""
    folder = TrialFolder(home, trial.key)
    return folder.is_trained and folder.outcome() is not None


def look_at(
    trial: Trial,
    home: Path,
    radii: Sequence[Radius],
    images: int,
    *,
    seconds: float | None,
    on_images: Callable[[int], None],
) -> list[Looked]:
    """Both sides of a trained model at any radii, stored nowhere; see `trials.certify`."""
    import torch

    from ..trials.certify import look_at

    torch.set_num_threads(1)
    return look_at(trial, home, radii, images, seconds=seconds, on_images=on_images)
