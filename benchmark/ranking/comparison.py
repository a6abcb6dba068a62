"""Who is better than whom: differences paired by seed and by test image.

A difference of two methods' means is uncertain for two reasons: other seeds would give other
models, and other test images other accuracies. The variance over seeds is moderated (`scatter`) by
the board's other pairs, as three seeds alone would tell next to nothing; that over images is known
well. Both add, with degrees of freedom after Satterthwaite. Simulated on equal methods, one of them
is told to be better in 2 to 7 % of cases where 5 % are meant (tests/benchmark/ranking).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from .scatter import moderated, weight

LEVEL = 0.95


@dataclass(frozen=True)
class Differences:
    """Of each pair of M methods: `mean` [M, M], row less column, its standard `error` and the
    `freedom` of that; NaN error where one seed of one image is all there is. One seed of many
    images is judged by the images alone.
    """

    mean: np.ndarray
    error: np.ndarray
    freedom: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, selected: np.ndarray | None = None) -> Differences:
        """From the values of all methods.

        Args:
            values: [M, S, N], methods by seeds by images, alike for all.
            selected: [M], whether each of a method's seeds is at the λ that the others choose; of
                no method by default.
        """
        methods, seeds, images = values.shape
        by_seed, by_image = values.mean(2), values.mean(1)
        mean = by_seed.mean(1)[:, None] - by_seed.mean(1)[None]
        of_seeds, freedom = np.zeros_like(mean), np.ones_like(mean)
        if seeds > 1:
            pairs = np.triu_indices(methods, 1)
            raw = _variances_of_differences(by_seed)[pairs]
            # An infinite distance of one model leaves its pairs, and only them, unknown.
            known = np.isfinite(raw)
            found = moderated(raw, np.where(known, seeds - 1.0, 0), (methods - 1) * (seeds - 1))
            found = np.where(known, found[0], np.nan), found[1]
            for table, column in zip((of_seeds, freedom), found):
                table[pairs] = column
                table.T[pairs] = column
        of_images = _variances_of_differences(by_image) if images > 1 else np.zeros_like(mean)
        chosen = np.zeros(methods, bool) if selected is None else selected
        either = chosen[:, None] | chosen[None]
        weights = weight(np.full(mean.shape, float(seeds)), either)
        parts = of_seeds * weights, of_images / images
        variance = parts[0] + parts[1]
        if seeds * images == 1:
            variance = variance * np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = parts[0] ** 2 / freedom + parts[1] ** 2 / max(images - 1, 1)
            return cls(mean, np.sqrt(variance), variance**2 / whole)

    def p_values(self) -> np.ndarray:
        """[M, M]: two-sided, of no difference; 1 where nothing is known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.mean) / self.error
            p = 2 * stdtr(self.freedom, -t)
        certain = np.where(self.mean == 0, 1.0, 0.0)  # where nothing scatters at all
        return np.where(self.error > 0, p, np.where(self.error == 0, certain, 1.0))


def _variances_of_differences(values: np.ndarray) -> np.ndarray:
    """[M, n] → [M, M]: of each pair of rows, the variance of their difference."""
    covariance = np.atleast_2d(np.cov(values))
    own = covariance.diagonal()
    return np.maximum(own[:, None] + own[None] - 2 * covariance, 0)


def holm(p_values: np.ndarray) -> np.ndarray:
    """[n] → [n]: p-values adjusted for their number (Holm 1979).

    scipy adjusts for false discoveries alone; statsmodels has it (`multipletests`), and would be a
    dependency, of the app as well, for these six lines.
    """
    order = np.argsort(p_values)
    scaled = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(scaled)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted


def told_better(values: np.ndarray, selected: np.ndarray | None = None) -> np.ndarray:
    """Whose mean is told to be above whose: [M, M] bool, True at (i, j) where i is above j.

    All pairs are one family (Holm): that any two equal methods of a board are told apart happens in
    at most 1 − LEVEL of boards, so that the ranks are simultaneous. `tukey_hsd` of scipy and
    statsmodels is for samples that are not paired, autorank for methods over many data sets.

    Args:
        values, selected: as of `Differences.of`.
    """
    found = Differences.of(values, selected)
    pairs = np.triu_indices(len(values), 1)
    p = np.ones_like(found.mean)
    p[pairs] = holm(found.p_values()[pairs])
    told = (np.minimum(p, p.T) < 1 - LEVEL) & (found.error >= 0)
    return told & (found.mean > 0)


def difference(
    values: np.ndarray, selected: np.ndarray | None = None
) -> tuple[float, float, float]:
    """The first method's mean less the second's, and the ends of its interval; NaN ends where one
    value is all there is. `scipy.stats.ttest_rel` has that over seeds or over images alone.

    Args:
        values, selected: as of `Differences.of`, of two methods.
    """
    found = Differences.of(values, selected)
    mean, error, freedom = (
        float(table[0, 1]) for table in (found.mean, found.error, found.freedom)
    )
    if not error > 0:
        ends = mean if error == 0 else math.nan
        return mean, ends, ends
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    return mean, mean - half, mean + half
