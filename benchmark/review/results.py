"""A submission's `results.jsonl`, with the Parquet file beside it: rows claimed by its author or
verified by a maintainer, as `provenance["standing"]` says.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from registry.load import Registry
from registry.read import shown
from registry.spec import InputError, Track, Trial

from ..records import rows
from ..records.export import reduced
from ..records.outcome import Examples, Outcome, Score

Standing = Literal["claimed", "verified"]


def path_of(registry: Registry, name: str) -> Path:
    """Where a submission keeps its rows."""
    return registry.regularizer_folders[name] / "results.jsonl"


def trials_of(registry: Registry, name: str, seeds: int | None = None) -> dict[str, Trial]:
    """Key → trial of every trial with which a submission enters its tracks; those of λ = 0 are the
    control's.
    """
    found: dict[str, Trial] = {}
    for _, trial in _asked(registry, name, seeds):
        found[trial.key] = found.get(trial.key, trial).also(trial.evaluation)
    return found


def as_claimed(registry: Registry, name: str, claimed: Iterable[Outcome]) -> dict[str, Trial]:
    """Key → trial of those that a results file has rows of, with the parts of higher tiers that it
    has as well; but not the images of other models, which would have to be trained.
    """
    has = {outcome.key: outcome.parts for outcome in claimed}
    found: dict[str, Trial] = {}
    for track, trial in _asked(registry, name):
        if trial.key not in has:
            continue
        (extended,) = track.with_tiers([trial])
        more = (part for part in extended.evaluation if part.id in has[trial.key])
        alone = (part for part in more if part.threat is None or part.threat.attack != "transfer")
        found[trial.key] = found.get(trial.key, trial).also((*trial.evaluation, *alone))
    return found


def _asked(
    registry: Registry, name: str, seeds: int | None = None
) -> Iterator[tuple[Track, Trial]]:
    for track_name, entries in registry.submitted_entries(name).items():
        track = registry.track(track_name)
        trials = (
            registry.trial(entry, track, seed)
            for entry in entries
            for seed in range(track.seeds if seeds is None else seeds)
        )
        yield from ((track, trial) for trial in trials if trial.plugin is not None)


def write(registry: Registry, name: str, outcomes: Iterable[Outcome], standing: Standing) -> Path:
    """Writes a submission's `results.jsonl`, in the form of registered rows: ordered by key, with a
    sample of what was measured per example. Returns its path."""
    asked: dict[str, list[tuple[Track, Trial]]] = defaultdict(list)
    for track, trial in _asked(registry, name):
        asked[trial.key].append((track, trial))
    found = []
    for outcome in outcomes:
        row = _row(outcome, asked[outcome.key])
        told = outcome.provenance | {"standing": standing}
        found.append(row.model_copy(update={"provenance": told}))
    path = path_of(registry, name)
    rows.write(path, found)
    return path


def _row(outcome: Outcome, asked: Iterable[tuple[Track, Trial]]) -> Outcome:
    """What all of the tracks that ask for a trial would keep of it."""
    scores: dict[Score, None] = {}
    examples: dict[tuple, Examples] = {}
    for track, trial in asked:
        (extended,) = track.with_tiers([trial])
        part = reduced(outcome, track, extended.evaluation)
        scores |= dict.fromkeys(part.scores)
        examples |= {(c.threat, c.split, c.metric, c.examples): c for c in part.examples}
    return outcome.model_copy(
        update={"scores": tuple(scores), "examples": tuple(examples.values())}
    )


def read(path: Path) -> list[Outcome]:
    """Raises InputError naming the line that is no sound row."""
    found = list(rows.outcomes(path, "regbench submit"))
    if not found:
        raise InputError(f"{shown(path)}: is empty; delete it, or let `regbench submit` write it")
    return found


def standing(outcomes: Iterable[Outcome]) -> Standing:
    """Whether every row is verified."""
    said = {outcome.provenance.get("standing") for outcome in outcomes}
    return "verified" if said == {"verified"} else "claimed"


def hashes(folder: Path) -> dict[str, Any]:
    """SHA-256 of a submission's files, kept as provenance of its rows."""
    return {
        name: hashlib.sha256((folder / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        for name in ("card.toml", "regularizer.py", "entries.toml")
    }
