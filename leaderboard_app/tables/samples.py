"""Per-example values as tables: one row an image of a model. Pure functions of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.ranking.selection import selected_trials
from registry.spec import Trial

TRIAL = ["key", "method", "lambda", "seed"]


def models(rows: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """The trials that finished: columns key, method, lambda, seed.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them.
    """
    mine = rows[(rows["architecture"] == architecture) & (rows["status"] == "finished")]
    return (
        mine.rename(columns={"regularizer": "method"})[TRIAL]
        .drop_duplicates()
        .reset_index(drop=True)
    )


def scored(
    rows: pd.DataFrame, trials: Sequence[Trial], standings: pd.DataFrame, method: str = "method"
) -> pd.DataFrame:
    """The rows of the models that the leaderboard scores: each seed at the λ that the others
    choose.

    Args:
        rows: columns key, and `method`, which holds the methods' names.
        trials: of the track.
        standings: of the track, or of one architecture.
    """
    groups = selected_trials(trials, standings)
    names = {(trial.key, trial.entry.regularizer) for group in groups for trial in group}
    keep = [name in names for name in zip(rows["key"], rows[method])]
    return rows[np.array(keep, bool)]


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
