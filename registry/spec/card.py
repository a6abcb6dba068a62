"""A regularizer's card, and the regularizer as it is registered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from .base import Name, NonNegative, Spec, _finite


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


Text = Annotated[str, AfterValidator(_printable)]  # it is printed, and into a forge's log


class Param(Spec):
    """One field of a regularizer's dataclass, with the values an entry may give it."""

    type: Literal["int", "float", "str", "bool"]
    doc: Text
    default: bool | int | float | str | None = None
    min: float | int | None = None
    max: float | int | None = None
    choices: tuple[str | int | float, ...] | None = None

    @model_validator(mode="after")
    def _of_numbers(self) -> Param:
        bounded = self.min is not None or self.max is not None
        if bounded and self.type not in ("int", "float"):
            raise ValueError("min and max are of numbers, int or float")
        return self

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
    title: Text
    authors: Text
    paper: Text
    year: int
    licence: Text
    formula: Text  # LaTeX
    lambda_means: Text
    grid: tuple[NonNegative, ...] = Field(min_length=1)
    smooth_activation: bool = False  # True where the penalty is degenerate on piecewise-linear nets
    batch_norm: Text = "evaluation mode: the penalty sees running statistics"
    extra_forwards: Text = "0"  # passes per training step beside the plain one's
    extra_backwards: Text = "0"
    # False where the penalty holds constant what depends on the weights, such as an attack's images
    exact_gradient: bool = True
    stackable: bool = True  # False where a step cannot be mapped over stacked models
    # the penalty on a linear model: an expression as `benchmark.review.closed_form` reads it
    linear_model: Text | None = None
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
