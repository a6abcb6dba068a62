"""Data-dependent operator-norm regularization: penalise the largest stretch of a perturbation by the linearised net."""
from dataclasses import dataclass

import torch

from benchmark.attacks.perturbation import steepest
from benchmark.regularizer import Regularizer, Step, Tensor, leading_eigenvector
from registry.spec import Norm


@dataclass(frozen=True)
class DataDependentOperatorNorm(Regularizer):
    """‖J‖²_{p→2} = max ‖Jv‖₂² over ‖v‖_p ≤ 1, J the logits' Jacobian at the example (Roth et al. 2020, eq. 13).

    `norm = "2"` is σ₁(J)², the data-dependent spectral norm. Without `iterations` it is exact: λ_max of the K×K Gram
    matrix. `norm = "inf"` is its ℓ∞ twin, sought by iteration only, as the maximum is NP-hard.
    With `iterations = m`, m rounds v ← argmax ⟨v, JᵀJv⟩ over the ball from a fresh Gaussian start (eq. 12): a lower
    bound. The maximiser is a constant (Danskin).
    """
    norm: Norm = "2"
    iterations: int | None = None

    def __post_init__(self) -> None:
        if self.norm == "inf" and self.iterations is None:
            raise ValueError('norm "inf" has no exact form; add iterations=10')

    def penalty(self, step: Step) -> Tensor:  # [B]
        if self.iterations is None:
            V = step.jacobian(detached=True)
            q = leading_eigenvector(V @ V.transpose(1, 2))
            return step.vjp(q).flatten(1).square().sum(1)
        with torch.no_grad():
            v = steepest(step.randn(tuple(step.x.shape)), self.norm)
            for _ in range(self.iterations):
                # Jv's length is of no consequence, but must not leave float32's range as the rounds go on
                v = steepest(step.vjp(steepest(step.jvp(v), "2")), self.norm)
        return step.jvp(v).square().sum(1)
