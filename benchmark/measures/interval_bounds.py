"""Interval bounds: from the smallest and largest value of each input of a layer to those of its
outputs (Gowal et al. 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .layer_chain import Activation, Affine, Flatten, Layer, MaxPool

# x·sigmoid(x) has one minimum and rises on its right.
SILU_LOWEST_AT, SILU_LOWEST = -1.2784645427610738, -0.2784645427610738
# Of the value: an exponential, an addition, a division and a product, each within four units.
SILU_ROUNDING = 2.0**-20


def silu(x: Tensor) -> Tensor:
    """x·σ(x), in the type of x."""
    return x * x.sigmoid()


def through(layer: Layer, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Bounds of the layer's outputs, as exact arithmetic and as float32 computes them.

    Args:
        lower, upper: [N, ...], float64.
    Returns:
        lower, upper [N, ...].
    """
    match layer:
        case Flatten():
            return layer(lower), layer(upper)
        case MaxPool(kernel):
            return F.max_pool2d(lower, kernel), F.max_pool2d(upper, kernel)
        case Activation("relu"):
            return lower.clamp(min=0), upper.clamp(min=0)
        case Activation():
            return _through_silu(lower, upper)
        case Affine():
            centre, radius = layer((lower + upper) / 2), layer.spread((upper - lower) / 2)
            radius = radius + layer.rounding(largest(lower, upper))
            return centre - radius, centre + radius


def largest(lower: Tensor, upper: Tensor) -> Tensor:
    """The largest size of a number between two bounds."""
    return torch.maximum(-lower, upper)


def _through_silu(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    ends = silu(lower), silu(upper)
    least = torch.minimum(*ends)
    least = least.where((lower > SILU_LOWEST_AT) | (upper < SILU_LOWEST_AT), SILU_LOWEST)
    most = torch.maximum(*ends)
    return least - SILU_ROUNDING * least.abs(), most + SILU_ROUNDING * most.abs()
