"""NuAT: penalise the nuclear norm of a batch's change of logits under a single attack step."""

from dataclasses import dataclass

import torch

from benchmark.attacks.perturbation import per_example, project
from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class NuAT(Regularizer):
    """‖Z(x') − Z(x)‖_*/B, Z the batch's logits [B, K] (Sriramanan et al. 2021).

    x' is one signed step of length ε up L + λ‖Z(x̃) − Z(x)‖_*/B from x̃ = x ± noise·ε, the signs
    fair coins, then projected into the ℓ∞ ball; a constant. The norm is ⟨UVᵀ, ·⟩ of the singular
    vectors, which by Danskin's theorem need no derivative.
    """

    epsilon: float = 0.03137
    noise: float = 0.5

    def penalty(self, step: Step) -> Tensor:  # scalar
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        radius = per_example(self.epsilon, step.x)
        with torch.no_grad():
            coins = (step.rand(tuple(step.x.shape)) - 0.5).sign()
            there = step.at((step.x + self.noise * radius * coins).clamp(0, 1))
            rise = there.logits.softmax(1) - is_y.to(step.x.dtype)
            rise = rise + step.strength * polar(there.logits - step.logits)
            x = there.x + radius * there.vjp(rise).sign()
            x = project(x, step.x, radius, "inf", (0.0, 1.0))
        change = step.at(x).logits - step.logits
        return (polar(change.detach()) * change).sum() / len(step.x)


def polar(A: Tensor) -> Tensor:
    """UVᵀ of A [B, K], the nuclear norm's gradient; a model that diverges gets some matrix."""
    U, values, Vt = torch.linalg.svd(A.nan_to_num(0, 0, 0), full_matrices=False)
    return (U * (values > 0)) @ Vt
