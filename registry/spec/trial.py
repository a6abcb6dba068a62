"""An entry, and the trials that it expands to: one a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated

from pydantic import Field

from .architecture import Architecture
from .base import LARGEST, NonNegative, Spec, canonical, named_lambda
from .dataset import Dataset
from .recipe import Recipe
from .threat import Part

# Part of every trial's key. Raise it whenever training from the same spec would give other weights.
TRAINER_VERSION = 1


def entry_id(dataset: str, architecture: str, regularizer: str, strength: float) -> str:
    """`fashion_mnist/lenet_5/jacobian/0.1`: the one spelling of an entry."""
    return f"{dataset}/{architecture}/{regularizer}/{strength:.12g}"


class Entry(Spec):
    """One line of the registry. Its id is its four fields; a field's options follow its name:
    `mnist:1,7`, `lenet_5:activation=swish`, `jacobian:projections=1`.
    """

    dataset: str
    architecture: str
    regularizer: str
    strength: NonNegative = named_lambda()

    @cached_property
    def id(self) -> str:
        return entry_id(self.dataset, self.architecture, self.regularizer, self.strength)


class Trial(Spec):
    """One training run with everything that a worker needs to perform it."""

    entry: Entry
    dataset: Dataset
    architecture: Architecture
    # path of the method's folder; None at λ = 0, where all methods share one control
    plugin: str | None
    regularizer_sha256: str | None
    params: dict[str, bool | int | float | str]
    seed: Annotated[int, Field(ge=0, le=LARGEST)]
    recipe: Recipe
    evaluation: tuple[Part, ...]  # what is measured on the trained model: not part of the key
    # whether it may train together with others of its kind as one model: not part of the key
    stackable: bool = False
    # whether the regularizer is submitted code, which trains in a sandbox: not part of the key
    sandboxed: bool = False

    @cached_property
    def spec(self) -> str:
        """All that decides the trained weights, as canonical JSON. Code, versions and device are
        provenance instead.
        """
        # Put together, as `canonical` would, from parts that many trials share: a selection may
        # have 100,000.
        method = "null"
        if self.plugin is not None:
            params = canonical(self.params) if self.params else "{}"
            method = (
                f'{{"lambda":{self.entry.strength!r},"params":{params},'
                f'"sha256":"{self.regularizer_sha256}"}}'
            )
        return (
            f'{{"data":{self.dataset.identity},"model":{self.architecture.identity},'
            f'"recipe":{self.recipe.identity},"regularizer":{method},'
            f'"seed":{self.seed},"trainer":{TRAINER_VERSION}}}'
        )

    @cached_property
    def key(self) -> str:
        """16 hex digits: two trials are the same if and only if their keys are."""
        return hashlib.sha256(self.spec.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """`digits/lenet_300_100/jacobian/0.1 seed 0`, for people."""
        return f"{self.entry.id} seed {self.seed}"

    def also(self, parts: Iterable[Part]) -> Trial:
        """The same trial, evaluated under `parts` as well."""
        return self.model_copy(
            update={"evaluation": tuple(dict.fromkeys((*self.evaluation, *parts)))}
        )

    @property
    def has_reference(self) -> bool:
        return self.recipe.has_reference and self.recipe.has_fine_tune

    @property
    def reference_id(self) -> tuple[str, str, str, int] | None:
        """Equal for trials that fine-tune the same reference; cheaper than the reference itself."""
        if not self.has_reference:
            return None
        return (
            self.dataset.identity,
            self.architecture.identity,
            self.recipe.without_fine_tune.identity,
            self.seed,
        )

    @property
    def reference(self) -> Trial | None:
        """The trial whose weights this one fine-tunes: same data, network and seed, plain
        cross-entropy.
        """
        if not self.has_reference:
            return None
        control = Entry(
            dataset=self.entry.dataset,
            architecture=self.entry.architecture,
            regularizer="none",
            strength=0.0,
        )
        return self.model_copy(
            update={
                "entry": control,
                "plugin": None,
                "regularizer_sha256": None,
                "params": {},
                "recipe": self.recipe.without_fine_tune,
                "stackable": True,
                "sandboxed": False,
            }
        )
