"""The Pareto front: what nothing else beats in everything that counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def undominated(*scores: ArrayLike) -> np.ndarray:
    """True where no other point is at least as good in every score and better in one.

    Args:
        scores: of n points each, more is better; a point with a score that is not finite is neither
            on the front nor beats another.
    Returns:
        n booleans.
    """
    points = np.stack([np.asarray(score, dtype=float) for score in scores], axis=1)
    points[~np.isfinite(points).all(axis=1)] = np.nan  # which no comparison holds of
    as_good = np.all(points[:, None] >= points[None], axis=2)
    better = np.any(points[:, None] > points[None], axis=2)
    beaten = np.any(as_good & better, axis=0)
    return np.logical_not(np.logical_or(beaten, np.isnan(points[:, 0])))
