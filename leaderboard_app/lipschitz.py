"""Measured µ² and Ω, per model and per example. Pure functions of tables."""
from __future__ import annotations

import pandas as pd

from . import samples


def per_example(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """One row a test image: columns key, method, about, squared (µ²) and cross (Ω), where both are finite.

    Args:
        trials: columns key, method, lambda, seed.
        lipschitz: per-example values (columns key, values) of µ.
        cross: the same of Ω.
    """
    found = samples.join(trials, {"mu": lipschitz, "cross": cross})
    found = samples.finite(found.assign(squared=found["mu"].astype(float) ** 2), ["squared", "cross"])
    about = [f"{_about(row)}, image {row['image']}" for row in found[["lambda", "seed", "image"]].to_dict("records")]
    return found.assign(about=about)[["key", "method", "lambda", "seed", "about", "squared", "cross"]]


def per_model(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """Means of `per_example` over a model's images: the mean of µ², not the square of the mean µ."""
    each = per_example(trials, lipschitz, cross)
    means = each.groupby(samples.TRIAL, sort=False)[["squared", "cross"]].mean().reset_index()
    return means.assign(about=[_about(row) for row in means[["lambda", "seed"]].to_dict("records")])


def _about(row: dict) -> str:
    return f"λ = {row['lambda']:g}, seed {row['seed']}"
