"""The Square attack in ℓ∞ on a network that begins with a dense layer: a query moves a few pixels,
and costs what these move.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .frozen import Model, frozen
from .objective import margin, misclassified
from .perturbation import Bounds

# As AutoAttack sets them: the share of an image's pixels in the first squares, and the queries
# after each of which it halves.
SHARE = 0.8
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
AFRESH = 500  # queries after which what was added up is computed anew


@dataclass(frozen=True)
class Entrance:
    """A network as rest(weight·x + bias), in the images' precision and on their device."""

    weight: Tensor  # [U,C,H,W]
    bias: Tensor  # [U]
    rest: Callable[[Tensor], Tensor]  # [N,U] → logits [N,K]

    def __call__(self, x: Tensor) -> Tensor:
        """[N,C,H,W] → [N,U]."""
        return x.flatten(1) @ self.weight.flatten(1).T + self.bias


@dataclass
class _Search:
    """The examples that have not fallen: the best images so far, and what the first layer makes of
    them.
    """

    row: Tensor  # [n], of the example
    x: Tensor  # [n,C,H,W]
    y: Tensor  # [n]
    best: Tensor  # [n,C,H,W]
    hidden: Tensor  # [n,U]
    margin: Tensor  # [n], max_{j≠y} z_j − z_y

    def without(self, fallen: Tensor) -> _Search:
        going = ~fallen
        return _Search(*(part[going] for part in vars(self).values()))

    def move(
        self,
        entrance: Entrance,
        square: tuple[slice, ...],
        step: Tensor,
        epsilon: float,
        bounds: Bounds,
    ) -> None:
        """Moves one square by `step` [C,1,1], within the ball and the box, and keeps that where the
        margin rises.
        """
        centre, before = self.x[square], self.best[square]
        after = torch.min(torch.max(before + step, centre - epsilon), centre + epsilon)
        after = after.clamp(*bounds)
        change = (after - before).flatten(1) @ entrance.weight[square].flatten(1).T
        hidden = self.hidden + change
        found = margin(entrance.rest(hidden), self.y)
        better = (found > self.margin) | (found >= 0)
        self.hidden = hidden.where(better[:, None], self.hidden)
        self.best[square] = after.where(better[:, None, None, None], before)
        self.margin = found.where(better, self.margin)


def incremental_square(
    model: Model,
    entrance: Entrance,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    *,
    seed: int,
    queries: int = 5000,
    batch_size: int = 512,
    bounds: Bounds = (0.0, 1.0),
) -> Tensor:
    """Random search (Andriushchenko et al. 2020): stripes of ±ε at first, then in each query one
    square, the same for all examples, that moves by 2ε and is kept where another class gains on y.

    The package's steps with the package's random numbers. Of the first layer only what a square
    changes is computed: on LeNet-300-100, nine tenths of whose work that layer is, nearly nothing.

    Args:
        model: images [N,C,H,W] → logits [N,K]; what it gives decides whether an example has fallen.
        entrance: the same network in two parts.
        x: [N,C,H,W] within bounds.
        y: [N] class indices, those that the model gives.
        seed: of the random numbers, which each batch draws afresh.
    Returns:
        [N,C,H,W], without gradient: misclassified and within epsilon of x, or x itself.
    """
    with torch.no_grad(), frozen(model) as net:
        found = x.clone()
        for some in torch.arange(len(x), device=x.device).split(batch_size):
            moved = _searched(entrance, x[some], y[some], epsilon, seed, queries, bounds)
            wrong = misclassified(net(moved), y[some])
            found[some[wrong]] = moved[wrong]
        return found


def covered(query: int) -> float:
    """The share of an image's pixels that the square of this query covers."""
    return SHARE / 2 ** sum(query > after for after in HALVED_AFTER)


def _searched(
    entrance: Entrance,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    seed: int,
    queries: int,
    bounds: Bounds,
) -> Tensor:
    """Of each example the image found on which another class leads most. [n,C,H,W]."""
    generator = torch.Generator().manual_seed(seed)

    def signs(*shape: int) -> Tensor:
        drawn = 2 * torch.rand(shape, generator=generator) - 1
        return drawn.sign().to(x.device)

    def place(below: int) -> int:
        return int(below * torch.rand(1, generator=generator))

    channels, height, width = x.shape[1:]
    best = (x + epsilon * signs(len(x), channels, 1, width)).clamp(*bounds)
    hidden = entrance(best)
    all_rows, result = torch.arange(len(x), device=x.device), best.clone()
    state = _Search(all_rows, x, y, best, hidden, margin(entrance.rest(hidden), y))
    for query in range(queries):
        fallen = state.margin >= 0
        if fallen.any():
            result[state.row[fallen]] = state.best[fallen]
            state = state.without(fallen)
        if not len(state.row):
            break
        side = max(round(math.sqrt(covered(query) * height * width)), 1)
        side = min(side, height, width)
        top, left = place(height - side), place(width - side)
        square = slice(None), slice(None), slice(top, top + side), slice(left, left + side)
        state.move(entrance, square, 2 * epsilon * signs(channels, 1, 1), epsilon, bounds)
        if query % AFRESH == AFRESH - 1:
            state.hidden = entrance(state.best)
    result[state.row] = state.best
    return result
