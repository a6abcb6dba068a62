"""Cross-Lipschitz regularization: penalise how differently the classes' logits move with the input."""
from dataclasses import dataclass

from benchmark.regularizer import Regularizer, Step, Tensor, sphere


@dataclass(frozen=True)
class CrossLipschitz(Regularizer):
    """Ω = Σ_{l,m} ‖v_l − v_m‖² / K² over ordered pairs (Hein & Andriushchenko 2017, eq. 5); ν²/2 when K = 2.

    With `projections = m`, the unbiased estimate (2(K−1)/K)·mean‖Vu‖² over m directions u drawn from the unit sphere
    orthogonal to the all-ones vector: m vector-Jacobian products instead of K.
    """
    projections: int | None = None

    def penalty(self, step: Step) -> Tensor:  # [B]
        K = step.logits.shape[1]
        if self.projections is None:
            # Σ_{l,m} ‖v_l − v_m‖² = 2K·‖V − V̄‖², V̄ the mean over classes: no loop over pairs and no Gram matrix
            V = step.jacobian(relative=True)
            return 2 / K * (V - V.mean(1, keepdim=True)).square().sum((1, 2))
        u = sphere(step.randn((self.projections, *step.logits.shape)), orthogonal_to_ones=True)
        return 2 * (K - 1) / K * step.vjp(u).flatten(2).square().sum(2).mean(0)
