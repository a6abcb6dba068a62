"""Jacobian regularization: penalise how fast all logits move with the input."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor, sphere


@dataclass(frozen=True)
class Jacobian(Regularizer):
    """µ² = ‖V‖_F², twice the penalty of Hoffman et al. 2019, eq. 3.

    With `projections = m`, the unbiased estimate (K/m)·Σ‖Vu‖² over m directions u drawn from the unit sphere in logit
    space: m vector-Jacobian products instead of K.
    """
    projections: int | None = None

    def penalty(self, step: Step) -> Tensor:  # [B]
        if self.projections is None:
            return step.jacobian().square().sum((1, 2))
        K = step.logits.shape[1]
        u = sphere(step.randn((self.projections, *step.logits.shape)))
        return K * step.vjp(u).flatten(2).square().sum(2).mean(0)
