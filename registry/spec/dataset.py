"""A data set and what its id may say: `mnist:1,7`."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, model_validator

from .base import Count, Name, Number, Positive, Spec, canonical

# What tells data sets of one's own apart: its author may mend any of it, and train anew.
OWN = {"name", "revision", "shape", "train_size", "test_size", "white"}
OWN |= {"image_column", "label_column", "test_split"}


class Dataset(Spec):
    """Where images come from. `classes` are the names in label order; `subset` picks some of them
    by label.
    """

    name: Name
    title: str
    licence: str
    classes: tuple[str, ...] = Field(min_length=2)
    shape: tuple[Count, Count, Count]  # channels, height, width
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
    packaged: str | None = (
        None  # "sklearn:load_digits", or a folder of IDX files that a package brings
    )
    subset: tuple[int, ...] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if not (len(self.mean) == len(self.std) == self.shape[0]):
            raise ValueError(
                f"mean and std need one value for each of the {self.shape[0]} channels"
            )
        if self.hub and not self.revision:
            raise ValueError("a hub dataset needs a pinned revision")
        return self

    @property
    def id(self) -> str:
        return (
            self.name if self.subset is None else f"{self.name}:{','.join(map(str, self.subset))}"
        )

    @property
    def num_classes(self) -> int:
        return len(self.classes if self.subset is None else self.subset)

    @cached_property
    def identity(self) -> str:
        """What makes two datasets the same training data, as canonical JSON."""
        source = {"packaged": self.packaged}
        if not (self.hub or self.packaged):  # of one's own: nothing else tells two apart
            source = self.model_dump(include=OWN)
        if self.hub:
            source = {
                "hub": self.hub,
                "revision": self.revision,
                "config": self.config,
                "label": self.label_column,
            }
        return canonical(
            source
            | {
                "mean": self.mean,
                "std": self.std,
                "classes": list(range(len(self.classes)) if self.subset is None else self.subset),
            }
        )
