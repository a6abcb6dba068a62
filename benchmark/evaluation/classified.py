"""Which images a model classifies correctly, a batch at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..attacks import misclassified
from ..attacks.frozen import frozen

BATCH = 512


def batches(x: Tensor) -> tuple[Tensor, ...]:
    """The places of [N, …] images, at most BATCH at once."""
    return torch.arange(len(x), device=x.device).split(BATCH)


def classified(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """[N] bool: right about, in evaluation mode.

    Args:
        model: images [N,C,H,W] in [0,1] → logits [N,K].
        y: [N] class indices.
    """
    if not len(x):
        return torch.zeros_like(y, dtype=torch.bool)
    with torch.no_grad(), frozen(model) as net:
        return torch.cat([~misclassified(net(x[rows]), y[rows]) for rows in batches(x)])
