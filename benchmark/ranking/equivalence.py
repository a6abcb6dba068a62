"""Whether two methods are equivalent: two one-sided t-tests over seeds (Schuirmann 1987)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

LEVEL = 0.05  # of each of the two tests


@dataclass(frozen=True)
class Equivalence:
    """half_width: of the 1 − 2·LEVEL interval of the mean difference. p: the larger of the two;
    both NaN for one seed.

    verdict: "equivalent" (the interval lies within ±margin), "different" (it lies outside),
    "undecided" or "one seed".
    """

    half_width: float
    p: float
    verdict: str


def two_one_sided_tests(
    difference: float, deviation: float, seeds: int, margin: float
) -> Equivalence:
    """Tests |mean difference| < margin.

    Args:
        difference, deviation: mean and standard deviation of the differences, paired by seed.

    >>> two_one_sided_tests(0.001, 0.002, 5, margin=0.02).verdict
    'equivalent'
    """
    if seeds < 2:
        return Equivalence(math.nan, math.nan, "one seed")
    error = deviation / math.sqrt(seeds)
    width = float(stdtrit(seeds - 1, 1 - LEVEL)) * error
    if error > 0:
        p = max(
            float(stdtr(seeds - 1, -(difference + margin) / error)),
            float(stdtr(seeds - 1, (difference - margin) / error)),
        )
    else:  # all seeds differ by the same amount
        p = 0.0 if abs(difference) < margin else 1.0
    if p < LEVEL:
        return Equivalence(width, p, "equivalent")
    return Equivalence(width, p, "different" if abs(difference) - width > margin else "undecided")
