"""An Outcome: all that one trial gave, as plain data. It is what a worker writes and what the store
keeps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from registry.read import shown
from registry.spec import InputError, Trial, entry_id, named_lambda
from registry.write import write_whole

TRAINING = "training"  # in place of a threat: what is told of the training itself


class Row(BaseModel):
    """Strict data that survives JSON unchanged; a NaN or an infinity is a value like another."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Score(Row):
    """One number about one trial. `examples` is how many the track asked for, `n` how many there
    were.
    """

    threat: str  # a threat's or radius' id, or "clean", "honesty", "measures" or TRAINING
    split: Literal["train", "validation", "test"]
    metric: str
    value: float
    n: int
    examples: int
    flags: tuple[str, ...] = ()


class Examples(Row):
    """One number for each of the first images of a split's fixed order."""

    threat: str
    split: Literal["train", "validation", "test"]
    metric: str
    examples: int
    values: tuple[float, ...]


class Layer(Row):
    """Singular values of one layer's linear map."""

    layer: str
    kind: str
    metric: str
    value: float


class Epoch(Row):
    """Means over one pass of the training images."""

    phase: str
    epoch: int
    loss: float
    penalty: float
    accuracy: float
    learning_rate: float


class TrainingRecord(Row):
    """How a trial's weights were trained."""

    status: Literal["finished", "diverged"]
    iterations: int
    seconds: float
    engine: str
    flags: tuple[str, ...] = ()
    epochs: tuple[Epoch, ...]


class Outcome(Row):
    """Everything that one run of a trial gave.

    status: "finished"; "diverged", where training stopped being finite (a result, kept as such); or
    "failed", where the run itself broke (recorded as an attempt, tried again by the next run).
    """

    key: str
    dataset: str
    architecture: str
    regularizer: str
    strength: float = named_lambda()
    seed: int
    spec: dict[str, Any]
    status: Literal["finished", "diverged", "failed"]
    error: str | None = None
    iterations: int = 0
    train_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    started: str = ""  # UTC, ISO 8601
    provenance: dict[str, Any] = {}
    epochs: tuple[Epoch, ...] = ()
    scores: tuple[Score, ...] = ()
    examples: tuple[Examples, ...] = ()
    layers: tuple[Layer, ...] = ()

    @classmethod
    def of(cls, trial: Trial, **fields: Any) -> Outcome:
        """An outcome that names its trial. A control is stored under `none` whichever method's λ =
        0 asked for it.
        """
        entry = trial.entry
        control = trial.plugin is None
        return cls(
            key=trial.key,
            dataset=entry.dataset,
            architecture=entry.architecture,
            regularizer="none" if control else entry.regularizer,
            strength=entry.strength,
            seed=trial.seed,
            spec=json.loads(trial.spec),
            **fields,
        )

    @property
    def entry_id(self) -> str:
        """`digits/lenet_300_100/jacobian/0.1`, as the registry spells it."""
        return entry_id(self.dataset, self.architecture, self.regularizer, self.strength)

    @property
    def parts(self) -> set[tuple[str, str, int]]:
        """Ids of the parts of an evaluation that it has scores of."""
        return {(score.threat, score.split, score.examples) for score in self.scores}

    @property
    def flags(self) -> tuple[str, ...]:
        """Those that its scores raise, each once."""
        return tuple(dict.fromkeys(flag for score in self.scores for flag in score.flags))

    def answers(self, trial: Trial) -> bool:
        """Whether it has all that the trial asks for."""
        return self.status == "diverged" or {part.id for part in trial.evaluation} <= self.parts

    def write(self, path: Path) -> None:
        """Written beside and renamed: a reader sees all of it or none."""
        write_whole(path, self.model_dump_json(by_alias=True))

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """Raises InputError where the file is cut short or no outcome."""
        try:
            return cls.model_validate_json(path.read_text())
        except (ValidationError, UnicodeDecodeError) as error:
            first = str(error).splitlines()[0]
            raise InputError(
                f"{shown(path)}: is no whole outcome ({first}); delete its folder and run again"
            ) from None


def read_lines(path: Path, command: str) -> Iterator[Outcome]:
    """The outcomes of a file, one a line. Raises InputError naming the line that is none, and the
    command that writes such.
    """
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield Outcome.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                reason = f"{where}: {first['msg']}" if where else first["msg"]
                raise InputError(
                    f"{shown(path)}: line {number}: is no outcome ({reason}); `{command}` writes "
                    "such lines"
                ) from None
