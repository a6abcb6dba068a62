"""Measured µ² and Ω, per model and per example. Pure functions of tables."""
from __future__ import annotations

import numpy as np
import pandas as pd


def per_example(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """One row a test image: columns key, method, about, squared (µ²) and cross (Ω), where both are finite.

    Args:
        trials: columns key, method, lambda, seed.
        lipschitz: per-example values (columns key, values) of µ.
        cross: the same of Ω.
    """
    both = trials.merge(lipschitz[["key", "values"]], on="key").merge(cross[["key", "values"]], on="key",
                                                                     suffixes=("", "_cross"))
    parts = []
    for row in both.to_dict("records"):
        squared, omega = np.square(np.asarray(row["values"], float)), np.asarray(row["values_cross"], float)
        n = min(len(squared), len(omega))
        parts.append(pd.DataFrame({"key": row["key"], "method": row["method"],
                                   "about": [f"λ = {row['lambda']:g}, seed {row['seed']}, image {i}" for i in range(n)],
                                   "squared": squared[:n], "cross": omega[:n]}))
    if not parts:
        return pd.DataFrame(columns=["key", "method", "about", "squared", "cross"])
    found = pd.concat(parts, ignore_index=True)
    return found[np.isfinite(found["squared"]) & np.isfinite(found["cross"])]


def per_model(trials: pd.DataFrame, lipschitz: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """Means of `per_example` over a model's images: the mean of µ², not the square of the mean µ."""
    each = per_example(trials, lipschitz, cross)
    each["about"] = each["about"].str.replace(r", image \d+$", "", regex=True)
    return each.groupby(["key", "method", "about"], sort=False)[["squared", "cross"]].mean().reset_index()
