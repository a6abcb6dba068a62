"""Who is better than whom: a paired bootstrap over test images, and Student's t over seeds."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
REPLICATES = 2000
AT_ONCE = 200  # replicates: bounds the memory that their weights take


def drawn_means(values: np.ndarray) -> np.ndarray:
    """[M, S, REPLICATES]: each seed's mean over images drawn with replacement, alike for all
    methods and seeds.

    The draws are the same in every call.

    Args:
        values: [M, S, N], methods by seeds by images.
    """
    methods, seeds, images = values.shape
    chance, flat = np.random.default_rng(0), values.reshape(methods * seeds, images).astype(float)
    means, first = [], images * np.arange(AT_ONCE)[:, None]
    for _ in range(REPLICATES // AT_ONCE):
        drawn = first + chance.integers(images, size=(AT_ONCE, images))
        counts = np.bincount(drawn.ravel(), minlength=AT_ONCE * images).reshape(AT_ONCE, images)
        means.append(flat @ counts.T.astype(float) / images)
    return np.concatenate(means, axis=1).reshape(methods, seeds, -1)


def drawn_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[REPLICATES]: paired differences of two methods' means, from the variation over images and
    that over seeds.

    Images are drawn with replacement. So few seeds must not be: of three, all are the same way
    round by chance one time in four. Their mean varies as Student's t of their differences instead,
    like the intervals of the scores.

    Args:
        first, second: [S, REPLICATES], as `drawn_means` gives them.
    """
    differences = first - second
    seeds, replicates = differences.shape
    mean = differences.mean(0)
    if seeds < 2:
        return mean
    quantiles = stdtrit(seeds - 1, (np.arange(replicates) + 0.5) / replicates)
    return mean + np.random.default_rng(1).permutation(quantiles) * differences.std(
        0, ddof=1
    ) / math.sqrt(seeds)


def told_better(values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Whose mean is told to be above whose: [M, M] bool, True at (i, j) where the interval of i − j
    lies above 0.

    The interval is between percentiles of `drawn_differences`; pairs are not corrected for their
    number. One seed of one image tells nothing.

    Args:
        values: [M, S, N], methods by seeds by images.
    """
    methods = len(values)
    found = np.zeros((methods, methods), bool)
    if values[0].size < 2:
        return found
    drawn = drawn_means(values)
    for i in range(methods):
        for j in range(i):
            low, high = np.quantile(
                drawn_differences(drawn[i], drawn[j]), ((1 - level) / 2, (1 + level) / 2)
            )
            found[i, j], found[j, i] = low > 0, high < 0
    return found


def difference(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """The first method's mean less the second's, and the ends of its interval; NaN ends where one
    value is all there is.

    Args:
        values: [2, S, N], methods by seeds by images.
    """
    first, second = values
    mean = float(first.mean() - second.mean())
    if first.size < 2:
        return mean, math.nan, math.nan
    low, high = np.quantile(
        drawn_differences(*drawn_means(values)), ((1 - level) / 2, (1 + level) / 2)
    )
    return mean, float(low), float(high)
