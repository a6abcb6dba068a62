"""What must be true of the numbers of a row, whoever wrote it. Its form alone, the fields and their
types, is `outcome`'s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from registry.spec import canonical

from .flags import CHECKS, flags_of
from .metrics import HITS, WHOLE, is_threat, of_column, of_score
from .outcome import Examples, Outcome, Score

ROUNDING = 1e-3  # relative: of values per image, of which four digits may be kept, their mean
LONGEST_NAME = 200
ACCURACIES = ("accuracy", "robust_accuracy", "certified_accuracy")  # the means of hits

Where = tuple[str, str, int]  # a part's id: threat, split, examples


class Column(NamedTuple):
    """Values per image as an array: [as many as are kept]."""

    threat: str
    split: str
    metric: str
    examples: int
    values: np.ndarray

    def __str__(self) -> str:
        return f"{self.metric} under {self.threat} on {self.split} images"

    @property
    def part(self) -> Where:
        return self.threat, self.split, self.examples

    @classmethod
    def of(cls, row: Examples) -> Column:
        return cls(row.threat, row.split, row.metric, row.examples, np.asarray(row.values, float))


def faults(outcome: Outcome, columns: Iterable[Column] | None = None) -> Iterator[str]:
    """What cannot be true of a row, in words that name the field; nothing of a sound one.

    Args:
        columns: its values per image, where they are not in it.
    """
    yield from _identity(outcome)
    if (outcome.error is None) == (outcome.status == "failed"):
        yield "error: is told of a failed trial, and of no other"
    if outcome.status == "failed" and outcome.scores:
        yield "scores: a failed trial has none"
    if columns is None:
        columns = map(Column.of, outcome.examples)
    yield from part_faults(outcome.scores, columns)
    yield from _twice("layers", ((row.layer, row.kind, row.metric) for row in outcome.layers))
    yield from _twice("epochs", ((row.phase, row.epoch) for row in outcome.epochs))


def part_faults(scores: Sequence[Score], columns: Iterable[Column]) -> Iterator[str]:
    """What cannot be true of the scores and the values per image of parts of an evaluation."""
    known: dict[tuple[Where, str], Score] = {}
    images: dict[Where, int] = {}
    for score in scores:
        part = score.threat, score.split, score.examples
        fault = _score(score)
        if (part, score.metric) in known:
            fault = "is given twice"
        if images.setdefault(part, score.n) != score.n:
            fault = f"n = {score.n}, but {images[part]} in another score of this part"
        if fault is not None:
            yield f"scores: {score.metric} under {score.threat} on {score.split} images: {fault}"
        known[part, score.metric] = score
    yield from _columns(list(columns), known, images)


def _columns(
    columns: list[Column], known: Mapping[tuple[Where, str], Score], images: Mapping[Where, int]
) -> Iterator[str]:
    seen: set[tuple[Where, str]] = set()
    for column in columns:
        part, told = column.part, len(column.values)
        fault = None
        if part not in images:
            fault = "there are no scores of this part"
        elif not 0 < told <= images[part]:
            fault = f"{told} values of {images[part]} images"
        if (part, column.metric) in seen:
            fault = "is given twice"
        seen.add((part, column.metric))
        if fault is not None:
            yield f"examples: {column}: {fault}"
            return
    for column, summary in zip(columns, _summaries(columns)):
        fault = _value(column, summary) or _disagreement(column, summary, known)
        if fault is not None:
            yield f"examples: {column}: {fault}"


def _identity(outcome: Outcome) -> Iterator[str]:
    for field in ("dataset", "architecture", "regularizer"):
        name = getattr(outcome, field)
        if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
            yield f"{field}: must be 1 to {LONGEST_NAME} printable characters"
    try:
        digest = hashlib.sha256(canonical(outcome.spec).encode()).hexdigest()[:16]
    except ValueError as error:
        yield f"spec: is no plain data ({error})"
        return
    if outcome.key != digest:
        yield f"key: {outcome.key[:16]} is not that of its own spec, {digest}"
    if outcome.spec.get("seed") != outcome.seed:
        yield f"seed: is {outcome.seed}, in the spec {outcome.spec.get('seed')!r:.20}"
    method = outcome.spec.get("regularizer")
    strength = method.get("lambda") if isinstance(method, dict) else 0.0
    if strength != outcome.strength:
        yield f"lambda: is {outcome.strength:g}, in the spec {strength!r:.20}"
    if (method is None) != (outcome.regularizer == "none"):
        told = "none" if method is None else "one"
        yield f"regularizer: is {outcome.regularizer}, and the spec has {told}"
    try:
        datetime.fromisoformat(outcome.started or "2000-01-01")
    except ValueError:
        yield "started: must be a time in the form of ISO 8601"


def _score(score: Score) -> str | None:
    allowed = of_score(score.metric)
    if allowed is None:
        return "is no known metric"
    if not is_threat(score.threat):
        return "is no known threat"
    if score.n > score.examples:
        return f"n = {score.n} of {score.examples} examples cannot be"
    if not allowed.holds(score.value):
        return f"is {score.value:g}, which must be {allowed}"
    hits = score.value * score.n
    if allowed.counted and abs(hits - round(hits)) > 1e-3:
        return f"is {score.value:g}, which is no share of {score.n} examples"
    if score.flags != (flags_of(score.metric, score.value) if score.metric in CHECKS else ()):
        return "its flags are not those of its value"
    return None


class Summary(NamedTuple):
    """Of a column's values: the least and the largest, NaN aside, how many are NaN, finite and no
    whole numbers, and the sum of the finite ones and of their sizes."""

    low: float
    high: float
    undefined: int
    finite: int
    broken: int
    total: float
    size: float


def _summaries(columns: Sequence[Column]) -> Iterator[Summary]:
    """Of columns that are not empty, all at once: there may be 10,000."""
    if not columns:
        return iter(())
    values = np.concatenate([column.values for column in columns], dtype=float)
    starts = np.cumsum([0, *(len(column.values) for column in columns[:-1])])
    finite = np.isfinite(values)
    usable = np.where(finite, values, 0.0)
    found = [
        np.fmin.reduceat(values, starts),
        np.fmax.reduceat(values, starts),
        np.add.reduceat(np.isnan(values), starts, dtype=int),
        np.add.reduceat(finite, starts, dtype=int),
        np.add.reduceat(usable != np.rint(usable), starts, dtype=int),
        np.add.reduceat(usable, starts),
        np.add.reduceat(np.abs(usable), starts),
    ]
    return map(Summary._make, zip(*(array.tolist() for array in found)))


def _value(column: Column, summary: Summary) -> str | None:
    """Whether each value can be."""
    allowed = of_column(column.metric)
    if allowed is None:
        return "is no known metric"
    if summary.undefined and not allowed.undefined:
        return f"NaN is among the values, which must be {allowed}"
    if summary.undefined < len(column.values):
        for end in (summary.low, summary.high):
            if not allowed.holds(end):
                return f"{end:g} is among the values, which must be {allowed}"
    if summary.broken and column.metric in WHOLE:
        return "not all of its values are whole numbers"
    return None


def _disagreement(
    column: Column, summary: Summary, known: Mapping[tuple[Where, str], Score]
) -> str | None:
    """Whether values per image, all or a sample of them, are not those of their scores."""
    told = len(column.values)
    if column.metric in HITS:
        found = (known.get((column.part, accuracy)) for accuracy in ACCURACIES)
        for score in filter(None, found):
            if not summary.total <= round(score.value * score.n) <= summary.total + score.n - told:
                return (
                    f"{summary.total:g} hits of {told}, but an accuracy of {score.value:g} over "
                    f"{score.n} examples"
                )
        return None
    mean = known.get((column.part, column.metric))
    share = known.get((column.part, f"{column.metric}:finite"))
    if mean is None or share is None or told < mean.n:
        return None
    if summary.finite != round(share.value * share.n):
        return f"{summary.finite} values are finite, but a share of {share.value:g}"
    if abs(summary.total - mean.value * summary.finite) > ROUNDING * summary.size:
        return f"their mean is {summary.total / summary.finite:g}, not {mean.value:g}"
    return None


def _twice(field: str, ids: Iterable[tuple]) -> Iterator[str]:
    seen = set()
    for one in ids:
        if one in seen:
            yield f"{field}: {' '.join(map(str, one))} is given twice"
            return
        seen.add(one)


def clash(one: Outcome, other: Outcome) -> str | None:
    """A score that two rows of one trial give another value, in words."""
    values = {(s.metric, s.threat, s.split, s.examples): s.value for s in one.scores}
    for s in other.scores:
        value = values.get((s.metric, s.threat, s.split, s.examples), s.value)
        if value != s.value and not (np.isnan(value) and np.isnan(s.value)):
            return f"{s.metric} under {s.threat} on {s.split} images is {value:g} and {s.value:g}"
    return None
