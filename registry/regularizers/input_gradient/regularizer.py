"""Input-gradient regularization: penalise how fast the loss moves with the input."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class InputGradient(Regularizer):
    """‖∇_x L‖₂² (Ross & Doshi-Velez 2018, eq. 6, with λ for its λ/2).

    With `norm = 1`, ‖∇_x L‖₁: by what the loss rises, to first order, in an ℓ∞ ball of radius 1. It is not squared.
    """
    norm: int = 2

    def penalty(self, step: Step) -> Tensor:  # [B]
        g = step.input_gradient.flatten(1)
        return g.abs().sum(1) if self.norm == 1 else g.square().sum(1)
