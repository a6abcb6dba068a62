"""Carlini & Wagner's ℓ2 attack: the smallest perturbation by gradient descent, its trade-off found
by search.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .frozen import Model, filled, frozen
from .objective import margin, misclassified
from .perturbation import Bounds, size

FIRST_C = 0.1  # what c begins with
INSIDE = 0.999999  # pixels at the box's border are pulled in by so much: arctanh(±1) is infinite


def carlini_wagner(
    model: Model,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 200,
    search_steps: int = 6,
    learning_rate: float = 0.1,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """Minimises ‖x' − x‖₂² + c·max(z_y − max_{j≠y} z_j, 0) over x' = tanh(w), scaled to the box, by
    Adam.

    For each example alone, c is multiplied by 10 until an adversarial image is found and then
    bisected (Carlini & Wagner 2017, section VI.A, confidence 0). All examples take all steps: none
    stops because of others.

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices.
        steps: of Adam for each of the `search_steps` values of c.
        learning_rate: of Adam, in arctanh units; over the second half of the steps it falls
            linearly to 0, so that the last ones settle on the boundary. The customary 0.01 needs
            thousands of steps to lift a black pixel.
    Returns:
        [N,C,H,W], without gradient: the nearest misclassified iterate; x itself where x is, or
        where none was found.
    """
    middle, half = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
    shape = (-1, *[1] * (x.dim() - 1))
    n, x, y = len(x), filled(x), filled(y)
    with torch.no_grad(), frozen(model) as net:
        origin = ((x - middle) / half * INSIDE).arctanh()
        reachable = middle + half * origin.tanh()
        found = x.clone()
        distance = x.new_zeros(len(x)).where(misclassified(net(x), y), torch.inf)
        c = torch.full_like(distance, FIRST_C)
        lower, upper = torch.zeros_like(c), torch.full_like(c, torch.inf)
        for _ in range(search_steps):
            change, first, second = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)
            broken = torch.zeros_like(y, dtype=torch.bool)
            for step in range(1, steps + 1):
                w = origin + change
                gradient, images, logits = _slope(net, w, y, c, reachable, middle, half)
                wrong = misclassified(logits, y)
                reach = size(images - x, "2")
                closer = wrong & (reach < distance)
                found = images.where(closer.view(shape), found)
                distance = reach.where(closer, distance)
                broken = broken | wrong
                gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient.square()
                scale = (second / (1 - 0.999**step)).sqrt() + 1e-8
                rate = learning_rate * min(1.0, 2 - 2 * (step - 1) / steps)
                change = change - rate * first / (1 - 0.9**step) / scale
            upper, lower = c.where(broken, upper), lower.where(broken, c)
            c = torch.where(upper.isinf(), 10 * c, (lower + upper) / 2)
        return found[:n]


def _slope(
    model: Model, w: Tensor, y: Tensor, c: Tensor, reachable: Tensor, middle: float, half: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the objective by w [N,C,H,W], with the images [N,C,H,W] and logits [N,K] at w."""

    def objective(w: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        images = middle + half * w.tanh()
        logits = model(images)
        hinge = (-margin(logits, y)).clamp(min=0)
        return ((images - reachable).square().flatten(1).sum(1) + c * hinge).sum(), (images, logits)

    gradient, (images, logits) = torch.func.grad(objective, has_aux=True)(w)
    return gradient, images, logits
