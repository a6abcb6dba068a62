"""A regularizer's card, and the regularizer as it is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from .base import Name, NonNegative, Spec, _finite


class Param(Spec):
    """One field of a regularizer's dataclass, with the values an entry may give it."""

    type: Literal["int", "float", "str", "bool"]
    doc: str
    default: bool | int | float | str | None = None
    min: float | int | None = None
    max: float | int | None = None
    choices: tuple[str | int | float, ...] | None = None

    def parse(self, text: str) -> bool | int | float | str:
        """An option's text, as in `jacobian:projections=1`, in the declared type. Raises ValueError
        where it is not allowed.
        """
        readers = {
            "int": int,
            "float": float,
            "str": str,
            "bool": {"true": True, "false": False}.__getitem__,
        }
        try:
            value = readers[self.type](text)
        except (ValueError, KeyError):
            needed = {"int": "a whole number", "float": "a number", "bool": "true or false"}[
                self.type
            ]
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
    # False where the penalty holds constant what depends on the weights, such as an attack's images
    exact_gradient: bool = True
    stackable: bool = True  # False where a step cannot be mapped over stacked models
    linear_model: str | None = (
        # the penalty on a linear model in closed form: an expression as `linear_form` reads it
        None
    )
    params: dict[Name, Param] = Field(default_factory=dict)

    @field_validator("grid")
    @classmethod
    def _rising(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if list(grid) != sorted(set(grid)):
            raise ValueError("values must rise and differ")
        return grid

    @property
    def is_control(self) -> bool:
        """Whether the method is plain training, which takes λ = 0 alone."""
        return self.grid == (0.0,)


class Method(Spec):
    """A registered regularizer: its card, its folder and the hash of its code."""

    card: Card
    folder: Path
    sha256: str
    submitted: bool = False
