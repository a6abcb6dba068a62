"""The fast minimum-norm attack: the smallest ℓ∞ or ℓ2 perturbation, within a ball whose radius
follows the boundary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from registry.spec import Norm

from .frozen import Model, filled, frozen
from .objective import input_gradient, misclassified
from .perturbation import Bounds, project, size, steepest

FIRST_STEP = 1.0  # its ℓ2 length, in both norms
LAST_STEP = 0.01  # of the first
FIRST_RATE, LAST_RATE = 0.05, 0.001  # share of the radius that it changes by


def fmn(
    model: Model,
    x: Tensor,
    y: Tensor,
    norm: Norm = "inf",
    *,
    steps: int = 100,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """Steps along the gradient of max_{j≠y} z_j − z_y, each projected into a ball of its own radius
    and into the box (Pintor et al. 2021, algorithm 1).

    The radius shrinks by a rate after an adversarial iterate, to the nearest one's norm at most,
    and grows by it after another. Before the first adversarial one it grows at least to where the
    linearised model changes its class. (The paper has that distance alone there, which may near a
    boundary from inside and never cross it.) Steps and rates fall by a cosine. All examples take
    all steps: none stops because of others, and nothing is drawn.

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices.
    Returns:
        [N,C,H,W], without gradient: the nearest misclassified iterate; x itself where x is, or
        where none was found.
    """
    shape = (-1, *[1] * (x.dim() - 1))
    n, x, y = len(x), filled(x), filled(y)
    # The norm of the way to the box's farthest corner: no ball need be larger.
    farthest = size(torch.maximum(x - bounds[0], bounds[1] - x), norm)
    with torch.no_grad(), frozen(model) as net:
        current, found = x, x.clone()
        radius, distance = torch.zeros_like(farthest), torch.full_like(farthest, torch.inf)
        for step in range(steps):
            fall = (1 + math.cos(math.pi * step / steps)) / 2
            stride = FIRST_STEP * (LAST_STEP + (1 - LAST_STEP) * fall)
            rate = LAST_RATE + (FIRST_RATE - LAST_RATE) * fall
            gradient, losses, logits = input_gradient(net, current, y, "margin")
            wrong, reach = misclassified(logits, y), size(current - x, norm)
            closer = wrong & (reach < distance)
            found = current.where(closer.view(shape), found)
            distance = reach.where(closer, distance)
            # The dual norm of the gradient: what the margin changes by along the shortest way.
            slope = torch.linalg.vector_norm(gradient.flatten(1), 1 if norm == "inf" else 2, dim=1)
            crossing = reach + (losses.abs() / slope).nan_to_num(nan=torch.inf)
            crossing = crossing.where(distance.isinf(), 0)
            farther = torch.maximum(radius * (1 + rate), crossing)
            nearer = torch.minimum(radius * (1 - rate), distance)
            radius = torch.minimum(torch.where(wrong, nearer, farther), farthest)
            moved = current + stride * steepest(gradient, "2")
            current = project(moved, x, radius.view(shape), norm, bounds)
        return found[:n]
