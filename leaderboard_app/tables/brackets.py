"""Robustness from both sides at the λ that ranks: a pure function of tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.ranking.selection import selected_trials
from registry.spec import Trial

COLUMNS = ["method", "lambda", "epsilon", "certified", "worst", "seeds", "images"]


def at_selected(
    trials: Sequence[Trial], known: pd.DataFrame, standings: pd.DataFrame
) -> pd.DataFrame:
    """One row a method and ε, rising: means over seeds of both ends, each seed at the λ that the
    leaderboard scores it at: COLUMNS. Only methods of which all seeds have certificates.

    Args:
        known: as `benchmark.ranking.brackets.brackets` gives it.
        standings: of one architecture.
    """
    found = []
    for row, group in zip(standings.to_dict("records"), selected_trials(trials, standings)):
        keys = {trial.key for trial in group}
        mine = known[known["key"].isin(keys)].drop_duplicates(["key", "epsilon"])
        if not keys or mine["key"].nunique() < len(keys):
            continue
        means = mine.groupby("epsilon", as_index=False)[["certified", "worst", "images"]].mean()
        labels = {"method": row["regularizer"], "lambda": row["lambda"], "seeds": len(keys)}
        found.append(means.assign(**labels)[COLUMNS])
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)
