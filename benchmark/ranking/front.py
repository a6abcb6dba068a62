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
    finite = np.isfinite(points).all(axis=1)
    as_good = (points[:, None] >= points[None]).all(axis=2)
    better = (points[:, None] > points[None]).any(axis=2)
    return finite & ~(as_good & better & finite[:, None]).any(axis=0)
