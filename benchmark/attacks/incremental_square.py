"""The Square attack in ℓ∞ on a network that begins with a dense layer: a query moves a few pixels,
and costs what these move.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

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
ROWS = 128  # examples times squares, or pixels of a square times squares, at once


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
    x: Tensor  # [n,D], D = C·H·W
    y: Tensor  # [n]
    best: Tensor  # [n,D]
    hidden: Tensor  # [n,U]
    margin: Tensor  # [n], max_{j≠y} z_j − z_y

    def without(self, fallen: Tensor) -> _Search:
        going = ~fallen
        return _Search(*(part[going] for part in vars(self).values()))

    def move(
        self, entrance: Entrance, pixels: Tensor, step: Tensor, epsilon: float, bounds: Bounds
    ) -> int:
        """Tries several squares, each on the images as they are now, and makes the first move that
        raises any example's margin, where it does. Those before it change nothing; those behind it
        were tried too early, and come again.

        Args:
            pixels: [Q,P], each square's indices among the D.
            step: [Q,P], how far it moves, before the ball and the box hold it.
        Returns:
            how many of the Q are done with.
        """
        centre, before = (of[:, pixels].transpose(0, 1) for of in (self.x, self.best))
        after = torch.min(torch.max(before + step[:, None], centre - epsilon), centre + epsilon)
        after = after.clamp(*bounds)
        hidden = self.hidden + (after - before) @ entrance.weight.flatten(1).T[pixels]
        logits = entrance.rest(hidden.flatten(0, 1))
        found = margin(logits, self.y.repeat(len(pixels))).view(len(pixels), -1)
        better = (found > self.margin) | (found >= 0)
        helping = better.any(1).nonzero()[:, 0].tolist()
        if not helping:
            return len(pixels)
        first = helping[0]
        gains = better[first]
        self.hidden = hidden[first].where(gains[:, None], self.hidden)
        self.best[:, pixels[first]] = after[first].where(gains[:, None], before[first])
        self.margin = found[first].where(gains, self.margin)
        return first + 1


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
    And as most squares help nobody, several are tried at once: as many as ROWS has room for, and
    twice as many as the last time went without a gain.

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
    channels, height, width = x.shape[1:]

    def signs(drawn: Tensor) -> Tensor:
        return (2 * drawn - 1).sign().to(x)

    stripes = signs(torch.rand(len(x), channels, 1, width, generator=generator))
    drawn = torch.rand(queries, 2 + channels, generator=generator)
    best = (x + epsilon * stripes).clamp(*bounds).flatten(1)
    hidden, result = entrance(best), best.clone()
    rows = torch.arange(len(x), device=x.device)
    state = _Search(rows, x.flatten(1), y, best, hidden, margin(entrance.rest(hidden), y))
    ahead = 1
    for start, end in pairwise(_stretches(queries)):
        side = max(round(math.sqrt(covered(start) * height * width)), 1)
        side = min(side, height, width)
        pixels = _pixels(drawn[start:end, :2], side, x.shape[1:]).to(x.device)
        step = 2 * epsilon * signs(drawn[start:end, 2:]).repeat_interleave(side**2, 1)
        state.hidden = entrance(state.best)
        at = 0
        while at < end - start:
            fallen = state.margin >= 0
            if fallen.any():
                result[state.row[fallen]] = state.best[fallen]
                state = state.without(fallen)
            if not len(state.row):
                return result.view_as(x)
            some = slice(at, at + min(ahead, max(1, ROWS // max(len(state.row), pixels.shape[1]))))
            done = state.move(entrance, pixels[some], step[some], epsilon, bounds)
            at, ahead = at + done, 2 * done
    result[state.row] = state.best
    return result.view_as(x)


def _stretches(queries: int) -> list[int]:
    """From 0 to `queries`, the queries before which squares get smaller or sums are computed
    afresh.
    """
    smaller = {after + 1 for after in HALVED_AFTER}
    return sorted(
        {0, queries, *(at for at in {*smaller, *range(0, queries, AFRESH)} if at < queries)}
    )


def _pixels(drawn: Tensor, side: int, shape: torch.Size) -> Tensor:
    """[Q,2] from [0, 1), where each square lies between the image's top and bottom, left and right
    → [Q,P], the flat indices of its C·side² pixels.
    """
    channels, height, width = shape
    room = torch.tensor([height - side, width - side])
    top, left = (room * drawn).long()[..., None, None, None].unbind(1)
    line = torch.arange(side)
    layer = torch.arange(channels)[:, None, None] * height
    return (((layer + top + line[:, None]) * width) + left + line).flatten(1)
