"""How networks are trained."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import LARGEST, Count, NonNegative, Positive, Share, Spec, canonical


class Recipe(Spec):
    """How a trial trains. Adding a field with a default keeps every key; changing a default must
    raise TRAINER_VERSION.
    """

    batch_size: Count
    learning_rate: Positive
    reference_epochs: Annotated[int, Field(ge=0, le=LARGEST)] = (
        0  # 0: trained from scratch in the fine-tune phase
    )
    fine_tune_epochs: Annotated[int, Field(ge=0, le=LARGEST)] = 0
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
            raise ValueError(
                "give reference_epochs, fine_tune_epochs or both, else nothing is trained"
            )
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule 'step' needs milestones")
        return self

    def per_epoch(self, images: int) -> int:
        """Iterations of one pass. A last batch that is not full is left out, so that all have one
        shape.
        """
        return max(images // self.batch_size, 1)

    def iterations(self, phase: str, images: int) -> int:
        """Of a whole phase, "reference" or "fine_tune"."""
        return getattr(self, f"{phase}_iterations") or getattr(
            self, f"{phase}_epochs"
        ) * self.per_epoch(images)

    @cached_property
    def identity(self) -> str:
        """What decides training, as canonical JSON."""
        return canonical(self.model_dump(mode="json", exclude_defaults=True))

    @cached_property
    def without_fine_tune(self) -> Recipe:
        """The recipe of the reference that every fine-tune of this recipe starts from."""
        fine_tune = (
            "fine_tune_epochs",
            "fine_tune_iterations",
            "fine_tune_learning_rate",
            "warmup_epochs",
            "ramp",
        )
        return Recipe(**self.model_dump(exclude=set(fine_tune)))

    @property
    def has_reference(self) -> bool:
        return bool(self.reference_epochs or self.reference_iterations)

    @property
    def has_fine_tune(self) -> bool:
        return bool(self.fine_tune_epochs or self.fine_tune_iterations)
