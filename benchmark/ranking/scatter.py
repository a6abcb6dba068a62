"""How much seeds scatter: variances of few values, each drawn towards what all have in common."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import polygamma, psi

SMALLEST = 1e-12  # a variance of 0, of seeds that agree to the last image, has no logarithm


def moderated(
    variances: np.ndarray, freedom: np.ndarray, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """Empirical Bayes estimates of variances (Smyth 2004, sections 3 and 6), and their degrees of
    freedom.

    Three seeds tell little of how much a method scatters; all methods of a board together tell
    more. The true variances are taken to scatter about a common one as a scaled inverse χ² does;
    how closely is estimated from the logarithms of the observed ones. Neither scipy, statsmodels
    nor autorank has this estimate, which is that of R's limma.

    Args:
        variances: [n], of at least two values each; NaN where `freedom` is 0.
        freedom: [n], degrees of freedom of each.
        most: degrees of freedom that the common variance may have at most: what the data behind all
            of them have.
    Returns:
        [n] and [n]; NaN and 0 where neither a value of its own nor a common one is known.
    """
    known = freedom > 0
    prior, prior_freedom = _common(variances[known], freedom[known], most)
    total = freedom + prior_freedom
    own = np.where(known, freedom * np.where(known, variances, 0), 0)
    with np.errstate(invalid="ignore"):
        return (own + prior_freedom * prior) / total, total


def _common(variances: np.ndarray, freedom: np.ndarray, most: float) -> tuple[float, float]:
    """The common variance and its degrees of freedom: 0 of them where there is no second value."""
    n = len(variances)
    if n < 2:
        return 0.0, 0.0
    logs = np.log(np.maximum(variances, SMALLEST)) - psi(freedom / 2) + np.log(freedom / 2)
    spread = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean())
    if spread <= 0:  # no more than chance alone: the variances are alike
        return float(np.exp(logs.mean())), most
    prior_freedom = 2 * _inverse_trigamma(spread)
    common = math.exp(logs.mean() + psi(prior_freedom / 2) - math.log(prior_freedom / 2))
    return common, min(prior_freedom, most)


def _inverse_trigamma(value: float) -> float:
    """The argument at which the trigamma function has `value` > 0, by Newton's method (Smyth 2004,
    appendix), which converges from below at every step. scipy has the function, not its inverse.
    """
    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    y = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, y))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, y))
        y += step
        if abs(step) < 1e-10 * y:
            break
    return y


def weight(seeds: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """What a variance over seeds is multiplied by to give that of their mean.

    1 / S of independent seeds. Where each is scored at the λ that the others choose, they depend on
    each other: then 1 / S + 1 / (S − 1), as for the folds of a cross-validation, of which S − 1
    train and one tests (Nadeau & Bengio 2003, eq. 3). Simulated over equally good λ, where the
    dependence is strongest, the mean's variance is 2 to 3 times 1 / S of that observed. Neither
    scipy, statsmodels nor autorank corrects for folds that overlap.

    Args:
        seeds: [n], S of each.
        selected: [n], whether its λ are chosen so.
    """
    return 1 / seeds + np.where(selected & (seeds > 1), 1 / np.maximum(seeds - 1, 1), 0)
