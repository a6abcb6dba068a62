"""Linear functions between which ReLU, SiLU and max-pooling lie, where their inputs' bounds are
known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .interval_bounds import SILU_LOWEST, SILU_ROUNDING, largest, silu
from .layer_chain import Activation, MaxPool
from .linear_rows import Rows

SILU_BEND = 0.04  # x·sigmoid(x) is nearly convex: its second derivative is above −0.0370
SILU_FAR = 4.0  # half an interval's width from which on ReLU's functions lie closer


@dataclass(frozen=True)
class Relaxation:
    """Two linear functions between which a nonlinear layer lies: lower_slope·x + lower_constant and
    upper_slope·x + upper_constant. Slopes are of the inputs' shape [N, ...], constants of the
    outputs'.

    A pooling's output has the sum over its square's inputs.
    """

    lower_slope: Tensor
    lower_constant: Tensor
    upper_slope: Tensor
    upper_constant: Tensor
    kernel: tuple[int, int] = (1, 1)

    def before(self, rows: Rows) -> tuple[Rows, Tensor]:
        """Functions of the inputs and constants [N, P, R] that together are at most `rows`.

        A coefficient c takes the lower function where it is positive and the upper where negative:
        the mean of both times c less half their difference times |c|.
        """
        sizes = rows.sizes
        constant = rows.dot((self.lower_constant + self.upper_constant) / 2)
        constant -= sizes.dot((self.upper_constant - self.lower_constant) / 2)
        if self.kernel != (1, 1):
            shape = self.lower_slope.shape[1:]
            rows, sizes = rows.unpooled(self.kernel, shape), sizes.unpooled(self.kernel, shape)
        mean, half = (
            rows.read(slope)[:, :, None]
            for slope in (
                (self.lower_slope + self.upper_slope) / 2,
                (self.lower_slope - self.upper_slope) / 2,
            )
        )
        both = torch.addcmul(rows.coefficients * mean, sizes.coefficients, half)
        return Rows(both, rows.windows), constant


def relaxed(layer: Activation | MaxPool, lower: Tensor, upper: Tensor) -> Relaxation:
    """The layer between linear functions, where its inputs lie between two bounds [N, ...]."""
    match layer:
        case MaxPool(kernel):
            return _relaxed_pool(kernel, lower, upper)
        case Activation("relu"):
            return _relaxed_relu(lower, upper)
        case _:
            return _relaxed_silu(lower, upper)


def _relaxed_relu(lower: Tensor, upper: Tensor) -> Relaxation:
    """Above, the chord; below, 0 or x, whichever leaves the smaller area (DeepPoly, Singh et al.
    2019).
    """
    above, below = upper.clamp(min=0), lower.clamp(max=0)
    chord = above / (above - below).where(above > below, 1)
    slope = (upper > -lower).to(lower)
    return Relaxation(slope, torch.zeros_like(slope), chord, -chord * below)


def _relaxed_silu(lower: Tensor, upper: Tensor) -> Relaxation:
    """Above, the chord; below, the tangent in the middle: each moved by SILU_BEND/2·r², r half the
    width, what a second derivative of −SILU_BEND can bend. On wide intervals ReLU's, as silu lies
    between ReLU − 0.2785 and ReLU.
    """
    middle, r = (lower + upper) / 2, (upper - lower) / 2
    sigmoid = middle.sigmoid()
    tangent = sigmoid * (1 + middle * (1 - sigmoid))
    chord = (silu(upper) - silu(lower)) / (2 * r).where(r > 0, 1)
    bend = SILU_BEND / 2 * r.square()
    relu, near = _relaxed_relu(lower, upper), r <= SILU_FAR
    below = torch.where(near, silu(middle) - tangent * middle - bend, SILU_LOWEST)
    above = torch.where(near, silu(lower) - chord * lower + bend, relu.upper_constant)
    rounding = SILU_ROUNDING * largest(lower, upper)
    return Relaxation(
        torch.where(near, tangent, relu.lower_slope),
        below - rounding,
        torch.where(near, chord, relu.upper_slope),
        above + rounding,
    )


def _relaxed_pool(kernel: tuple[int, int], lower: Tensor, upper: Tensor) -> Relaxation:
    """Below, the input whose lower bound t is the highest. Above, of two the one that is lower in
    the middle of the box: the highest upper bound, or t + Σ of the chords of max(x_i − t, 0).

    Where one input is above all others throughout, both are that input.
    """
    t, which = F.max_pool2d(lower, kernel, return_indices=True)
    highest = F.max_pool2d(upper, kernel)
    shape = lower.shape[-2:]
    lead = torch.zeros_like(lower).flatten(2).scatter(2, which.flatten(2), 1).unflatten(2, shape)
    floor = _spread(t, kernel, shape, torch.inf)
    above = (upper - floor).clamp(min=0)
    chord = above / (upper - lower).where(upper > lower, 1)
    by_chords = _sum(above, kernel) / 2 < highest - t
    chord = chord * _spread(by_chords.to(lower), kernel, shape, 0)
    constant = torch.where(by_chords, t - _sum(chord * lower, kernel), highest)
    return Relaxation(lead, torch.zeros_like(t), chord, constant, kernel)


def _spread(pooled: Tensor, kernel: tuple[int, int], shape: torch.Size, rest: float) -> Tensor:
    """Each square's number at its inputs; `rest` at the inputs of none."""
    full = pooled.repeat_interleave(kernel[0], -2).repeat_interleave(kernel[1], -1)
    missing = (0, shape[1] - full.shape[-1], 0, shape[0] - full.shape[-2])
    return F.pad(full, missing, value=rest)


def _sum(values: Tensor, kernel: tuple[int, int]) -> Tensor:
    return F.avg_pool2d(values, kernel) * math.prod(kernel)
