"""Measured µ² and Ω, per model and per example. Pure functions of tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from . import samples

# What the chain joins, per test image that the model gets right: column → how it is written.
CHAIN = {"gradient": "p/(1−p)·‖∇‖²", "hessian": "‖H‖₂", "spectral": "½‖V‖₂²", "frobenius": "½µ²"}
ROUNDING = 1e-3  # relative: the measures are kept as float32


def per_example(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """One row a test image: columns key, method, about, squared (µ²) and cross (Ω), where both are
    finite.

    Args:
        trials: columns key, method, lambda, seed.
        lipschitz: per-example values (columns key, values) of µ.
        cross: the same of Ω.
    """
    found = samples.join(trials, {"mu": lipschitz, "cross": cross})
    found = samples.finite(
        found.assign(squared=found["mu"].astype(float) ** 2), ["squared", "cross"]
    )
    about = [
        f"{_about(row)}, image {row['image']}"
        for row in found[["lambda", "seed", "image"]].to_dict("records")
    ]
    return found.assign(about=about)[
        ["key", "method", "lambda", "seed", "about", "squared", "cross"]
    ]


def per_model(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """Means of `per_example` over a model's images: the mean of µ², not the square of the mean µ."""
    each = per_example(trials, lipschitz, cross)
    means = each.groupby(samples.TRIAL, sort=False)[["squared", "cross"]].mean().reset_index()
    return means.assign(about=[_about(row) for row in means[["lambda", "seed"]].to_dict("records")])


def chain(measures: pd.DataFrame) -> pd.DataFrame:
    """The terms of (p_y/(1−p_y))·‖∇‖² ≤ ‖H‖₂ ≤ ½‖V‖₂² ≤ ½µ² at each image that is classified
    correctly (Guo et al. 2020, eq. 15, with squares): columns image and those of CHAIN.

    Args:
        measures: one row an image: image, margin, loss, gradient_norm, hessian_norm, spectral_norm,
            lipschitz.
    """
    table = measures[measures["margin"].astype(float) > 0]
    loss = table["loss"].astype(float)
    odds = np.exp(-loss) / -np.expm1(-loss)  # of p_y = exp(−loss), also where p_y rounds to 1
    found = pd.DataFrame(
        {
            "image": table["image"],
            "gradient": odds * table["gradient_norm"].astype(float) ** 2,
            "hessian": table["hessian_norm"].astype(float),
            "spectral": table["spectral_norm"].astype(float) ** 2 / 2,
            "frobenius": table["lipschitz"].astype(float) ** 2 / 2,
        }
    )
    return samples.finite(found, list(CHAIN))


def holds(terms: pd.DataFrame) -> dict[str, float]:
    """For each ≤ of the chain the share of images at which it holds, but for rounding.

    Args:
        terms: as `chain` gives them.
    """
    names = list(CHAIN)
    return {
        f"{CHAIN[low]} ≤ {CHAIN[high]}": float((terms[low] <= terms[high] * (1 + ROUNDING)).mean())
        for low, high in pairwise(names)
    }


def _about(row: dict) -> str:
    return f"λ = {row['lambda']:g}, seed {row['seed']}"
