"""Spectral-norm regularization: penalise the largest singular value of every layer's weight matrix."""
from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from benchmark.regularizer import Regularizer, Step, Tensor


@dataclass(frozen=True)
class GlobalSpectralNorm(Regularizer):
    """Σ_layers σ₁(W)² (Yoshida & Miyato 2017, with λ for its λ/2). Convolutions are reshaped to [out, −1].

    σ₁ is estimated by `iterations` rounds of power iteration a step, continued from the left singular vectors of the
    step before; they are constants, so the estimate uᵀWv never exceeds σ₁ and its derivative is uvᵀ.
    """
    iterations: int = 1

    def penalty(self, step: Step) -> Tensor:  # scalar
        total = step.x.new_zeros(())
        for name, weight in step.parameters.items():
            if weight.ndim < 2:
                continue
            W = weight.flatten(1)
            with torch.no_grad():
                u = step.state[name] if name in step.state else step.randn((len(W),))
                v = u  # replaced at once: there is at least one round
                for _ in range(self.iterations):
                    v = normalize(W.T @ u, dim=0)
                    u = normalize(W @ v, dim=0)
            step.state[name] = u
            total = total + (u @ W @ v).square()
        return total
