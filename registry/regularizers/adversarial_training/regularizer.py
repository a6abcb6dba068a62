"""Adversarial training: train on the worst images that projected gradient descent finds in a ball."""
from dataclasses import dataclass

from torch import nn

from benchmark.attacks import pgd, unit_ball
from benchmark.projection import clip_layers
from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm


@dataclass(frozen=True)
class AdversarialTraining(Regularizer):
    """Replaces x by its PGD example in the ball of radius λ (Madry et al. 2018, section 2.1). The penalty is zero.

    `steps = 1, random_start = false` is FGSM training (Goodfellow et al. 2015). The attack sees the evaluation mode.
    With `bound`, every layer's singular values are clipped to it after every epoch as well: Wen et al. 2020, figure 6.
    """
    norm: Norm = "inf"
    steps: int = 10
    step_size: float | None = None
    random_start: bool = True
    bound: float | None = None

    def training_input(self, step: Step) -> Tensor:  # [B, C, H, W]
        start = unit_ball(step.x.shape, self.norm, rand=step.rand, randn=step.randn) if self.random_start else None
        return pgd(step.model, step.x, step.y, step.strength, self.norm, steps=self.steps, step_size=self.step_size,
                   start=start, keep="last")

    def penalty(self, step: Step) -> Tensor:  # [B]
        return step.x.new_zeros(len(step.x))

    def after_epoch(self, model: nn.Module, strength: float) -> None:
        if self.bound is not None:
            clip_layers(model, self.bound)
