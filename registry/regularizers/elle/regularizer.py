"""ELLE: train on FGSM images and penalise the loss's deviation from linear between random points of the ball."""
from dataclasses import dataclass

from benchmark.attacks import fgsm
from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class Elle(Regularizer):
    """(L(x_c) − (1 − α)·L(x_a) − α·L(x_b))², x_c = (1 − α)·x_a + α·x_b (Abad Rocamora et al. 2024).

    x_a and x_b are uniform in the ℓ∞ ball around the clean image, α in [0, 1]; no double backward pass. The training
    images are the FGSM examples of radius ε, without a random start.
    """
    epsilon: float = 0.03137

    def training_input(self, step: Step) -> Tensor:  # [B, C, H, W]
        return fgsm(step.model, step.x, step.y, self.epsilon)

    def penalty(self, step: Step) -> Tensor:  # [B]
        x = step.clean.x
        a, b = (x + self.epsilon * (2 * step.rand(tuple(x.shape)) - 1) for _ in range(2))
        share = step.rand((len(x), 1, 1, 1))
        between = step.at(a + share * (b - a)).losses
        share = share.flatten()
        return (between - (1 - share) * step.at(a).losses - share * step.at(b).losses).square()
