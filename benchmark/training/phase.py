"""A recipe's reference or fine-tune phase: its length, rates and strengths."""

from __future__ import annotations

import math
from dataclasses import dataclass

from registry.spec import Recipe


@dataclass(frozen=True)
class Phase:
    """The reference or the fine-tune phase of a recipe, in iterations."""

    name: str
    iterations: int
    per_epoch: int
    learning_rate: float
    warmup: int
    ramp: int
    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe, name: str, images: int) -> Phase:
        """`name` is "reference" or "fine_tune"."""
        per_epoch, iterations = recipe.per_epoch(images), recipe.iterations(name, images)
        if name == "reference":
            return cls(name, iterations, per_epoch, recipe.learning_rate, 0, 0, recipe)
        return cls(
            name,
            iterations,
            per_epoch,
            learning_rate=recipe.fine_tune_learning_rate or recipe.learning_rate,
            warmup=round(recipe.warmup_epochs * per_epoch),
            ramp=round(recipe.ramp * iterations),
            recipe=recipe,
        )

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration."""
        recipe, share = self.recipe, iteration / self.iterations
        if iteration < self.warmup:
            return self.learning_rate * (iteration + 1) / self.warmup
        match recipe.schedule:
            case "cosine":
                return self.learning_rate * (1 + math.cos(math.pi * share)) / 2
            case "step":
                passed = sum(share >= milestone for milestone in recipe.milestones)
                return self.learning_rate * 0.1**passed
            case "inverse":
                return self.learning_rate * (1 + recipe.gamma * iteration) ** -recipe.power
        return self.learning_rate

    def strength(self, iteration: int, full: float) -> float:
        """λ of an iteration: it rises linearly over the ramp."""
        return full * min((iteration + 1) / (self.ramp + 1), 1.0)

    def progress(self, iteration: int) -> float:
        """From 0 at the first iteration to 1 at the last."""
        return iteration / max(self.iterations - 1, 1)

    def ends_epoch(self, done: int) -> bool:
        """Whether an epoch is over after `done` iterations; the last may be cut short."""
        return done % self.per_epoch == 0 or done == self.iterations
