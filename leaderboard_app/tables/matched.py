"""Scores over λ, on an axis that two methods share. Pure functions of tables."""

from __future__ import annotations

import math

import pandas as pd

from benchmark.ranking.sweep import half_width

from ..words.style import base

LIPSCHITZ, CROSS_LIPSCHITZ = "jacobian", "cross_lipschitz"


def matched_lambda(method: str, strength: float, classes: int) -> float:
    """λ on cross_lipschitz's axis: Ω = (2/K)·µ² where the logits' gradients sum to zero, so λµ²
    matches (λK/2)·Ω.

    Rounded to twelve digits, so that 2e-5·5 and 1e-4 are one.
    """
    factor = classes / 2 if base(method) == LIPSCHITZ else 1.0
    return float(f"{strength * factor:.12g}")


def matched(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """Test scores with their λ on the common axis.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them, of one architecture.
    Returns:
        Columns method, matched, lambda, seed, column, value: `column` is "clean" or a threat's id,
        as in the standings; value an accuracy in [0, 1], or a mean ‖r‖/‖x‖. Only finite values of
        trials that finished.
    """
    wanted = {"accuracy", "robust_accuracy", "relative_distance"}
    mine = rows[
        (rows["status"] == "finished") & (rows["split"] == "test") & rows["metric"].isin(wanted)
    ]
    mine = mine[mine["value"].notna() & (mine["value"].abs() != math.inf)]
    return pd.DataFrame(
        {
            "method": mine["regularizer"],
            "lambda": mine["lambda"],
            "seed": mine["seed"],
            "column": mine["threat"],
            "value": mine["value"].astype(float),
            "key": mine["key"],
            "matched": [
                matched_lambda(m, s, classes) for m, s in zip(mine["regularizer"], mine["lambda"])
            ],
        }
    ).reset_index(drop=True)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """`matched` → one row a (method, λ, column): mean, half_width of its 95 % interval over seeds,
    seeds; λ rising.
    """
    grouped = table.groupby(["method", "matched", "lambda", "column"], sort=True)["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()
