"""An Outcome: all that one trial gave, as plain data. It is what a worker writes and what the store
keeps.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from registry.spec import LARGEST, Count, Trial, entry_id, named_lambda

from .metrics import TRAINING as TRAINING


class _Named:
    """A float, or the name of one that JSON has no word for. A union, since a validator in Python
    would take as long as all else together."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        names = core_schema.literal_schema(["NaN", "Infinity", "-Infinity"])
        named = core_schema.no_info_after_validator_function(float, names)
        return core_schema.union_schema([handler(source), named], mode="left_to_right")


Number = Annotated[float, _Named()]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Split = Literal["train", "validation", "test"]


class Row(BaseModel):
    """Strict data that survives JSON unchanged; a NaN or an infinity is a value like another where
    a field is a Number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")


class Score(Row):
    """One number about one trial. `examples` is how many the track asked for, `n` how many there
    were.
    """

    threat: str  # a threat's or a radius' id, or "clean", "honesty", "measures" or TRAINING
    split: Split
    metric: str
    value: Number
    n: Count
    examples: Count
    flags: tuple[str, ...] = ()


class Examples(Row):
    """One number for each of the first images of a split's fixed order."""

    threat: str
    split: Split
    metric: str
    examples: Count
    values: tuple[Number, ...]


class Layer(Row):
    """Singular values of one layer's linear map."""

    layer: str
    kind: Annotated[str, Field(pattern="^(linear|conv_reshaped|conv_fft)$")]
    metric: Annotated[str, Field(pattern="^sigma_(max|min|std)$")]
    value: NonNegative


class Epoch(Row):
    """Means over one pass of the training images."""

    phase: Annotated[str, Field(pattern="^(reference|fine_tune)$")]
    epoch: Annotated[int, Field(ge=0, le=LARGEST)]
    loss: Number
    penalty: Number
    accuracy: Share
    learning_rate: NonNegative


class TrainingRecord(Row):
    """How a trial's weights were trained, and on which device by name."""

    status: Literal["finished", "diverged"]
    iterations: Annotated[int, Field(ge=0, le=2**63 - 1)]
    seconds: NonNegative
    engine: str
    device: str = ""
    flags: tuple[str, ...] = ()
    epochs: tuple[Epoch, ...]


class Told(Row):
    """What is told of one run of a trial, lists and scores aside.

    status: "finished"; "diverged", where training stopped being finite (a result, kept as such); or
    "failed", where the run itself broke (recorded as an attempt, tried again by the next run).
    """

    key: str
    dataset: str
    architecture: str
    regularizer: str
    strength: NonNegative = named_lambda()
    seed: Annotated[int, Field(ge=0, le=LARGEST)]
    spec: dict[str, Any]
    status: Literal["finished", "diverged", "failed"]
    error: str | None = None
    iterations: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    train_seconds: NonNegative = 0.0
    evaluate_seconds: NonNegative = 0.0
    started: str = ""  # UTC, ISO 8601
    provenance: dict[str, Any] = {}


class Outcome(Told):
    """Everything that one run of a trial gave."""

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
