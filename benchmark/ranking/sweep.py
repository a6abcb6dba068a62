"""Scores under the names of their entries, and their means over seeds with intervals."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit

from registry.spec import Trial

from .scatter import moderated, weight

METHOD = ["architecture", "regularizer"]
SCORE = ["threat", "split", "metric"]
LEVEL = 0.95
SHARES = ("accuracy", "robust_accuracy")  # metrics that count images
DISTANCE = "relative_distance"
TRAINING = ["seconds_alone", "trained_on", "registered_seconds", "registered_on"]
KNOWN = ["key", "status", *TRAINING, *SCORE, "examples", "value", "n", "flags"]


def labelled(trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """The store's scores under the names of the entries that ask for them (a control may serve
    several entries).

    Only scores on as many examples as the entry's track asks for are taken.
    """
    wanted = pd.DataFrame(
        [
            {
                "key": trial.key,
                "architecture": trial.entry.architecture,
                "regularizer": trial.entry.regularizer,
                "lambda": trial.entry.strength,
                "seed": trial.seed,
            }
            for trial in trials
        ]
    )
    if scores.empty:
        scores = pd.DataFrame(columns=KNOWN)
    asked = {(trial.key, *part.id) for trial in trials for part in trial.evaluation}
    # Lists: to walk over a column of strings is slow.
    names = zip(*(scores[name].tolist() for name in ("key", "threat", "split", "examples")))
    mine = [
        status == "diverged" or row in asked
        for status, row in zip(scores["status"].tolist(), names)
    ]
    return wanted.merge(scores.loc[mine, KNOWN], on="key", how="inner")


def sweep(rows: pd.DataFrame, selected: Container[tuple[str, str]] = ()) -> pd.DataFrame:
    """One row for each (architecture, regularizer, λ, threat, split, metric): mean, low and high of
    its 95 % interval, and seeds.

    An interval is about what other seeds and other images would give. Its variance over seeds is
    moderated by that of the same score of the other entries of the architecture (`scatter`); shares
    of images are taken on the logit scale, on which an interval cannot leave [0, 1], and count the
    sampling of images as that of a binomial. NaN ends where nothing tells the scatter over seeds.
    `proportion_confint` of statsmodels and `binomtest` of scipy know images, and no seeds.

    Args:
        rows: as `labelled` gives them.
        selected: the methods, (architecture, regularizer), each of whose seeds is at the λ that the
            others choose: their intervals are wider.
    """
    finished = rows[(rows["status"] == "finished") & rows["metric"].notna()]
    share = finished["metric"].isin(SHARES).to_numpy()
    value, n = finished["value"].to_numpy(float), finished["n"].to_numpy(float)
    counted = logit((value * n + 0.5) / (n + 1))
    scaled = finished.assign(scaled=np.where(share, counted, value))
    grouped = scaled.groupby([*METHOD, "lambda", *SCORE], sort=False)
    table = grouped.agg(
        mean=("value", "mean"),
        seeds=("value", "count"),
        centre=("scaled", "mean"),
        variance=("scaled", "var"),
        n=("n", "min"),
    ).reset_index()
    names = zip(table["architecture"], table["regularizer"])
    low, high = _intervals(table, np.array([name in selected for name in names], bool))
    kept = table.drop(columns=["centre", "variance", "n"])
    return kept.assign(low=low, high=high)


def _intervals(table: pd.DataFrame, selected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seeds, centre = table["seeds"].to_numpy(float), table["centre"].to_numpy(float)
    raw = table["variance"].to_numpy(float)
    own = np.where(np.isfinite(raw), seeds - 1, 0)
    variance, freedom = np.full(len(table), np.nan), np.zeros(len(table))
    for places in table.groupby(["architecture", *SCORE], sort=False).indices.values():
        found = moderated(raw[places], own[places], most=own[places].sum())
        variance[places], freedom[places] = found
    share = table["metric"].isin(SHARES).to_numpy()
    p = expit(centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_images = np.where(share, 1 / (table["n"].to_numpy(float) * p * (1 - p)), 0)
        of_seeds = variance * weight(seeds, selected)
        whole = of_seeds + of_images
        freedom = freedom * np.where(of_seeds > 0, whole / of_seeds, 1) ** 2  # Satterthwaite
        half = stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(whole)
    low, high = centre - half, centre + half
    mean = table["mean"].to_numpy(float)
    distance = (table["metric"] == DISTANCE).to_numpy()  # none is below 0
    low = np.where(share, np.minimum(expit(low), mean), np.where(distance, np.maximum(low, 0), low))
    return low, np.where(share, np.maximum(expit(high), mean), high)


def half_width(values: pd.Series) -> float:
    """Half of Student's 95 % confidence interval of a mean over seeds, for what has no ends to its
    scale: measures, differences. NaN for fewer than two. `scipy.stats.t.interval` gives the same;
    the quantile alone loads faster.
    """
    n = len(values)
    if n < 2:
        return math.nan
    return float(stdtrit(n - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / math.sqrt(n))
