"""CURE: penalise how much the loss's input gradient changes over a finite step along its own sign."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class CurvatureFiniteDifference(Regularizer):
    """‖∇L(x + hz) − ∇L(x)‖₂², z = sign(∇L)/‖sign(∇L)‖₂ a constant (Moosavi-Dezfooli et al. 2019, section 4).

    The squared ℓ2 norm, as the paper defines it; its published code takes the norm itself. The step h rises linearly
    to its full value over the first `ramp` of training. x + hz is not clipped to the box.
    """
    h: float = 1.5
    ramp: float = 0.25

    def penalty(self, step: Step) -> Tensor:  # [B]
        sign = step.input_gradient.detach().sign()
        z = sign / sign.flatten(1).norm(dim=1).clamp(min=1)[:, None, None, None]  # the norm is 0 or at least 1
        h = self.h * min(step.progress / self.ramp, 1.0) if self.ramp else self.h
        change = step.at(step.x + h * z).input_gradient - step.input_gradient
        return change.flatten(1).square().sum(1)
