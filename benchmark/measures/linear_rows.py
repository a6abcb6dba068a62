"""Linear functions of a layer's numbers, carried back to pixels; their least value over a ball."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .layer_chain import Affine, Convolution, Dense, Flatten, Scale
from .receptive_fields import Pair, Windows

MULTIPLIERS = 3  # tried for the ball's constraint: any is sound, and they near the best one


@dataclass(frozen=True)
class Ball:
    """The points of a box [lower, upper]; where `radius` is given, those of them within that ℓ2
    distance of x.

    Attributes:
        x, lower, upper: [N, C, H, W], or [N, F].
    """

    x: Tensor
    lower: Tensor
    upper: Tensor
    radius: float | None = None

    def least(self, rows: Rows) -> Tensor:
        """[N, P, R]: a lower bound of each function's minimum; on a box the minimum itself."""
        if self.radius is None:
            middle, half = (self.lower + self.upper) / 2, (self.upper - self.lower) / 2
            return rows.dot(middle) - rows.sizes.dot(half)
        return rows.dot(self.x) + self._least_change(rows, self.radius)

    def _least_change(self, rows: Rows, radius: float) -> Tensor:
        """Lower bound of min c·δ over lower − x ≤ δ ≤ upper − x, ‖δ‖₂ ≤ radius.

        For every μ > 0, Σ_i min_δ (c_i·δ + μ/2·δ²) − μ/2·radius² is one (weak duality). It is the
        minimum where the minimising δ have norm `radius`, towards which each μ is chosen from the
        pixels that the last one left inside the box.
        """
        c = rows.coefficients.flatten(3)
        down, up = (
            rows.read(limit - self.x).flatten(2)[:, :, None] for limit in (self.lower, self.upper)
        )
        blocked = torch.where(c > 0, down == 0, up == 0)
        free, left = (c * ~blocked).square().sum(-1, keepdim=True), radius**2
        best = torch.full_like(free, -torch.inf)
        for _ in range(MULTIPLIERS):
            mu = (free / left).sqrt().clamp(min=1e-30)
            delta = torch.minimum(torch.maximum(-c / mu, down), up)
            value = (c * delta + mu / 2 * delta.square()).sum(-1, keepdim=True) - mu / 2 * radius**2
            best = torch.maximum(best, value)
            at_limit = (delta == down) | (delta == up)
            free = (c * ~at_limit).square().sum(-1, keepdim=True)
            left = (radius**2 - (delta * at_limit).square().sum(-1, keepdim=True)).clamp(
                min=1e-6 * radius**2
            )
        return best[..., 0]


@dataclass(frozen=True)
class Rows:
    """Linear functions of one layer's numbers: R for each of P positions of each of N images.

    Attributes:
        coefficients: [N or 1, P or 1, R, C, h, w] in `windows`; of a flat layer [N or 1, 1, R, F].
    """

    coefficients: Tensor
    windows: Windows | None = None

    def read(self, values: Tensor) -> Tensor:
        """[N, ...] → [N, P, ...], what each position's functions look at."""
        return values[:, None] if self.windows is None else self.windows.read(values)

    def dot(self, values: Tensor) -> Tensor:
        """[N, ...] → [N, P, R]."""
        c, v = self.coefficients.flatten(3), self.read(values).flatten(2)
        return v @ c[0, 0].T if c.shape[:2] == (1, 1) else (c @ v[..., None])[..., 0]

    @property
    def sizes(self) -> Rows:
        return Rows(self.coefficients.abs(), self.windows)

    def before(self, layer: Affine | Flatten, shape: torch.Size) -> Rows:
        """The coefficients on the inputs of an affine layer; shape: of one image's inputs."""
        c, windows = self.coefficients, self.windows
        match layer:
            case Dense():
                return Rows(c @ layer.weight)
            case Flatten():
                return Rows(c.unflatten(3, shape), Windows.whole((shape[1], shape[2])))
            case Scale():
                return Rows(c * self.read(layer.weight[None])[:, :, None], windows)
            case Convolution() if windows is not None:
                back = F.conv_transpose2d(c.flatten(0, 2), layer.weight, None, layer.stride)
                map = (shape[1], shape[2])
                windows = windows.before(map, layer.kernel, layer.stride, layer.padding)
                windows, back = windows.cut(back.unflatten(0, c.shape[:3]))
                return Rows(back, windows)
        raise TypeError(f"{type(layer).__name__} is not linear")

    def unpooled(self, kernel: Pair, shape: torch.Size) -> Rows:
        """Each coefficient again on every input of its square; shape: of one image's inputs."""
        c, windows = self.coefficients, self.windows
        assert windows is not None, "only maps are pooled"
        c = c.repeat_interleave(kernel[0], -2).repeat_interleave(kernel[1], -1)
        windows = windows.before((shape[1], shape[2]), kernel, kernel, (0, 0))
        windows, c = windows.cut(c)
        return Rows(c, windows)
