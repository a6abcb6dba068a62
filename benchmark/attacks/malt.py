"""MALT: projected gradient descent towards one class after another, the nearest boundary first."""

from __future__ import annotations

import torch
from torch import Tensor

from registry.spec import Norm

from .deepfool import boundary_distances
from .frozen import Model, frozen
from .objective import misclassified
from .perturbation import Bounds, per_example
from .pgd import pgd


def malt(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float | Tensor,
    norm: Norm = "inf",
    *,
    steps: int,
    restarts: int,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """PGD from x on z_t − z_y, for t in the order of (z_y − z_t) / ‖∇(z_y − z_t)‖ in the norm's
    dual, each on the images that those before have not broken (Melamed et al. 2024, section 3).

    The class of the second largest logit is often not the one whose boundary is nearest, and of
    many classes most need not be tried.

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices.
        epsilon: radius in input units, one number or one per example [N].
        steps: towards each class.
        restarts: how many classes are tried, at most K − 1.
    Returns:
        [N,C,H,W], without gradient: a misclassified image; x itself where x is, or where none was
        found.
    """
    radius = per_example(epsilon, x).flatten()
    with torch.no_grad(), frozen(model) as net:
        found = x.clone()
        rows = (~misclassified(net(x), y)).nonzero()[:, 0]
        distances = boundary_distances(net, x, y, norm)
        order = distances.argsort(stable=True, dim=1)[:, :restarts]
        for target in order.T:
            # Its own class is none to go to, nor one whose logit does not move against its own.
            rows = rows[distances[rows, target[rows]].isfinite()]
            if not len(rows):
                break
            moved = pgd(
                net,
                x[rows],
                y[rows],
                radius[rows],
                norm,
                steps=steps,
                target=target[rows],
                bounds=bounds,
            )
            wrong = misclassified(net(moved), y[rows])
            found[rows[wrong]] = moved[wrong]
            rows = rows[~wrong]
        return found
