"""Every metric that a row may hold, and between which values: one table for scores and for the
values per image that they summarise. A new measure is declared here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import get_args

from registry.spec import ATTACKS, Measure

from .flags import CHECKS

TRAINING = "training"  # in place of a threat: what is told of the training itself
PARTS = ("clean", "honesty", "measures", *get_args(Measure), TRAINING)
_NUMBER = r"\d+(\.\d+)?(e[-+]\d+)?"
_THREAT = re.compile(
    rf"({'|'.join(ATTACKS)}|certified)-(inf|2)(-{_NUMBER})?(-[a-z_]+=({_NUMBER}|[a-z]+))*"
)
SLACK = 1e-3  # rounding may step over the end of what is measured, not counted, by so much


@dataclass(frozen=True)
class Range:
    """Between which values a metric lies.

    counted: a share of the examples, each of which counts or does not: n times it is whole.
    unbounded: ∞ is a value too. undefined: NaN is, where no example gave a finite value.
    """

    low: float
    high: float
    counted: bool = False
    unbounded: bool = False
    undefined: bool = False

    def holds(self, value: float) -> bool:
        if math.isnan(value):
            return self.undefined
        if math.isinf(value):
            return self.unbounded and not self.low > value
        slack = 0.0 if self.counted else SLACK
        return self.low - slack <= value <= self.high + slack

    def __str__(self) -> str:
        if math.isinf(self.low):
            return "a finite number"
        return (
            f"at least {self.low:g}"
            if math.isinf(self.high)
            else (f"within [{self.low:g}, {self.high:g}]")
        )


COUNTED = Range(0, 1, counted=True)
SHARE = Range(0, 1)
POSITIVE = Range(0, math.inf)
SIGNED = Range(-1, 1)
ANY = Range(-math.inf, math.inf)

# What is told of a model as a whole.
SCORES = {
    "accuracy": COUNTED,
    "robust_accuracy": COUNTED,
    "certified_accuracy": COUNTED,
    "success": COUNTED,
    "no_certificate": COUNTED,
    **dict.fromkeys(CHECKS, SHARE),
    **{check: POSITIVE for check in CHECKS if check.startswith("autoattack_")},
    "randomised": Range(0, math.inf, unbounded=True),
    "black_box_stronger": SIGNED,
    "accurate_at_huge_epsilon": SIGNED,
    "rises_with_epsilon": SIGNED,
    "robust_above_clean": SIGNED,
    "transfer_stronger": SIGNED,
}
# What is told of each image: hits, the label, and measures. A measure's scores are its mean and its
# `:median` over the finite values, their share, `:finite`, and some of their spreads, `:std`.
# A name's ending tells a norm or a size, and `random_` what is beside it: neither is part of it.
HITS = ("correct", "certified")
COLUMNS = {
    **dict.fromkeys(HITS, COUNTED),
    "label": POSITIVE,
    "loss": POSITIVE,
    "margin": ANY,
    "probability": SHARE,
    "probability_margin": SIGNED,
    "lipschitz": POSITIVE,
    "cross_lipschitz": POSITIVE,
    "gradient_norm": POSITIVE,
    "hessian_norm": POSITIVE,
    "spectral_norm": POSITIVE,
    "linearised_distance": ANY,
    "quadratic_distance": POSITIVE,
    "nu_gamma": POSITIVE,
    "distance": POSITIVE,
    "relative_distance": POSITIVE,
    "alignment": SHARE,
    "deviation": POSITIVE,
    "relative_deviation": POSITIVE,
    "stretch": POSITIVE,
    "shared": SHARE,
    "loss_variation": POSITIVE,
    "margin_hessian_norm": POSITIVE,
    "hessian_along_gradient": POSITIVE,
    "along_share": SHARE,
}
WHOLE = (*HITS, "label")  # the columns of whole numbers


def is_threat(name: str) -> bool:
    """Whether a row's `threat` names a part of an evaluation, or the training."""
    return name in PARTS or _THREAT.fullmatch(name) is not None


@cache
def of_score(metric: str) -> Range | None:
    """None for a metric that is not known."""
    if metric in SCORES:
        return SCORES[metric]
    name, _, summary = metric.partition(":")
    if name == "robust_accuracy":  # what stood after each attack, or against each source alone
        known = re.fullmatch(r"[a-z_-]+", summary) or _THREAT.fullmatch(summary)
        return COUNTED if known else None
    column = COLUMNS.get(_base(name))
    if column is None or name in WHOLE or summary not in ("", "median", "finite", "std"):
        return None
    if summary == "finite":
        return COUNTED
    low, high = (0, math.inf) if summary == "std" else (column.low, column.high)
    # The loss as a whole is not of the finite values alone.
    return Range(low, high, undefined=True, unbounded=metric == "loss")


@cache
def of_column(metric: str) -> Range | None:
    """None for a metric that is not known. A measure may be infinite, where a model is flat, or
    undefined, where its logits are not finite.
    """
    column = COLUMNS.get(_base(metric))
    if column is None or metric in WHOLE:
        return column
    return Range(column.low, column.high, unbounded=True, undefined=True)


def _base(column: str) -> str:
    return re.sub(r"^random_|_(inf|\d+(\.\d+)?)$", "", column)
