"""How far perturbations point along the direction to which the network is most sensitive (Roth et
al., 7.14).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .jacobian import gram


def top_right_singular_vector(jacobian: Tensor) -> Tensor:
    """`v₁`, the unit input direction in which the logits move fastest. jacobian [B, K, n] → [B, n];
    nan where it is 0.
    """
    left = torch.linalg.eigh(gram(jacobian)).eigenvectors[:, :, -1]  # unit u₁; Jᵀu₁ = σ₁v₁
    right = torch.einsum("bk,bkn->bn", left, jacobian.to(left.dtype))
    return (right / right.norm(dim=1, keepdim=True)).to(jacobian.dtype)


def alignment(perturbation: Tensor, jacobian: Tensor) -> Tensor:
    """`|cos(δ, v₁)|` of perturbations with the Jacobian's top right singular vector.

    Args:
        perturbation: [B, C, H, W], an attack's δ, or `random_of_same_norm(δ)` to compare with.
        jacobian: [B, K, C·H·W].
    Returns:
        [B], in [0, 1]; nan where δ or the Jacobian is zero.
    """
    delta = perturbation.flatten(1)
    cosine = (delta * top_right_singular_vector(jacobian)).sum(1) / delta.norm(dim=1)
    return cosine.abs()


def random_of_same_norm(perturbation: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Perturbations in uniformly random directions, each with the ℓ2 norm of the given one. [B,
    ...] → [B, ...].
    """
    noise = torch.randn(
        perturbation.shape,
        generator=generator,
        dtype=perturbation.dtype,
        device=perturbation.device,
    )
    flat = noise.flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True)
    return (unit * perturbation.flatten(1).norm(dim=1, keepdim=True)).view_as(perturbation)
