"""CROWN: bounds of a network's numbers by linear functions, carried back from each layer to the
pixels (Zhang et al. 2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from . import interval_bounds
from .layer_chain import Activation, Affine, Chain, Convolution, Flatten, Layer, MaxPool
from .linear_rows import Ball, Rows
from .receptive_fields import Windows
from .relaxations import Relaxation, relaxed

NUMBERS_AT_ONCE = 2**20  # coefficients in one step, 8 MiB: the next one finds them in the cache


class LinearBounds:
    """Bounds of every layer's numbers over a ball around each of N images.

    Where a nonlinear layer follows, a layer's numbers are bounded by linear functions of the
    pixels, elsewhere by intervals.

    Attributes:
        lower, upper: of each layer's inputs [N, ...], and of the logits [N, K] at the end.
    """

    def __init__(self, chain: Chain, ball: Ball) -> None:
        self.chain, self.ball = chain, ball
        self.lower, self.upper = [ball.lower], [ball.upper]
        self._steps: list[
            Relaxation | Tensor | None
        ] = []  # a nonlinear layer's, a rounding's bound
        followers = [*chain.layers[1:], None]
        for layer, follower in zip(chain.layers, followers, strict=True):
            self._pass(layer, isinstance(follower, Activation | MaxPool))

    def least(self, rows: Rows) -> Tensor:
        """[N, P, R]: a lower bound of each function of the last layer's numbers."""
        constant: Tensor | float = 0.0
        passed = list(zip(self.chain.layers, self.chain.shapes, self._steps))
        for layer, shape, step in reversed(passed):
            if isinstance(step, Relaxation):
                rows, shift = step.before(rows)
                constant = constant + shift
            elif isinstance(layer, Affine) and step is not None:
                bias = layer.bias.expand(step.shape[1:])[None]
                constant = constant + rows.dot(bias) - rows.sizes.dot(step)
                rows = rows.before(layer, shape)
            elif isinstance(layer, Flatten):
                rows = rows.before(layer, shape)
        return constant + self.ball.least(rows)

    def _pass(self, layer: Layer, tighten: bool) -> None:
        lower, upper = self.lower[-1], self.upper[-1]
        match layer:
            case Activation() | MaxPool():
                self._steps.append(relaxed(layer, lower, upper))
            case Affine():
                self._steps.append(layer.rounding(interval_bounds.largest(lower, upper)))
            case Flatten():
                self._steps.append(None)
        below, above = interval_bounds.through(layer, lower, upper)
        if tighten and isinstance(layer, Affine):
            least, most = self._by_rows(len(lower), below.shape[1:])
            below, above = torch.maximum(below, least), torch.minimum(above, most)
        self.lower.append(below)
        self.upper.append(above)

    def _by_rows(self, images: int, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Bounds [N, *shape] of each of the last layer's numbers by linear functions."""
        units = torch.eye(shape[0], dtype=torch.float64, device=self.ball.x.device)[None, None]
        windows = None
        if len(shape) == 3:
            units, windows = units[..., None, None], Windows.pixels((shape[1], shape[2]))
        width = coefficients(self.chain, len(self._steps))
        at_once = max(1, NUMBERS_AT_ONCE // (2 * images * width))
        least, most = [], []
        for some in units.split(at_once, dim=2):
            both = self.least(Rows(torch.cat([some, -some], 2), windows))
            below, minus_above = both.expand(images, -1, -1).chunk(2, 2)
            least.append(below)
            most.append(-minus_above)
        lower, upper = (
            torch.cat(part, 2).transpose(1, 2).reshape(images, *shape) for part in (least, most)
        )
        return lower, upper


def coefficients(chain: Chain, depth: int) -> int:
    """How many coefficients a row has for each image, at most, on its way from layer `depth` back:
    a row is a number of a flat layer, or a channel of a map at every pixel.
    """
    shape = chain.shapes[depth]
    windows = Windows.pixels((shape[1], shape[2])) if len(shape) == 3 else None
    most = math.prod(shape)
    for layer, shape in reversed(list(zip(chain.layers, chain.shapes))[:depth]):
        if isinstance(layer, Flatten):
            windows = Windows.whole((shape[1], shape[2]))
        elif isinstance(layer, Convolution) and windows is not None:
            map = (shape[1], shape[2])
            windows = windows.before(map, layer.kernel, layer.stride, layer.padding)
        elif isinstance(layer, MaxPool) and windows is not None:
            windows = windows.before((shape[1], shape[2]), layer.kernel, layer.kernel, (0, 0))
        each = math.prod(shape) if windows is None else shape[0] * windows.pixels_each
        most = max(most, each * (1 if windows is None else windows.count))
    return most
