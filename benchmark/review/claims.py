"""A submission's `results.jsonl`: one Outcome a line, claimed by its author or verified by a
maintainer.

`provenance["standing"]` says which. A file is refused where its rows are not those of this code,
recipe and these tracks, or where its numbers cannot be.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from registry.load import Registry
from registry.read import shown
from registry.spec import InputError, Part, Track, Trial, canonical
from registry.write import write_whole

from ..records.export import as_line, reduced
from ..records.flags import CHECKS, check_scores, flags_of
from ..records.outcome import Examples, Outcome, Score, read_lines

Standing = Literal["claimed", "verified"]
SHARES = ("accuracy", "robust_accuracy", "success")  # metrics that count examples
# How far a repetition on another machine may lie from a claim: shares and relative distances are
# means over an entry's seeds.
TOLERANCE = 0.03
RELATIVE_TOLERANCE = 0.1


def path_of(registry: Registry, name: str) -> Path:
    return registry.regularizer_folders[name] / "results.jsonl"


def trials_of(registry: Registry, name: str, seeds: int | None = None) -> dict[str, Trial]:
    """Key → trial of every trial with which a submission enters its tracks; those of λ = 0 are the
    control's.
    """
    found: dict[str, Trial] = {}
    for _, trial in _asked(registry, name, seeds):
        found[trial.key] = found.get(trial.key, trial).also(trial.evaluation)
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
    rows = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.key):
        parts = [
            reduced(outcome, track, track.with_tiers(trial).evaluation)
            for track, trial in asked[outcome.key]
        ]
        scores = dict.fromkeys(score for part in parts for score in part.scores)
        examples = {
            (c.threat, c.split, c.metric, c.examples): c for part in parts for c in part.examples
        }
        rows.append(
            outcome.model_copy(
                update={
                    "scores": tuple(scores),
                    "examples": tuple(examples.values()),
                    "provenance": outcome.provenance | {"standing": standing},
                }
            )
        )
    path = path_of(registry, name)
    write_whole(path, "".join(f"{as_line(row)}\n" for row in rows))
    return path


def read(path: Path) -> list[Outcome]:
    """Raises InputError naming the line that is no outcome."""
    found = list(read_lines(path, "regbench submit"))
    if not found:
        raise InputError(f"{shown(path)}: is empty; delete it, or let `regbench submit` write it")
    return found


def standing(outcomes: Iterable[Outcome]) -> Standing:
    """ "verified" where every row is."""
    return (
        "verified"
        if all(outcome.provenance.get("standing") == "verified" for outcome in outcomes)
        else "claimed"
    )


def sound(registry: Registry, name: str) -> str:
    """In words what a submission's file holds. Raises InputError for the first row that does not
    belong or cannot be.
    """
    path = path_of(registry, name)
    trials = trials_of(registry, name)  # looks at the folder's files before any is opened
    outcomes = read(path)
    seen: set[str] = set()
    for number, outcome in enumerate(outcomes, start=1):
        why = next(_faults(outcome, trials), None)
        if outcome.key in seen:
            why = f"key {outcome.key} is given twice"
        if why:
            raise InputError(f"{shown(path)}: line {number}: {why}")
        seen.add(outcome.key)
    return f"{len(outcomes)} of {len(trials)} trials, {standing(outcomes)}"


def _faults(outcome: Outcome, trials: dict[str, Trial]) -> Iterator[str]:
    digest = hashlib.sha256(canonical(outcome.spec).encode()).hexdigest()[:16]
    if digest != outcome.key:
        yield f"key {outcome.key} is not that of its own spec, {digest}"
    trial = trials.get(outcome.key)
    if trial is None:
        yield f"{outcome.entry_id} seed {outcome.seed}: {_difference(outcome, trials)}; `regbench submit` runs it anew"
        return
    entry = trial.entry
    if (
        outcome.dataset,
        outcome.architecture,
        outcome.regularizer,
        outcome.strength,
        outcome.seed,
    ) != (entry.dataset, entry.architecture, entry.regularizer, entry.strength, trial.seed):
        yield f"it names {outcome.entry_id} seed {outcome.seed}, but its key is that of {entry.id} seed {trial.seed}"
    if outcome.provenance.get("standing") not in ("claimed", "verified"):
        yield 'provenance.standing must be "claimed" or "verified"'
    if outcome.status == "failed":
        yield "a failed trial is no result"
    if outcome.status == "finished":
        yield from _impossible(outcome, trial)


def _difference(outcome: Outcome, trials: dict[str, Trial]) -> str:
    """Why a row's key is none of the submission's."""
    like = next(
        (
            trial
            for trial in trials.values()
            if (
                trial.entry.dataset,
                trial.entry.architecture,
                trial.entry.regularizer,
                trial.entry.strength,
                trial.seed,
            )
            == (
                outcome.dataset,
                outcome.architecture,
                outcome.regularizer,
                outcome.strength,
                outcome.seed,
            )
        ),
        None,
    )
    if like is None:
        return "is no entry of entries.toml"
    said, is_now = outcome.spec, json.loads(like.spec)
    changed = [part for part in is_now if said.get(part) != is_now[part]]
    if changed == ["regularizer"] and isinstance(said.get("regularizer"), dict):
        code = said["regularizer"].get("sha256") != is_now["regularizer"]["sha256"]
        return (
            "was run with other code than regularizer.py now is"
            if code
            else "was run with other params"
        )
    words = {
        "recipe": "the track's recipe",
        "data": "the data set",
        "model": "the network",
        "trainer": "the trainer's version",
        "regularizer": "the code",
        "seed": "the seed",
    }
    return f"was run under another protocol: {', '.join(words[part] for part in changed)} differs"


def _impossible(outcome: Outcome, trial: Trial) -> Iterator[str]:
    sizes = {
        "train": trial.dataset.train_size,
        "validation": trial.dataset.train_size,
        "test": trial.dataset.test_size,
    }
    by_part: dict[tuple[str, str, int], list[Score]] = defaultdict(list)
    for score in outcome.scores:
        by_part[score.threat, score.split, score.examples].append(score)
    for part in trial.evaluation:
        if part.id not in by_part:
            yield f"{part.name} on {part.split} images is missing, which its track asks for"
    accuracy: dict[tuple[str, str, int], float] = {}
    counts: dict[tuple[str, int], int] = {}
    for score in outcome.scores:
        where = f"{score.metric} under {score.threat} on {score.split} images"
        if not 0 < score.n <= min(score.examples, sizes[score.split]):
            yield f"{where}: n = {score.n} of {score.examples} examples cannot be"
        if (
            counts.setdefault((score.split, score.examples), score.n) != score.n
            and score.threat != "honesty"
        ):
            yield f"{where}: n = {score.n}, elsewhere {counts[score.split, score.examples]}"
        if score.metric in SHARES or score.metric.startswith("robust_accuracy:"):
            hits = score.value * score.n
            if not 0 <= score.value <= 1 or abs(hits - round(hits)) > 1e-3:
                yield f"{where} is {score.value:g}, which is no share of {score.n} examples"
        elif score.metric == "loss" and not score.value >= 0:
            yield f"{where} is {score.value:g}; a cross-entropy is at least 0"
        if score.metric in CHECKS and score.flags != flags_of(score.metric, score.value):
            yield f"{where}: its flags are not those of its value"
        if score.metric in ("accuracy", "robust_accuracy"):
            accuracy[score.threat, score.split, score.examples] = score.value
    parts: tuple[Part, ...] = trial.evaluation
    if check_scores(parts, accuracy).get("robust_above_clean", -1.0) > 0:
        yield "it is more accurate under an attack than on clean images"
    for column in outcome.examples:
        share = accuracy.get((column.threat, column.split, column.examples))
        if column.metric == "correct" and share is not None:
            yield from _counted(column, share, counts[column.split, column.examples])
    if not (outcome.iterations > 0 and outcome.train_seconds > 0):
        yield "a training takes iterations and seconds"


def _counted(column: Examples, share: float, n: int) -> Iterator[str]:
    """Every hit and miss must be there, or a sample of them."""
    where, hits = f"correct under {column.threat} on {column.split} images", sum(column.values)
    if len(column.values) > n or set(column.values) - {0.0, 1.0}:
        yield f"{where}: {len(column.values)} values that are no hits and misses of {n} examples"
    elif not hits <= round(share * n) <= hits + n - len(column.values):
        yield f"{where}: {hits:g} hits of {len(column.values)}, but an accuracy of {share:g} over {n} examples"


def differences(claimed: Iterable[Outcome], found: Iterable[Outcome]) -> list[str]:
    """How a repetition differs from what was claimed beyond TOLERANCE, an entry's mean over seeds
    at a time.
    """
    here, there = _means(found), _means(claimed)
    told = []
    for (entry, threat, split, metric), value in there.items():
        other = here.get((entry, threat, split, metric), math.nan)
        if metric == "status":
            differs = value != other
        elif metric in SHARES:
            differs = not abs(value - other) <= TOLERANCE
        elif metric == "relative_distance":
            differs = not abs(value - other) <= RELATIVE_TOLERANCE * max(abs(value), abs(other))
        else:
            continue
        if differs:
            what = (
                "share of diverged trials"
                if metric == "status"
                else f"{metric} under {threat} on {split} images"
            )
            told.append(f"{entry}: {what} is {other:.4g}, claimed was {value:.4g}")
    return told


def _means(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str, str], float]:
    values: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for outcome in outcomes:
        values[outcome.entry_id, "", "", "status"].append(float(outcome.status == "diverged"))
        for score in outcome.scores:
            values[outcome.entry_id, score.threat, score.split, score.metric].append(score.value)
    return {name: sum(found) / len(found) for name, found in values.items()}


def hashes(folder: Path) -> dict[str, Any]:
    """SHA-256 of a submission's files, kept as provenance of its rows."""
    return {
        name: hashlib.sha256((folder / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        for name in ("card.toml", "regularizer.py", "entries.toml")
    }
