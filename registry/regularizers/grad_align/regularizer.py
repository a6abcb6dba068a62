"""GradAlign: train on FGSM images and keep the loss's input gradients aligned within the ball."""
from dataclasses import dataclass

from benchmark.attacks import fgsm
from benchmark.attacks.perturbation import steepest
from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class GradAlign(Regularizer):
    """1 − cos(∇L(x), ∇L(x + η)), η uniform in the ℓ∞ ball (Andriushchenko & Flammarion 2020).

    The training images are the FGSM examples of radius ε, without a random start; the penalty is taken around the
    clean ones and differentiates both gradients. It is 0 where a gradient vanishes and has no direction.
    """
    epsilon: float = 0.03137

    def training_input(self, step: Step) -> Tensor:  # [B, C, H, W]
        return fgsm(step.model, step.x, step.y, self.epsilon)

    def penalty(self, step: Step) -> Tensor:  # [B]
        clean = step.clean
        noise = self.epsilon * (2 * step.rand(tuple(clean.x.shape)) - 1)
        here = steepest(clean.input_gradient, "2").flatten(1)
        there = steepest(clean.at(clean.x + noise).input_gradient, "2").flatten(1)
        flat = (here == 0).all(1) | (there == 0).all(1)
        return (1 - (here * there).sum(1)).masked_fill(flat, 0)
