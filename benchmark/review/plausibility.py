"""Whether the rows of a submission's `results.jsonl` are those of its code and its tracks. Whether
their numbers can be, whoever wrote them, `records.rules` says of every row that is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from registry.load import Registry
from registry.read import shown
from registry.spec import InputError, Trial

from ..records.flags import check_scores
from ..records.outcome import Outcome, Score
from .results import path_of, read, standing, trials_of

PROTOCOL = {  # part of a trial's spec → in words
    "recipe": "the track's recipe",
    "data": "the data set",
    "model": "the network",
    "trainer": "the trainer's version",
    "regularizer": "the code",
    "seed": "the seed",
}


def sound(registry: Registry, name: str) -> str:
    """In words what a submission's file holds. Raises InputError for the first row that does not
    belong or cannot be.
    """
    path = path_of(registry, name)
    trials = trials_of(registry, name)  # looks at the folder's files before any is opened
    outcomes = read(path)
    for number, outcome in enumerate(outcomes, start=1):
        for why in _faults(outcome, trials):
            raise InputError(f"{shown(path)}: line {number}: {why}")
    return f"{len(outcomes)} of {len(trials)} trials, {standing(outcomes)}"


def _faults(outcome: Outcome, trials: dict[str, Trial]) -> Iterator[str]:
    who = f"{outcome.entry_id} seed {outcome.seed}"
    trial = trials.get(outcome.key)
    if trial is None:
        yield f"{who}: {_difference(outcome, trials)}; `regbench submit` runs it anew"
        return
    if not _is_of(outcome, trial):
        yield f"it names {who}, but its key is that of {trial.entry.id} seed {trial.seed}"
    if outcome.provenance.get("standing") not in ("claimed", "verified"):
        yield 'provenance.standing must be "claimed" or "verified"'
    if outcome.status == "failed":
        yield "a failed trial is no result"
    if outcome.status == "finished":
        yield from _impossible(outcome, trial)


def _is_of(outcome: Outcome, trial: Trial) -> bool:
    return (outcome.entry_id, outcome.seed) == (trial.entry.id, trial.seed)


def _difference(outcome: Outcome, trials: dict[str, Trial]) -> str:
    """Why a row's key is none of the submission's."""
    like = next((trial for trial in trials.values() if _is_of(outcome, trial)), None)
    if like is None:
        return "is no entry of entries.toml"
    said, is_now = outcome.spec, json.loads(like.spec)
    changed = [part for part in is_now if said.get(part) != is_now[part]]
    if changed == ["regularizer"] and isinstance(said.get("regularizer"), dict):
        if said["regularizer"].get("sha256") != is_now["regularizer"]["sha256"]:
            return "was run with other code than regularizer.py now is"
        return "was run with other params"
    words = ", ".join(PROTOCOL[part] for part in changed)
    return f"was run under another protocol: {words} differs"


def _impossible(outcome: Outcome, trial: Trial) -> Iterator[str]:
    have = outcome.parts
    for part in trial.evaluation:
        if part.id not in have:
            yield f"{part.name} on {part.split} images is missing, which its track asks for"
    counts: dict[tuple[str, int], int] = {}
    for score in outcome.scores:
        yield from _miscounted(score, trial, counts)
    accuracy = {
        (score.threat, score.split, score.examples): score.value
        for score in outcome.scores
        if score.metric in ("accuracy", "robust_accuracy")
    }
    if check_scores(trial.evaluation, accuracy).get("robust_above_clean", -1.0) > 0:
        yield "it is more accurate under an attack than on clean images"
    if not (outcome.iterations > 0 and outcome.train_seconds > 0):
        yield "a training takes iterations and seconds"


def _where(score: Score) -> str:
    return f"{score.metric} under {score.threat} on {score.split} images"


def _miscounted(score: Score, trial: Trial, counts: dict[tuple[str, int], int]) -> Iterator[str]:
    """`counts`, (split, examples) → n, is what the scores before this one were of."""
    dataset = trial.dataset
    size = dataset.test_size if score.split == "test" else dataset.train_size
    if not 0 < score.n <= min(score.examples, size):
        yield f"{_where(score)}: n = {score.n} of {score.examples} examples cannot be"
    n = counts.setdefault((score.split, score.examples), score.n)
    if n != score.n and score.threat != "honesty":
        yield f"{_where(score)}: n = {score.n}, elsewhere {n}"
