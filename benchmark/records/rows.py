"""Files of rows, registered or submitted: `NAME.jsonl`, one trial a line with its scores, to be
read and reviewed, and `NAME.parquet` beside it with what each trial has a list of.

A line holds its own hash and that of its lists. `SELECT key, unnest(map_entries(scores))` and
`SELECT key, unnest(examples)` are how DuckDB reads the two.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from pydantic import Field, TypeAdapter, ValidationError

from registry.read import first_fault, read_whole, shown
from registry.spec import InputError
from registry.write import write_whole

from .lists import Lists, as_parquet, lines, of_parquet, table
from .outcome import Epoch, Layer, Number, Outcome, Score, Told
from .rules import faults
from .seal import is_sealed, sealed, unsealed

LARGEST = 2**30  # bytes of a file
_PART = re.compile(r"(\S+) (train|validation|test) (\d{1,10})(?: of (\d{1,10}))?")


# Many at once: one by one they take three times as long.
_EPOCHS = TypeAdapter(list[Epoch])
_SCORES = TypeAdapter(list[Score])
_LAYERS = TypeAdapter(list[Layer])


class Line(Told):
    """A row as text. A part is named by its threat, its split and its images: "clean test 360 of
    1000", where the track asked for 1000.
    """

    scores: Annotated[dict[str, dict[str, Number]], Field(default_factory=dict)]
    flags: Annotated[
        dict[str, tuple[str, ...]], Field(default_factory=dict)
    ]  # of a part: the metrics that raise theirs
    lists: str  # hash of its line of the Parquet file

    @classmethod
    def of(cls, outcome: Outcome) -> Line:
        scores: dict[str, dict[str, float]] = {}
        flags: dict[str, tuple[str, ...]] = {}
        for score in outcome.scores:
            part = _part(score)
            scores.setdefault(part, {})[score.metric] = score.value
            if score.flags:
                flags[part] = (*flags.get(part, ()), score.metric)
        told = {name: getattr(outcome, name) for name in Told.model_fields}
        return cls(**told, scores=scores, flags=flags, lists=Lists.of(outcome).sha256)

    def outcome(self, lists: Lists) -> Outcome:
        """Without its values per image. Raises ValueError for what names no part."""
        scores: list[dict[str, Any]] = []
        for part, metrics in self.scores.items():
            threat, split, n, examples = _named(part)
            flagged = self.flags.get(part, ())
            if not set(flagged) <= metrics.keys():
                raise ValueError(f"flags: {part}: {flagged[0]} is none of its metrics")
            of = {"threat": threat, "split": split, "n": n, "examples": examples}
            for metric, value in metrics.items():
                flags = (metric,) if metric in flagged else ()
                scores.append({**of, "metric": metric, "value": value, "flags": flags})
        if not self.flags.keys() <= self.scores.keys():
            raise ValueError("flags: they are of a part that has no scores")
        told = {name: getattr(self, name) for name in Told.model_fields}
        return Outcome(
            **told,
            epochs=tuple(_EPOCHS.validate_python(lists.epochs)),
            scores=tuple(_SCORES.validate_python(scores)),
            layers=tuple(_LAYERS.validate_python(lists.layers)),
        )


def _part(score: Score) -> str:
    asked = "" if score.n == score.examples else f" of {score.examples}"
    return f"{score.threat} {score.split} {score.n}{asked}"


def _named(part: str) -> tuple[str, Any, int, int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"scores: {part!r} must be as 'clean test 360 of 1000'")
    return found[1], found[2], int(found[3]), int(found[4] or found[3])


class Rows(NamedTuple):
    """What a pair of files holds.

    outcomes: without their values per image. lists: of `lists.SCHEMA`, one line an outcome, in
    their order.
    """

    outcomes: list[Outcome]
    lists: pa.Table

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Rows:
        """A failed outcome has no lists."""
        found = list(outcomes)
        return cls(found, table([outcome for outcome in found if outcome.status != "failed"]))


def parquet(path: Path) -> Path:
    """The file beside that of the lines."""
    return path.with_suffix(".parquet")


def as_line(outcome: Outcome) -> str:
    """One sealed line of JSON without what is at its default."""
    return sealed(Line.of(outcome).model_dump_json(by_alias=True, exclude_defaults=True))


def write(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Writes both files, ordered by key, so that a diff shows what changed."""
    found = sorted(outcomes, key=lambda outcome: outcome.key)
    # Both before either is written: a kill between the two would leave lists of other rows.
    lists, text = as_parquet(found), "".join(f"{as_line(outcome)}\n" for outcome in found)
    write_whole(parquet(path), lists)
    write_whole(path, text)


class _Apart(ValueError):
    """Of two files of rows one is not the other's."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Python looks for cycles of objects the oftener the more there are; rows have none, and take
    twice as long with it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_uncollected()
def read(path: Path, command: str) -> Rows:
    """Raises InputError naming file, line and field for what is no sound row, and the command that
    writes such; also for lists that are not those of their line.
    """
    found = _lists(path, command)
    beside, outcomes, seen = lines(found), [], set()
    for i, content in enumerate(read_whole(path, LARGEST).splitlines(), start=1):
        try:
            key, lists = next(beside, (None, None))
            line = Line.model_validate_json(unsealed(content))
            if not is_sealed(content):
                raise ValueError("sha256: is missing")
            if lists is None or key != line.key or line.lists != lists.sha256:
                raise _Apart(f"lists: are not those of {parquet(path).name}")
            outcome = line.outcome(lists)
            fault = next(faults(outcome, lists.columns), None) or _incomplete(outcome, seen)
            if fault is not None:
                raise ValueError(fault)
        except ValidationError as error:
            raise _refused(path, i, first_fault(error, Line), command) from None
        except _Apart as error:
            raise InputError(
                f"{shown(path)}: line {i}: {error}; take both files back from where they came, or "
                f"delete both and `{command}` writes them"
            ) from None
        except ValueError as error:
            raise _refused(path, i, str(error), command) from None
        outcomes.append(outcome)
        seen.add(outcome.key)
    if len(outcomes) < len(found):
        raise InputError(
            f"{shown(path)}: has fewer lines than {parquet(path).name}; {_way(command)}"
        )
    return Rows(outcomes, found)


def _lists(path: Path, command: str) -> pa.Table:
    try:
        return of_parquet(read_whole(parquet(path), LARGEST))
    except ValueError as error:
        raise InputError(
            f"{shown(parquet(path))}: holds no lists of rows ({error!s:.100}); {_way(command)}"
        ) from None


def _incomplete(outcome: Outcome, seen: set[str]) -> str | None:
    if outcome.key in seen:
        return f"key: {outcome.key} is given twice"
    if outcome.status == "finished" and not outcome.scores:
        return "scores: a finished trial has some"
    return None


def _refused(path: Path, number: int, fault: str, command: str) -> InputError:
    return InputError(f"{shown(path)}: line {number}: is no sound row: {fault}; {_way(command)}")


def _way(command: str) -> str:
    return f"`{command}` writes it"


def outcomes(path: Path, command: str) -> Iterator[Outcome]:
    """The rows with all that they have. Raises InputError as `read` does."""
    rows = read(path, command)
    for outcome, (_, lists) in zip(rows.outcomes, lines(rows.lists)):
        yield outcome.model_copy(update={"examples": lists.examples})
