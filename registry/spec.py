"""What is compared, as strict data. Nothing here loads torch.

An *Entry* (dataset, architecture, regularizer, λ) under a *Track*'s protocol expands to *Trials*, one per seed.
"""
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

# Part of every trial's key. Raise it whenever training from the same spec would give other weights.
TRAINER_VERSION = 1


class InputError(Exception):
    """What the user gave cannot be used. The message is one line naming the file, the field and the fix."""


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Norm = Literal["inf", "2"]
Number = Annotated[float, AfterValidator(_finite)]
NonNegative = Annotated[float, Field(ge=0), AfterValidator(_finite)]
Positive = Annotated[float, Field(gt=0), AfterValidator(_finite)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_finite)]
Count = Annotated[int, Field(ge=1)]


# The one JSON text of plain data: what keys are made of.
canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def named_lambda(default: Any = ...) -> Any:
    """A field that is `lambda`, a reserved word, in TOML and JSON and `strength` in Python."""
    return Field(default, validation_alias=AliasChoices("lambda", "strength"), serialization_alias="lambda")


class Spec(BaseModel):
    """Frozen, strict: an unknown field or a value of another type is refused."""
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, data: Any) -> Any:
        # TOML and JSON know lists only; strict mode would refuse them where a field is a tuple.
        if isinstance(data, dict) and any(isinstance(value, list) for value in data.values()):
            return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return data

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        # Pydantic's own takes three times as long, of 100,000 trials a second, and would copy cached properties, which are
        # another object's. What is frozen may be shared: `deep` or not is the same.
        copied = object.__new__(type(self))
        fields = type(self).model_fields
        object.__setattr__(copied, "__dict__", {n: v for n, v in vars(self).items() if n in fields} | dict(update or {}))
        object.__setattr__(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        object.__setattr__(copied, "__pydantic_extra__", None)
        object.__setattr__(copied, "__pydantic_private__", None)
        return copied


class Dataset(Spec):
    """Where images come from. `classes` are the names in label order; `subset` picks some of them by label."""
    name: Name
    title: str
    licence: str
    classes: tuple[str, ...] = Field(min_length=2)
    shape: tuple[int, int, int]  # channels, height, width
    train_size: Count
    test_size: Count
    mean: tuple[Number, ...]  # per channel, of the [0,1] training images
    std: tuple[Positive, ...]
    white: Count = 255  # the stored value that means 1.0
    hub: str | None = None
    revision: str | None = None
    config: str | None = None
    image_column: str = "image"
    label_column: str = "label"
    test_split: str = "test"  # the hub's name for it
    packaged: str | None = None  # "sklearn:load_digits", or a folder of IDX files that a package brings
    subset: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if not (len(self.mean) == len(self.std) == self.shape[0]):
            raise ValueError(f"mean and std need one value for each of the {self.shape[0]} channels")
        if self.hub and not self.revision:
            raise ValueError("a hub dataset needs a pinned revision")
        return self

    @property
    def id(self) -> str:
        return self.name if self.subset is None else f"{self.name}:{','.join(map(str, self.subset))}"

    @property
    def num_classes(self) -> int:
        return len(self.classes if self.subset is None else self.subset)

    @cached_property
    def identity(self) -> str:
        """What makes two datasets the same training data, as canonical JSON."""
        source = {"packaged": self.packaged}
        if self.hub:
            source = {"hub": self.hub, "revision": self.revision, "config": self.config, "label": self.label_column}
        return canonical(source | {"mean": self.mean, "std": self.std,
                                   "classes": list(range(len(self.classes)) if self.subset is None else self.subset)})


class Architecture(Spec):
    """A network that `timm.create_model` can make; `module` is the file here that registers it, if it is ours."""
    name: str
    title: str
    timm: str
    paper: str = ""
    activation: Literal["relu", "swish", "softplus", "gelu"] | None = None  # None where the net has no choice
    module: str | None = None
    kwargs: dict[str, bool | int | float | str] = {}

    @property
    def id(self) -> str:
        return self.name

    @property
    def settings(self) -> dict[str, Any]:
        """What `timm.create_model` is given."""
        return self.kwargs | ({"activation": self.activation} if self.activation else {})

    @cached_property
    def identity(self) -> str:
        """What makes two networks the same, as canonical JSON."""
        return canonical({"timm": self.timm, "kwargs": self.settings})


class Param(Spec):
    """One field of a regularizer's dataclass, with the values an entry may give it."""
    type: Literal["int", "float", "str", "bool"]
    doc: str
    default: bool | int | float | str | None = None
    min: float | int | None = None
    max: float | int | None = None
    choices: tuple[str | int | float, ...] | None = None

    def parse(self, text: str) -> bool | int | float | str:
        """An option's text, as in `jacobian:projections=1`, in the declared type. Raises ValueError where it is not allowed."""
        readers = {"int": int, "float": float, "str": str, "bool": {"true": True, "false": False}.__getitem__}
        try:
            value = readers[self.type](text)
        except (ValueError, KeyError):
            needed = {"int": "a whole number", "float": "a number", "bool": "true or false"}[self.type]
            raise ValueError(f"needs {needed}, not {text!r}") from None
        if isinstance(value, float):
            _finite(value)
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(map(str, self.choices))}, not {text}")
        if self.min is not None and value < self.min:
            raise ValueError(f"must be at least {self.min}, not {text}")
        if self.max is not None and value > self.max:
            raise ValueError(f"must be at most {self.max}, not {text}")
        return value


class Card(Spec):
    """What a regularizer is, in facts: the `card.toml` beside its `regularizer.py`."""
    name: Name
    title: str
    authors: str
    paper: str
    year: int
    licence: str
    formula: str  # LaTeX
    lambda_means: str
    grid: tuple[NonNegative, ...] = Field(min_length=1)
    smooth_activation: bool = False  # True where the penalty is degenerate on piecewise-linear nets
    batch_norm: str = "evaluation mode: the penalty sees running statistics"
    extra_forwards: str = "0"  # passes per training step beside the plain one's
    extra_backwards: str = "0"
    stackable: bool = True  # False where a step cannot be mapped over stacked models
    linear_model: str | None = None  # the penalty on a linear model in closed form: an expression as `linear_form` reads it
    params: dict[Name, Param] = {}

    @field_validator("grid")
    @classmethod
    def _rising(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if list(grid) != sorted(set(grid)):
            raise ValueError("values must rise and differ")
        return grid


# The attacks there are and their customary settings: a threat's id names only what differs from these.
# An attack with an `epsilon` of None searches the smallest perturbation instead of staying within a ball.
ATTACKS: dict[str, dict[str, Any]] = {
    "fgsm": {"norm": "inf", "epsilon": 0.1},
    "pgd": {"norm": "inf", "epsilon": 0.1, "steps": 20, "restarts": 1, "loss": "ce"},  # step_size: 2.5 ε / steps
    "deepfool": {"norm": "2", "steps": 50},
    "carlini_wagner": {"norm": "2", "steps": 200},
    "apgd": {"norm": "inf", "epsilon": 0.1},  # AutoAttack's first members: APGD-CE and, from four classes on, APGD-T
    "autoattack": {"norm": "inf", "epsilon": 0.1},
}

HONESTY_EXAMPLES = 128  # test images on which a model's honesty is checked

# How far an evaluation can be believed, rising. Every track's own threats are the quick tier, on its fixed subset; each
# further tier adds its attack under the headline's norm and ε on the whole test set.
Tier = Literal["quick", "standard", "verified"]
TIER_ATTACKS: dict[Tier, Literal["apgd", "autoattack"]] = {"standard": "apgd", "verified": "autoattack"}


# What a track may measure beside what every track does; `benchmark.further_measures` says what each is.
Measure = Literal["margins", "perturbed", "loss_variation", "margin_curvature"]


class Threat(Spec):
    """An attack with all its settings; ε in units of [0,1] pixels. A setting not given takes its customary value.

    `examples`, for a costly attack, is how many of the track's test images it is run on; it is no part of the id.
    """
    attack: Literal["fgsm", "pgd", "deepfool", "carlini_wagner", "apgd", "autoattack"]
    norm: Norm
    epsilon: Positive | None = None
    steps: Count | None = None
    step_size: Positive | None = None
    restarts: Count | None = None
    loss: Literal["ce", "margin"] | None = None
    examples: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _customary(cls, data: Any) -> Any:
        return ATTACKS.get(str(data.get("attack")), {}) | data if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _meaningful(self) -> Threat:
        customary = ATTACKS[self.attack] | ({"step_size": None} if self.attack == "pgd" else {})
        for field in ("epsilon", "steps", "step_size", "restarts", "loss"):
            if getattr(self, field) is not None and field not in customary:
                raise ValueError(f"{self.attack} has no {field}")
        if "epsilon" not in customary and self.norm != "2":
            raise ValueError(f"{self.attack} measures ℓ2 perturbations; set norm = \"2\"")
        return self

    @property
    def id(self) -> str:
        """Names the threat in rows and plots: two different threats never share one."""
        parts = [self.attack, self.norm] + ([] if self.epsilon is None else [f"{self.epsilon:.12g}"])
        for field in ("steps", "step_size", "restarts", "loss"):
            value = getattr(self, field)
            if value != ATTACKS[self.attack].get(field):
                parts.append(f"{field}={value:.12g}" if isinstance(value, float) else f"{field}={value}")
        return "-".join(parts)


class Curve(Spec):
    """One attack over a grid of ε, for a curve of accuracy against ε: run in one pass, a threat for each ε."""
    attack: Literal["fgsm", "pgd"]
    norm: Norm
    epsilons: tuple[Positive, ...] = Field(min_length=1)
    steps: Count | None = None
    step_size: Positive | None = None
    restarts: Count | None = None
    loss: Literal["ce", "margin"] | None = None
    examples: Count | None = None

    @model_validator(mode="after")
    def _meaningful(self) -> Curve:
        if list(self.epsilons) != sorted(set(self.epsilons)):
            raise ValueError("epsilons must rise and differ")
        _ = self.threats
        return self

    @property
    def threats(self) -> tuple[Threat, ...]:
        settings = self.model_dump(exclude={"epsilons"}, exclude_none=True)
        return tuple(Threat(**settings, epsilon=epsilon) for epsilon in self.epsilons)


class Recipe(Spec):
    """How a trial trains. Adding a field with a default keeps every key; changing a default must raise TRAINER_VERSION."""
    batch_size: Count
    learning_rate: Positive
    reference_epochs: Annotated[int, Field(ge=0)] = 0  # 0: trained from scratch in the fine-tune phase
    fine_tune_epochs: Annotated[int, Field(ge=0)] = 0
    reference_iterations: Count | None = None  # instead of epochs
    fine_tune_iterations: Count | None = None
    fine_tune_learning_rate: Positive | None = None
    schedule: Literal["cosine", "constant", "step", "inverse"] = "cosine"
    milestones: tuple[Share, ...] = ()  # step: where the rate falls tenfold, as shares of the phase
    gamma: Positive = 1e-4  # inverse: rate · (1 + gamma·iteration)^−power
    power: Positive = 0.75
    momentum: Share = 0.9
    weight_decay: NonNegative = 0.0
    warmup_epochs: NonNegative = 0.0  # of the fine-tune phase: linear rise of the rate
    ramp: Share = 0.0  # share of the fine-tune phase over which λ rises linearly from 0
    train_size: Count | None = None  # the first so many images of the fixed order
    augment: Literal["none", "crop_flip"] = "none"  # pad by 4, crop back, flip

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        for phase in ("reference", "fine_tune"):
            if getattr(self, f"{phase}_epochs") and getattr(self, f"{phase}_iterations"):
                raise ValueError(f"give {phase}_epochs or {phase}_iterations, not both")
        if not (self.has_reference or self.has_fine_tune):
            raise ValueError("give reference_epochs, fine_tune_epochs or both, else nothing is trained")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule 'step' needs milestones")
        return self

    def per_epoch(self, images: int) -> int:
        """Iterations of one pass. A last batch that is not full is left out, so that all have one shape."""
        return max(images // self.batch_size, 1)

    def iterations(self, phase: str, images: int) -> int:
        """Of a whole phase, "reference" or "fine_tune"."""
        return getattr(self, f"{phase}_iterations") or getattr(self, f"{phase}_epochs") * self.per_epoch(images)

    @cached_property
    def identity(self) -> str:
        """What decides training, as canonical JSON."""
        return canonical(self.model_dump(mode="json", exclude_defaults=True))

    @cached_property
    def without_fine_tune(self) -> Recipe:
        """The recipe of the reference that every fine-tune of this recipe starts from."""
        fine_tune = ("fine_tune_epochs", "fine_tune_iterations", "fine_tune_learning_rate", "warmup_epochs", "ramp")
        return Recipe(**self.model_dump(exclude=set(fine_tune)))

    @property
    def has_reference(self) -> bool:
        return bool(self.reference_epochs or self.reference_iterations)

    @property
    def has_fine_tune(self) -> bool:
        return bool(self.fine_tune_epochs or self.fine_tune_iterations)


class Entry(Spec):
    """One line of the registry. Its id is its four fields, `fashion_mnist/lenet_5/jacobian/0.1`; a field's options
    follow its name: `mnist:1,7`, `lenet_5:activation=swish`, `jacobian:projections=1`."""
    dataset: str
    architecture: str
    regularizer: str
    strength: NonNegative = named_lambda()

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.architecture}/{self.regularizer}/{self.strength:.12g}"


class Part(Spec):
    """One part of an evaluation: accuracy ("clean"), checks of whether attacks on this model can be believed ("honesty"),
    per-example measures ("measures", or a further one's name) or a threat, on the first `examples` images of a split's
    fixed order."""
    name: str
    split: Literal["train", "validation", "test"]
    examples: Count
    threat: Threat | None = None

    @property
    def id(self) -> tuple[str, str, int]:
        return self.name, self.split, self.examples


class Trial(Spec):
    """One training run with everything that a worker needs to perform it."""
    entry: Entry
    dataset: Dataset
    architecture: Architecture
    regularizer: str | None  # path of the plugin's folder; None at λ = 0, where all methods share one control
    regularizer_sha256: str | None
    params: dict[str, bool | int | float | str]
    seed: Annotated[int, Field(ge=0)]
    recipe: Recipe
    evaluation: tuple[Part, ...]  # what is measured on the trained model: not part of the key
    stackable: bool = False  # whether it may train together with others of its kind as one model: not part of the key
    sandboxed: bool = False  # whether the regularizer is submitted code, which trains in a sandbox: not part of the key

    @cached_property
    def spec(self) -> str:
        """All that decides the trained weights, as canonical JSON. Code, versions and device are provenance instead."""
        method = None
        if self.regularizer is not None:
            method = {"sha256": self.regularizer_sha256, "params": self.params, "lambda": self.entry.strength}
        # Put together from parts that many trials share: a selection may have 100,000.
        return (f'{{"data":{self.dataset.identity},"model":{self.architecture.identity},"recipe":{self.recipe.identity},'
                f'"regularizer":{canonical(method)},"seed":{self.seed},"trainer":{TRAINER_VERSION}}}')

    @cached_property
    def key(self) -> str:
        """16 hex digits: two trials are the same if and only if their keys are."""
        return hashlib.sha256(self.spec.encode()).hexdigest()[:16]

    @property
    def has_reference(self) -> bool:
        return self.recipe.has_reference and self.recipe.has_fine_tune

    @property
    def reference_id(self) -> tuple[str, str, str, int] | None:
        """Equal for trials that fine-tune the same reference; cheaper than the reference itself."""
        if not self.has_reference:
            return None
        return self.dataset.identity, self.architecture.identity, self.recipe.without_fine_tune.identity, self.seed

    @property
    def reference(self) -> Trial | None:
        """The trial whose weights this one fine-tunes: same data, network and seed, plain cross-entropy."""
        if not self.has_reference:
            return None
        control = Entry(dataset=self.entry.dataset, architecture=self.entry.architecture, regularizer="none", strength=0.0)
        return self.model_copy(update={"entry": control, "regularizer": None, "regularizer_sha256": None, "params": {},
                                       "recipe": self.recipe.without_fine_tune, "stackable": True, "sandboxed": False})


class Result(Spec):
    """A value that a paper reports: shown beside ours, never tuned toward."""
    paper: str
    architecture: str
    regularizer: str
    metric: str
    value: Number
    strength: NonNegative | None = named_lambda(None)
    spread: NonNegative | None = None


class EntryLine(Spec):
    """What a line of entries may leave open: the λ grid is then the card's, the architectures all of the track's."""
    architecture: tuple[str, ...] | None = None
    strengths: Annotated[tuple[NonNegative, ...], Field(min_length=1)] | None = named_lambda(None)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: (value,) if key in ("architecture", "lambda") and not isinstance(value, list | tuple) else value
                    for key, value in data.items()}
        return data


class TrackEntry(EntryLine):
    """A line of a track: a method with its λ grid on some of the track's architectures."""
    regularizer: str


class SubmittedEntry(EntryLine):
    """A line of a submission's `entries.toml`: a track that the method joins, with params other than the card's defaults."""
    track: str
    params: dict[Name, bool | int | float | str] = {}


class Submission(Spec):
    """A submission's `entries.toml`."""
    entry: tuple[SubmittedEntry, ...] = Field(min_length=1)


class Track(Spec):
    """One comparable competition: all that is held fixed, and the entries that compete."""
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*(@[1-9][0-9]*)?$")]
    title: str
    dataset: str
    architectures: tuple[str, ...] = Field(min_length=1)
    seeds: Count
    threats: tuple[Threat, ...] = Field(min_length=1)
    curves: tuple[Curve, ...] = ()  # further ε, for plots: no columns of the ranking
    measures: tuple[Measure, ...] = ()  # further ones, beside those of every track
    headline: str  # the id of the threat that ranks
    clean_floor: Share  # λ whose validation accuracy is below it cannot be selected
    recipe: Recipe
    recipe_for: dict[str, dict[str, Any]] = {}  # architecture → the fields that differ there
    test_examples: Count = 1000
    measure_examples: Count = 500
    notes: str = ""
    entry: tuple[TrackEntry, ...] = Field(min_length=1)
    reported: tuple[Result, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Track:
        ids = [threat.id for threat in self.threats]
        if len(set(ids)) < len(ids):
            raise ValueError(f"threats: {next(i for i in ids if ids.count(i) > 1)} is given twice")
        if self.headline not in ids:
            raise ValueError(f"headline: {self.headline!r} is none of the threats {', '.join(ids)}")
        for architecture in self.recipe_for:
            if architecture not in self.architectures:
                raise ValueError(f"recipe_for: {architecture!r} is none of the track's architectures")
            self._recipe_of(architecture)
        return self

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """Architecture → the recipe on it."""
        return {architecture: self._recipe_of(architecture) for architecture in self.architectures}

    def _recipe_of(self, architecture: str) -> Recipe:
        """Raises ValueError naming the field that does not fit."""
        try:
            return Recipe(**self.recipe.model_dump(exclude_unset=True) | self.recipe_for.get(architecture, {}))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, ("recipe_for", architecture, *first["loc"])))
            raise ValueError(f"{where}: {first['msg']}") from None

    @cached_property
    def evaluation(self) -> tuple[Part, ...]:
        """What is measured on each of the track's models. Only the headline threat is needed on validation images."""
        clean = [Part(name="clean", split=split, examples=self.test_examples) for split in ("train", "validation", "test")]
        headline = [self._part(threat, "validation") for threat in self.threats if threat.id == self.headline]
        threats = [self._part(threat) for threat in self.threats]
        curves = [self._part(threat) for curve in self.curves for threat in curve.threats]
        honesty = Part(name="honesty", split="test", examples=min(HONESTY_EXAMPLES, self.test_examples))
        measures = Part(name="measures", split="test", examples=self.measure_examples)
        further = [Part(name=name, split=split, examples=self.measure_examples) for name in self.measures
                   for split in (("train", "test") if name == "margins" else ("test",))]
        return tuple(dict.fromkeys((*clean, *headline, *threats, *curves, honesty, measures, *further)))

    def _part(self, threat: Threat, split: Literal["validation", "test"] = "test") -> Part:
        examples = min(threat.examples or self.test_examples, self.test_examples)
        return Part(name=threat.id, split=split, examples=examples, threat=threat.model_copy(update={"examples": None}))

    @property
    def headline_threat(self) -> Threat:
        return next(threat for threat in self.threats if threat.id == self.headline)

    def tier_part(self, tier: Tier, test_size: int) -> Part:
        """What a tier above "quick" adds: its attack, under the headline's norm and ε, on the whole test set.

        Raises InputError where the headline has no ε, or the tier has no attack.
        """
        headline = self.headline_threat
        if tier not in TIER_ATTACKS:
            raise InputError(f"tier: {tier!r} adds no attack; give {' or '.join(TIER_ATTACKS)}")
        if headline.epsilon is None:
            raise InputError(f"track {self.name}: tier {tier!r} needs a headline threat with an epsilon, which "
                             f"{headline.id} has not")
        threat = Threat(attack=TIER_ATTACKS[tier], norm=headline.norm, epsilon=headline.epsilon)
        return Part(name=threat.id, split="test", examples=test_size, threat=threat)


class Method(Spec):
    """A registered regularizer: its card, its folder and the hash of its code."""
    card: Card
    folder: Path
    sha256: str
    submitted: bool = False
