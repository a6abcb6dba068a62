"""Input-gradient regularization: penalise how fast the loss moves with the input."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class InputGradient(Regularizer):
    """‖∇_x L‖₂² (Ross & Doshi-Velez 2018, eq. 6, with λ for its λ/2)."""

    def penalty(self, step: Step) -> Tensor:  # [B]
        return step.input_gradient.flatten(1).square().sum(1)
