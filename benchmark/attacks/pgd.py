"""Attacks that stay within a ball: the fast gradient sign method and projected gradient descent."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from registry.spec import Norm

from .frozen import Model, frozen
from .objective import LOSSES, Loss, input_gradient, misclassified
from .perturbation import Bounds, per_example, project, steepest


def fgsm(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float | Tensor,
    norm: Norm = "inf",
    *,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """One step of length epsilon up the cross-entropy, clipped to the box (Goodfellow et al. 2015,
    section 4).

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices.
        epsilon: radius in input units, one number or one per example [N].
        norm: "inf" steps along the gradient's sign, "2" along the gradient.
    Returns:
        [N,C,H,W], without gradient.
    """
    radius = per_example(epsilon, x)
    with torch.no_grad(), frozen(model) as net:
        gradient, _, _ = input_gradient(net, x, y, "ce")
        return (x + radius * steepest(gradient, norm)).clamp(*bounds)


def pgd(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float | Tensor,
    norm: Norm = "inf",
    *,
    steps: int,
    step_size: float | Tensor | None = None,
    start: Tensor | None = None,
    loss: Loss = "ce",
    target: Tensor | None = None,
    bounds: Bounds = (0.0, 1.0),
    keep: Literal["worst", "last"] = "worst",
    mapped: bool = False,
) -> Tensor:
    """Steps up the loss, each projected back into the ball and the box (Madry et al. 2018, section
    2.1).

    An example whose iterate comes again is done, as nothing new follows: of a model that always
    answers alike the result is the same to the last bit (arXiv 2503.19347).

    Args:
        model: images [N,C,H,W] → logits [N,K].
        x: [N,C,H,W] within bounds.
        y: [N] class indices.
        epsilon: radius in input units, one number or one per example [N].
        step_size: length of a step in the norm; 2.5·epsilon/steps where not given.
        start: [N,C,H,W] points of the unit ball (`unit_ball`), from which x + epsilon·start begins;
            x itself where not given. An example's result depends on its own start only.
        loss: "ce", or "margin" for max_{j≠y} z_j − z_y.
        target: [N] class indices t ≠ y to go to: the loss is then z_t − z_y.
        keep: "worst", to evaluate: the first iterate that is misclassified, else the one of highest
            loss. "last", to train on: the last iterate; no step then depends on data, so that it
            can be mapped over models.
        mapped: carry examples that have fallen along to the end, so that "worst" can be mapped over
            models too.
    Returns:
        [N,C,H,W], without gradient.
    """
    radius = per_example(epsilon, x)
    goal = y  # what the loss takes beside the logits
    if target is not None:
        loss, goal = "target", torch.stack((y, target), 1)
    stride = 2.5 * radius / steps if step_size is None else per_example(step_size, x)
    with torch.no_grad(), frozen(model) as net:
        current = x if start is None else project(x + radius * start, x, radius, norm, bounds)
        if keep == "last":
            for _ in range(steps):
                gradient, _, _ = input_gradient(net, current, goal, loss)
                after = current + stride * steepest(gradient, norm)
                current = project(after, x, radius, norm, bounds)
            return current

        worst, fallen = current.clone(), torch.zeros_like(y, dtype=torch.bool)
        # The examples still classified correctly: the others are done.
        rows = torch.arange(len(x), device=x.device)
        highest = x.new_full((len(x),), -torch.inf)
        earlier = current  # an iterate to come back to: that of the last power of two (Brent)
        for step in range(steps + 1):
            if not len(rows):
                break
            if step < steps:
                gradient, losses, logits = input_gradient(net, current, goal, loss)
                after = current + stride * steepest(gradient, norm)
                after = project(after, x, radius, norm, bounds)
            else:
                logits, after = net(current), current
                losses = LOSSES[loss](logits, goal)
            wrong = misclassified(logits, y)
            better = wrong | (losses > highest)
            if mapped:
                worst = worst.where((fallen | ~better).view_as(radius), current)
                fallen = fallen | wrong
            else:
                worst[rows[better]] = current[better]
            current, highest = after, torch.maximum(highest, losses)
            if mapped:
                continue
            going = ~(wrong | (after == earlier).flatten(1).all(1))
            if step & (step + 1) == 0:
                earlier = after
            if not going.all():
                rows, x, y, current = rows[going], x[going], y[going], current[going]
                goal = goal[going]
                radius, stride, highest = radius[going], stride[going], highest[going]
                earlier = earlier[going]
        return worst
