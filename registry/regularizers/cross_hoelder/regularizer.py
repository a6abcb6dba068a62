"""Cross-Hölder regularization: penalise slope and curvature of every class's margin against the true one."""
from dataclasses import dataclass
from typing import Literal

import torch
from torch.linalg import vector_norm

from benchmark.attacks.perturbation import steepest
from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class CrossHoelder(Regularizer):
    """Σ_{j≠y} (‖∇f^{(j)}‖_q + λ₂·‖H^{(j)}‖_{p→q}) of the margins f^{(j)} = f_y − f_j (Mustafa et al. 2020, eq. 5).

    ‖H‖_{p→q} = max ‖Hv‖_q over ‖v‖_p = 1 is sought from a Gaussian start; the maximiser v is a constant (Danskin).
    `update = "power"`: v is the unit vector along which ∇_v‖Hv‖_q rises most, which for p = q = 2 is power iteration.
    `update = "ascent"`: the paper's algorithm 1, v + 0.1·∇_v‖Hv‖_q brought back to unit norm, which under-estimates
    the norm badly where it is small (the start is then hardly moved). Both cost two Hessian-vector products.
    The default p, q = 2, 2 bounds ℓ2 perturbations; p, q = inf, 1 bounds ℓ∞ ones.
    """
    hessian_weight: float = 0.5
    p: Literal["2", "inf"] = "2"
    q: Literal["1", "2"] = "2"
    iterations: int = 10
    update: Literal["power", "ascent"] = "power"

    def penalty(self, step: Step) -> Tensor:  # [B]
        K = step.logits.shape[1]
        offsets = torch.arange(1, K, device=step.y.device)[:, None]
        eye = torch.eye(K, dtype=step.x.dtype, device=step.x.device)
        u = eye[step.y] - eye[(step.y + offsets) % K]  # [K−1, B, K]: ⟨u, logits⟩ are the margins
        slopes = self._norm(step.vjp(u))
        if self.hessian_weight == 0:
            return slopes.sum(0)
        with torch.no_grad():
            v = _steepest(step.randn((K - 1, *step.x.shape)), self.p)
            for _ in range(self.iterations):
                # ∇_v‖Hv‖_q = Hs, s the vector that attains the norm: Hv/‖Hv‖₂, or its signs
                rise = step.hvp(u, _steepest(step.hvp(u, v), "inf" if self.q == "1" else "2"))
                v = _steepest(rise, self.p) if self.update == "power" else self._shortened(v + 0.1 * rise)
        return (slopes + self.hessian_weight * self._norm(step.hvp(u, v))).sum(0)

    def _norm(self, w: Tensor) -> Tensor:
        """‖w‖_q of each: [K−1, B, C, H, W] → [K−1, B]."""
        return vector_norm(w, int(self.q), dim=(2, 3, 4))

    def _shortened(self, v: Tensor) -> Tensor:
        """v/‖v‖_p of each."""
        return v / vector_norm(v, float(self.p), dim=(2, 3, 4), keepdim=True)


def _steepest(rise: Tensor, norm: Literal["2", "inf"]) -> Tensor:
    """The vectors of unit norm along which linear functions of these slopes rise most: [K−1, B, C, H, W]."""
    return steepest(rise.flatten(0, 1), norm).view_as(rise)
