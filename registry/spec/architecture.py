"""A network and its options."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from .base import Number, Spec, canonical


class Architecture(Spec):
    """A network: the name of one of timm's, or of the function that builds one of ours in `module`,
    a file here.
    """

    name: str
    title: str
    timm: str
    paper: str = ""
    activation: Literal["relu", "swish", "softplus", "gelu"] | None = (
        None  # None where the net has no choice
    )
    module: str | None = None
    kwargs: dict[str, bool | int | Number | str] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.name

    @property
    def settings(self) -> dict[str, Any]:
        """What builds it is given these."""
        return self.kwargs | ({"activation": self.activation} if self.activation else {})

    @cached_property
    def identity(self) -> str:
        """What makes two networks the same, as canonical JSON."""
        return canonical({"timm": self.timm, "kwargs": self.settings})
