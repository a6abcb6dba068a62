"""Per-example values as tables: one row an image of a model. Pure functions of tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.ranking.standings import half_width

TRIAL = ["key", "method", "lambda", "seed"]


def models(rows: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """The trials that finished: columns key, method, lambda, seed.

    Args:
        rows: as `benchmark.ranking.standings.labelled` gives them.
    """
    mine = rows[(rows["architecture"] == architecture) & (rows["status"] == "finished")]
    return (
        mine.rename(columns={"regularizer": "method"})[TRIAL]
        .drop_duplicates()
        .reset_index(drop=True)
    )


def join(trials: pd.DataFrame, columns: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row an image: the trial's columns, image (its place in the split's fixed order) and one
    column a measure.

    Only trials that have every measure, and of those the images that all measures were taken on;
    values may be infinite.

    Args:
        trials: with the columns of TRIAL, a trial once for each name that it goes by.
        columns: name → table of key, values.
    """
    merged = trials[TRIAL]
    for name, table in columns.items():
        merged = merged.merge(table[["key", "values"]].rename(columns={"values": name}), on="key")
    parts = []
    for row in merged.to_dict("records"):
        arrays = {name: np.asarray(row[name], float) for name in columns}
        n = min(len(values) for values in arrays.values())
        parts.append(
            pd.DataFrame(
                {name: row[name] for name in TRIAL}
                | {"image": np.arange(n)}
                | {name: values[:n] for name, values in arrays.items()}
            )
        )
    parts = [part for part in parts if len(part)]
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(columns=[*TRIAL, "image", *columns])
    )


def finite(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The rows whose values are all finite."""
    return table.iloc[np.flatnonzero(np.isfinite(table[columns].to_numpy(float)).all(axis=1))]


def spread(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """For each λ, over the images of all its seeds: mean, deviation (standard deviation), relative
    (deviation over mean).

    A method that shrinks all margins shrinks their deviation with them: the relative one is free of
    that scale.
    """
    grouped = finite(table, [column]).groupby("lambda", sort=True)[column]
    found = grouped.agg(
        images="count", mean="mean", deviation=lambda values: values.std(ddof=1)
    ).reset_index()
    return found.assign(relative=found["deviation"] / found["mean"].where(found["mean"] > 0))


def loss_variation(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns lambda, radius (of 255, a string), mean over seeds, half_width and seeds.

    Args:
        rows: as `benchmark.ranking.standings.labelled` gives them, of one architecture and method.
    """
    mine = rows[(rows["status"] == "finished") & (rows["threat"] == "loss_variation")]
    found = [
        re.fullmatch(r"loss_variation_[0-9.]+", metric) is not None for metric in mine["metric"]
    ]
    mine = mine[np.array(found, bool)]
    mine = mine.assign(radius=[metric.rpartition("_")[2] for metric in mine["metric"]])
    grouped = mine.groupby(["lambda", "radius"])["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


QUANTITIES = {
    "alignment": "Alignment |cos(z, v₁)|",
    "relative_deviation": "Deviation from linearity / change of features",
    "stretch": "σ₁(x + z) / σ₁(x)",
    "shared": "Shared ReLU activations",
}


def perturbed(rows: pd.DataFrame) -> pd.DataFrame:
    """What perturbations of each length meet: columns method, lambda, quantity (of QUANTITIES),
    kind ("PGD" or "random"), radius (ℓ2, input units), mean over seeds, half_width and seeds.

    Args:
        rows: as `benchmark.ranking.standings.labelled` gives them, of one architecture.
    """
    mine = rows[
        (rows["status"] == "finished") & (rows["threat"] == "perturbed") & (rows["split"] == "test")
    ]
    found = [re.fullmatch(r"(random_)?([a-z_]+?)_([0-9.]+)", metric) for metric in mine["metric"]]
    mine = mine.assign(
        method=mine["regularizer"],
        kind=["random" if match and match[1] else "PGD" for match in found],
        quantity=[match[2] if match else "" for match in found],
        radius=[float(match[3]) if match else math.nan for match in found],
    )
    mine = mine[mine["quantity"].isin(list(QUANTITIES)) & np.isfinite(mine["value"].astype(float))]
    grouped = mine.groupby(["method", "lambda", "quantity", "kind", "radius"])["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()
