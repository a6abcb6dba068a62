"""How a strength moves margins, losses and gaps. Pure functions of tables."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.ranking.sweep import half_width
from registry.spec import Track

from . import samples

REPORTED = {"accuracy": "clean", "gap": "loss_gap"}  # a chart's quantity → a paper's metric
EDGES = {"probability": np.linspace(0, 1, 21), "loss": np.linspace(0, 3, 31)}  # of histograms


def with_probability(losses: pd.DataFrame) -> pd.DataFrame:
    """Per-image losses with `probability`, p_y = exp(−loss)."""
    return losses.assign(probability=np.exp(-losses["loss"].astype(float)))


def together(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all splits as one, with a column `split`."""
    return pd.concat([table.assign(split=split) for split, table in tables.items()])


def spread(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """For each λ, over the images of all its seeds: mean, deviation (standard deviation), relative
    (deviation over mean).

    A method that shrinks all margins shrinks their deviation with them: the relative one is free of
    that scale.
    """
    grouped = samples.finite(table, [column]).groupby("lambda", sort=True)[column]
    found = grouped.agg(
        images="count", mean="mean", deviation=lambda values: values.std(ddof=1)
    ).reset_index()
    return found.assign(relative=found["deviation"] / found["mean"].where(found["mean"] > 0))


def loss_variation(rows: pd.DataFrame) -> pd.DataFrame:
    """Columns lambda, radius (of 255, a string), mean over seeds, half_width and seeds.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them, of one architecture and method.
    """
    mine = rows[(rows["status"] == "finished") & (rows["threat"] == "loss_variation")]
    found = [
        re.fullmatch(r"loss_variation_[0-9.]+", metric) is not None for metric in mine["metric"]
    ]
    mine = mine[np.array(found, bool)]
    mine = mine.assign(radius=[metric.rpartition("_")[2] for metric in mine["metric"]])
    grouped = mine.groupby(["lambda", "radius"])["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


def gap_curves(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """ "accuracy" (test), "gap" (test less train loss, nats) and "error_gap" (train less test
    accuracy) over λ, each as `figures.sweeps.against_lambda` takes it.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them, of one architecture.
    """
    finite = np.isfinite(rows["value"].astype(float))
    clean = rows[(rows["status"] == "finished") & (rows["threat"] == "clean") & finite]
    index = ["regularizer", "lambda", "seed"]
    of = clean.pivot_table(index=index, columns=["metric", "split"], values="value")
    none = pd.Series(np.nan, index=of.index)

    def values(metric: str, split: str) -> pd.Series:
        return of.get((metric, split), none)

    found = {
        "accuracy": values("accuracy", "test"),
        "gap": values("loss", "test") - values("loss", "train"),
        "error_gap": values("accuracy", "train") - values("accuracy", "test"),
    }
    return {name: _over_lambda(column.dropna()) for name, column in found.items()}


def _over_lambda(values: pd.Series) -> pd.DataFrame:
    """Columns method, matched, lambda, mean, half_width and seeds.

    Args:
        values: indexed by regularizer, lambda and seed.
    """
    table = values.rename("value").reset_index()
    table = table.assign(matched=table["lambda"], method=table["regularizer"])
    grouped = table.groupby(["method", "matched", "lambda"])["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


def layer_spread(layers: pd.DataFrame) -> pd.DataFrame:
    """Standard deviation of each layer's singular values: columns lambda, layer, mean over seeds,
    half_width and seeds.

    Args:
        layers: columns lambda, seed, layer, metric, value.
    """
    mine = layers[layers["metric"] == "sigma_std"]
    grouped = mine.groupby(["lambda", "layer"], sort=True)["value"]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


def relative(margins: pd.DataFrame) -> pd.DataFrame:
    """The margins with `relative`: each over its model's mean margin, NaN where that is not
    positive.
    """
    finite = samples.finite(margins, ["margin"])
    scale = finite.groupby("key")["margin"].transform("mean")
    return finite.assign(relative=finite["margin"] / scale.where(scale > 0))


def reported(track: Track, architecture: str, method: str, quantity: str) -> pd.DataFrame:
    """What papers report of a quantity of `gap_curves`: columns paper, metric, lambda, value, low,
    high.
    """
    return _reported(track, architecture, method, REPORTED.get(quantity, quantity))


def reported_variation(track: Track, architecture: str, method: str) -> pd.DataFrame:
    """The same of the loss variation, with `radius` (of 255)."""
    found = _reported(track, architecture, method, r"loss_variation_[0-9.]+")
    radii = [float(metric.rpartition("_")[2]) for metric in found["metric"]]
    return found.assign(radius=radii)


def _reported(track: Track, architecture: str, method: str, metric: str) -> pd.DataFrame:
    """Those whose metric matches a pattern, at the strengths that the paper names."""
    names = ["paper", "metric", "lambda", "value", "low", "high"]
    rows = [
        (result.paper, result.metric, result.strength, result.value, *result.ends)
        for result in track.reported
        if (result.architecture, result.regularizer) == (architecture, method)
        and result.strength is not None
        and re.fullmatch(metric, result.metric)
    ]
    return pd.DataFrame(rows, columns=names).sort_values("lambda", kind="stable")
