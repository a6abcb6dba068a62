"""Wen et al.: what adversarial training of rising strength does to margins, gaps and spectra."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from ..verdict import Question
from .rows import Asked, Claim, Interval, Rows

TRAINED = "adversarial_training"
Value = Callable[[str, float], pd.Series]  # of (regularizer, strength): seed → value


def _strongest(rows: Rows) -> float:
    """The strength that learns."""
    return rows.learnt(TRAINED)[-1]


def _trend(rows: Rows, value: Value) -> str:
    strengths = [("none", 0.0), *((TRAINED, strength) for strength in rows.learnt(TRAINED))]
    means = " → ".join(f"{value(*entry).mean():.3g}" for entry in strengths)
    return means + rows.left_out(TRAINED, sign="ε")


def _strongest_less_none(rows: Rows, value: Value) -> pd.Series:
    return value(TRAINED, _strongest(rows)) - value("none", 0.0)


def margins_concentrate(rows: Rows) -> Asked:
    """Their standard deviation over test images falls."""

    def deviation(name: str, strength: float) -> pd.Series:
        return rows.seeds(name, strength, "margins", "margin:std")

    def mean(name: str, strength: float) -> pd.Series:
        return rows.seeds(name, strength, "margins", "margin")

    none, strongest = ("none", 0.0), (TRAINED, _strongest(rows))
    change = deviation(*strongest) / deviation(*none)
    relative = Interval.of(
        (deviation(*strongest) / mean(*strongest)) / (deviation(*none) / mean(*none))
    )
    return [Question(1 - change)], (
        f"standard deviation of test margins over strengths: {_trend(rows, deviation)}; strongest "
        f"against none: {Interval.of(change):.3f} times, of deviation over mean "
        f"{relative:.3f} times"
    )


def gap_shrinks(rows: Rows) -> Asked:
    """Between the loss on test and on training images."""

    def gap(name: str, strength: float) -> pd.Series:
        test, train = (
            rows.seeds(name, strength, "clean", "loss", split) for split in ("test", "train")
        )
        return test - train

    change = _strongest_less_none(rows, gap)
    return [Question(-change)], (
        f"test less training loss over strengths: {_trend(rows, gap)}; strongest less none: "
        f"{Interval.of(change):.3f}"
    )


def spectra_narrow(rows: Rows) -> Asked:
    """The deviation of a layer's singular values, summed over layers, falls."""
    layers = rows.store.layers(rows.keys)
    linear = layers[(layers["metric"] == "sigma_std") & layers["kind"].isin(["linear", "conv_fft"])]
    sums = linear.groupby("key")["value"].sum()

    def spread(name: str, strength: float) -> pd.Series:
        mine = {
            trial.seed: sums.get(trial.key, math.nan)
            for trial in rows.trials
            if (trial.entry.regularizer, trial.entry.strength) == (name, strength)
        }
        return pd.Series(mine, dtype=float)

    change = _strongest_less_none(rows, spread)
    return [Question(-change)], (
        f"standard deviation of a layer's singular values, summed over layers, over strengths: "
        f"{_trend(rows, spread)}; strongest less none: {Interval.of(change):.3f}"
    )


CLAIMS = (
    Claim(
        "Adversarial training concentrates margins (Wen et al.)",
        "wen-fashion",
        margins_concentrate,
        learns=TRAINED,
    ),
    Claim(
        "The generalization gap shrinks with its strength (Wen et al.)",
        "wen-fashion",
        gap_shrinks,
        learns=TRAINED,
    ),
    Claim(
        "Singular values spread less (Wen et al.)",
        "wen-fashion",
        spectra_narrow,
        learns=TRAINED,
    ),
)
