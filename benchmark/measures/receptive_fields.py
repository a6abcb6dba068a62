"""Where on a map linear functions have coefficients: equal windows at regular positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """A grid of windows of a map, one for each position at which an output looks at it.

    A pixel that a window has beyond the map is no pixel: what is read there is 0.

    Attributes:
        map: height and width of the map.
        grid: number of windows down and across.
        origin: of the first window's upper left pixel, at most 0.
        step: pixels from one window to the next.
        size: height and width of a window.
    """

    map: Pair
    grid: Pair
    origin: Pair
    step: Pair
    size: Pair

    @classmethod
    def pixels(cls, map: Pair) -> Windows:
        """One window for each pixel, of that pixel alone."""
        return cls(map, grid=map, origin=(0, 0), step=(1, 1), size=(1, 1))

    @classmethod
    def whole(cls, map: Pair) -> Windows:
        """One window, the map itself."""
        return cls(map, grid=(1, 1), origin=(0, 0), step=(1, 1), size=map)

    def before(self, map: Pair, kernel: Pair, stride: Pair, padding: Pair) -> Windows:
        """What these windows of a convolution's or pooling's output look at in its input, `map`."""
        return Windows(
            map,
            self.grid,
            _each(lambda o, s, p: o * s - p, self.origin, stride, padding),
            _each(lambda a, s: a * s, self.step, stride),
            _each(lambda n, s, k: (n - 1) * s + k, self.size, stride, kernel),
        )

    @property
    def count(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def pixels_each(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def overhang(self) -> tuple[int, int, int, int]:
        """Pixels beyond the map on its left, right, upper and lower side, as `F.pad` takes them."""
        top, left = (-o for o in self.origin)
        bottom, right = _each(
            lambda o, a, g, n, side: max(0, o + a * (g - 1) + n - side),
            self.origin,
            self.step,
            self.grid,
            self.size,
            self.map,
        )
        return left, right, top, bottom

    def read(self, maps: Tensor) -> Tensor:
        """[N, C, H, W] → [N, P, C, h, w], P windows of each map."""
        padded = F.pad(maps, self.overhang)
        across = padded.unfold(2, self.size[0], self.step[0]).unfold(3, self.size[1], self.step[1])
        rows, columns = self.grid
        return across[:, :, :rows, :columns].permute(0, 2, 3, 1, 4, 5).flatten(1, 2)

    def cut(self, coefficients: Tensor) -> tuple[Windows, Tensor]:
        """Coefficients [.., P, R, C, h, w] without those beyond the map: a single window becomes
        the map itself, of several the pixels beyond it are set to 0.
        """
        if self.count == 1:
            (top, left), (height, width) = (-self.origin[0], -self.origin[1]), self.size
            edges = (-left, self.map[1] + left - width, -top, self.map[0] + top - height)
            return Windows.whole(self.map), F.pad(coefficients, edges)
        if not any(self.overhang):
            return self, coefficients
        inside = self.read(coefficients.new_ones(1, 1, *self.map))
        return self, coefficients * inside[:, :, None]


def _each(function: Callable[..., int], *pairs: Pair) -> Pair:
    first, second = (function(*(pair[axis] for pair in pairs)) for axis in (0, 1))
    return first, second
