"""Two methods at matched λ: paired differences over seeds, and whether they are equivalent. Pure
functions of tables.
"""

from __future__ import annotations

import math
from dataclasses import asdict

import pandas as pd

from benchmark.ranking.equivalence import two_one_sided_tests
from benchmark.ranking.standings import half_width

LIPSCHITZ, CROSS_LIPSCHITZ = "jacobian", "cross_lipschitz"


def base(method: str) -> str:
    """`jacobian:projections=1` → `jacobian`."""
    return method.partition(":")[0]


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
        rows: as `benchmark.ranking.standings.labelled` gives them, of one architecture.
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


def differences(table: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Paired differences, first − second, over the seeds that both have: one row a (column, matched
    λ).

    Columns: column, matched, seeds, first and second (means over those seeds), difference,
    deviation (standard deviation of the differences; NaN for one seed).
    """
    index = ["column", "matched", "seed"]
    values = [
        table[table["method"] == method].groupby(index)["value"].mean()
        for method in (first, second)
    ]
    pairs = pd.concat(values, axis=1, join="inner", keys=["first", "second"]).reset_index()
    pairs["difference"] = pairs["first"] - pairs["second"]
    grouped = pairs.groupby(["column", "matched"], sort=True)
    return grouped.agg(
        seeds=("difference", "count"),
        first=("first", "mean"),
        second=("second", "mean"),
        deviation=("difference", lambda d: d.std(ddof=1)),
        difference=("difference", "mean"),
    ).reset_index()


def equivalence(pairs: pd.DataFrame, margin: float) -> pd.DataFrame:
    """The two one-sided tests for each row of `differences`: adds its half_width, p and verdict."""
    found = [
        asdict(
            two_one_sided_tests(
                float(row["difference"]), float(row["deviation"]), int(row["seeds"]), margin
            )
        )
        for row in pairs.to_dict("records")
    ]
    return pairs.join(
        pd.DataFrame(found, columns=["half_width", "p", "verdict"], index=pairs.index)
    )


def largest_gap(pairs: pd.DataFrame, columns: set[str]) -> pd.Series | None:
    """The row of `differences` whose methods lie furthest apart, among the columns given; None
    where there is none.
    """
    mine = pairs[pairs["column"].isin(columns)]
    return None if mine.empty else mine.iloc[int(mine["difference"].abs().to_numpy().argmax())]
