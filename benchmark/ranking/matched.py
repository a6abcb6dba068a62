"""Methods compared where they cost the same clean accuracy, between the λ of their grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Between:
    """A place on a grid: `share` of the way from the λ `low` to its neighbour `high`."""

    low: float
    high: float
    share: float

    @classmethod
    def where(cls, grid: Sequence[float], clean: Sequence[float], target: float) -> Between | None:
        """Where a method's clean accuracy, drawn linearly between its λ, is `target`; of several
        places the strongest. None where it is nowhere so.

        numpy and scipy interpolate functions of rising arguments: accuracy need not fall with λ.

        Args:
            grid: rising.
            clean: the mean accuracy at each.
        """
        for i in reversed(range(len(grid) - 1)):
            from_low, from_high = target - clean[i], target - clean[i + 1]
            if from_low * from_high <= 0:
                width = from_low - from_high
                return cls(grid[i], grid[i + 1], from_low / width if width else 0.0)
        return None

    def value(self, at_low: pd.Series, at_high: pd.Series) -> pd.Series:
        """A score there, of the seeds that both λ have: seed → value."""
        return (1 - self.share) * at_low + self.share * at_high

    def __str__(self) -> str:
        return f"λ = {self.low:g} to {self.high:g}"
