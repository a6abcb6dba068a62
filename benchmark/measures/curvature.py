"""Curvature of a margin in the input: the Hessian's spectral norm, and how much of it the
gradient's direction shows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..step import evaluation_mode
from .jacobian import Model


def margin_curvature(
    model: Model, x: Tensor, y: Tensor, start: Tensor, iterations: int = 30
) -> tuple[Tensor, Tensor]:
    """`‖H·g/‖g‖‖₂` and `‖H‖₂` of the margin `f = z_y − z_j` over the likeliest other class j; g and
    H its derivatives.

    The Cross-Hölder paper's figure 3 compares the two: taking the first for the second, as methods
    do that probe the curvature along the gradient alone, under-estimates it. 0 on piecewise-linear
    nets.

    Args:
        model: images → logits [B, K].
        x: [B, C, H, W].
        y: [B] class indices.
        start: [B, C, H, W], random directions for the power iteration.
        iterations: of Hessian-vector products; ‖H‖₂ is approached from below, but never below the
            first value.
    Returns:
        [B] and [B], in logits per squared input unit; the first is nan where the gradient is 0.
    """
    with torch.no_grad(), evaluation_mode(model):
        logits = model(x)
        other = logits.scatter(1, y[:, None], -torch.inf).argmax(1)
        one_hot = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
        cotangent = one_hot[y] - one_hot[other]

        def gradient(images: Tensor) -> Tensor:
            return torch.func.vjp(model, images)[1](cotangent)[0]

        g, hessian_product, *_ = torch.func.vjp(gradient, x)  # H is symmetric
        along = _length(hessian_product(g / _length(g))[0])
        v, norm = start / _length(start), torch.zeros_like(along)
        for _ in range(iterations):
            product = hessian_product(v)[0]
            size = _length(product)
            norm = torch.maximum(norm, size)
            v = torch.where(size > 0, product / size, v)
        return along.flatten(), torch.fmax(norm, along).flatten()


def _length(v: Tensor) -> Tensor:
    """[B, 1, 1, 1]."""
    return v.flatten(1).norm(dim=1).view(-1, *[1] * (v.dim() - 1))
