"""How much an input's loss can rise within a small ball: the smoothness of a trained network (Wen
et al., Table 1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..step import evaluation_mode
from .jacobian import Model
from .margins import loss


def maximal_loss_variation(
    model: Model, x: Tensor, y: Tensor, epsilon: float, steps: int = 10
) -> Tensor:
    """Largest rise `L(x + δ) − L(x)` found by signed gradient ascent in the ℓ∞ ball, within [0, 1]
    images.

    A lower bound of the true maximum. Starts at x, steps of 2.5ε / steps, the best iterate counts.

    Args:
        model: images → logits [B, K].
        x: [B, C, H, W], in [0, 1].
        y: [B] class indices.
        epsilon: radius, in [0, 1] pixel units (Wen et al. print ε·255).
        steps: gradients taken.
    Returns:
        [B], in nats; never negative.
    """
    low, high = (x - epsilon).clamp(0, 1), (x + epsilon).clamp(0, 1)
    step_size = 2.5 * epsilon / steps

    def losses(at: Tensor) -> tuple[Tensor, Tensor]:
        values = loss(model(at), y)
        return values.sum(), values

    with torch.no_grad(), evaluation_mode(model):
        slope = torch.func.grad(losses, has_aux=True)
        gradient, start = slope(x)
        at, best = x, start
        for _ in range(steps):
            at = torch.minimum(torch.maximum(at + step_size * gradient.sign(), low), high)
            gradient, values = slope(at)
            best = torch.maximum(best, values)
        return best - start
