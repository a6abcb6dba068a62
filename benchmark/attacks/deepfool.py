"""DeepFool: the smallest ℓ2 perturbation, by crossing the nearest boundary of the linearised model
again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from registry.spec import Norm

from .frozen import Model, frozen
from .objective import misclassified
from .perturbation import Bounds, steepest

CLASSES_AT_ONCE = 16  # input gradients held in memory together, for each example
SHORTEST = 1e-5  # of a step, as a share of the box's side: an exact tie is crossed too


def deepfool(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """Each step adds the shortest way to the nearest of ALL other classes' boundaries, the model
    taken as linear.

    The sum of the steps r is tried as x + (1 + overshoot)·r, clipped to the box: where the box does
    not bind, a linear model's distance is met times 1 + overshoot (Moosavi-Dezfooli et al. 2016,
    algorithm 2).

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices.
        steps: at most; most examples need two or three.
    Returns:
        [N,C,H,W], without gradient: the first iterate that is misclassified; x itself where x is,
        or where none was.
    """
    shortest = SHORTEST * (bounds[1] - bounds[0])
    with torch.no_grad(), frozen(model) as net:
        found = x.clone()
        # The examples still classified correctly: the others are done.
        rows = torch.arange(len(x), device=x.device)
        current, total = x, torch.zeros_like(x)
        for step in range(steps + 1):
            if not len(rows):
                break
            logits = net(current)
            wrong = misclassified(logits, y)
            found[rows[wrong]] = current[wrong]
            going = ~wrong
            rows, x, y, total, current = (of[going] for of in (rows, x, y, total, current))
            if step < steps and len(rows):
                distance, gradient = nearest_boundary(net, current, y)
                # A flat model gives no direction.
                length = distance.clamp(min=shortest).nan_to_num(posinf=0.0)
                total = total + length.view(-1, *[1] * (x.dim() - 1)) * steepest(gradient, "2")
                current = (x + (1 + overshoot) * total).clamp(*bounds)
        return found


def nearest_boundary(model: Model, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The least |z_y − z_j| / ‖∇(z_j − z_y)‖₂ over all j ≠ y.

    Args:
        x: [N,C,H,W], classified as y.
    Returns:
        distance [N] in input units, inf where no logit moves against y's; direction [N,C,H,W], a
        positive multiple of the gradient of z_j − z_y at that j.
    """
    distance, gradient = x.new_full((len(x),), torch.inf), torch.zeros_like(x)
    for distances, gradients in _boundaries(model, x, y, 2):
        nearest, which = distances.min(0)
        closer = nearest < distance
        distance = nearest.where(closer, distance)
        chosen = gradients[which, torch.arange(len(x), device=x.device)]
        gradient = chosen.where(closer.view(-1, *[1] * (x.dim() - 1)), gradient)
    return distance, gradient


def boundary_distances(model: Model, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
    """(z_y − z_j) / ‖∇(z_j − z_y)‖ in the norm's dual: how far each class's boundary is, the model
    taken as linear.

    Args:
        x: [N,C,H,W].
        y: [N] class indices.
    Returns:
        [N,K] in input units, inf for y itself and where z_j does not move against z_y.
    """
    dual = 1 if norm == "inf" else 2
    return torch.cat([distances for distances, _ in _boundaries(model, x, y, dual)]).T


def _boundaries(
    model: Model, x: Tensor, y: Tensor, dual: Literal[1, 2]
) -> Iterator[tuple[Tensor, Tensor]]:
    """For k classes at a time their linearised distances [k,N], inf where there is none, and
    positive multiples of the gradients of z_j − z_y [k,N,C,H,W].
    """
    logits, pull = torch.func.vjp(model, x)[:2]
    classes = logits.shape[1]
    gaps = logits.gather(1, y[:, None]) - logits  # [N,K]
    # A distance doesn't change with the logits' scale, but the squares of very large or small
    # gradients would be lost.
    scale = gaps.abs().amax(1, keepdim=True)
    scale = scale.where((scale > 0) & scale.isfinite(), 1)
    own = torch.nn.functional.one_hot(y, classes).to(logits)
    eye = torch.eye(classes, dtype=logits.dtype, device=logits.device)
    for others in torch.arange(classes, device=x.device).split(CLASSES_AT_ONCE):
        cotangents = (eye[others][:, None] - own) / scale  # [k,N,K]
        gradients = torch.func.vmap(lambda cotangent: pull(cotangent)[0])(cotangents)  # [k,N,C,H,W]
        lengths = torch.linalg.vector_norm(gradients.flatten(2), ord=dual, dim=2)  # [k,N]
        usable = (lengths > 0) & lengths.isfinite() & (others[:, None] != y)
        yield ((gaps / scale)[:, others].T / lengths).where(usable, torch.inf), gradients
