"""Every strength of every method with its scores and its cost, and the best within limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmark.ranking.cost import relative_costs
from benchmark.ranking.front import undominated
from benchmark.ranking.sweep import sweep
from registry.spec import Track

from ..words.labels import columns_of, percent
from ..words.style import Style

COLUMNS = [
    "method",
    "lambda",
    "clean",
    "robust",
    "robust_low",
    "robust_high",
    "cost",
    "seeds",
    "selected",
    "flags",
]
HEADINGS = {
    "method": "Method",
    "robust": "Robust",
    "clean": "Clean",
    "strength": "Strength",
    "cost": "Cost ×",
    "seeds": "Seeds",
    "selected": "Selected",
    "flags": "Flags",
}


def strengths(track: Track, rows: pd.DataFrame, standings: pd.DataFrame) -> pd.DataFrame:
    """One row a method and λ: COLUMNS, scores on test images, cost relative to the control's median
    training time; `selected` is the λ that ranks, `flags` are its method's.

    Args:
        rows: as `benchmark.ranking.standings.labelled` gives them, of one architecture.
        standings: of the same architecture.
    """
    means = sweep(rows[rows["split"] == "test"])
    keys = ["regularizer", "lambda"]
    clean = means[(means["threat"] == "clean") & (means["metric"] == "accuracy")]
    robust = means[(means["threat"] == track.headline) & (means["metric"] == track.headline_metric)]
    robust = robust.rename(columns={"mean": "robust", "low": "robust_low", "high": "robust_high"})
    table = clean.rename(columns={"mean": "clean"})[[*keys, "clean", "seeds"]].merge(
        robust[[*keys, "robust", "robust_low", "robust_high"]], on=keys
    )
    costs = relative_costs(rows, keys)
    chosen = set(zip(standings["regularizer"], standings["lambda"]))
    flags = dict(zip(standings["regularizer"], standings["flags"]))
    pairs = list(zip(table["regularizer"], table["lambda"]))
    table = table.assign(
        cost=[costs.get(pair, np.nan) for pair in pairs],
        selected=[pair in chosen for pair in pairs],
        flags=table["regularizer"].map(flags).fillna(""),
    )
    return table.rename(columns={"regularizer": "method"})[COLUMNS]


def within(table: pd.DataFrame, cost: float, clean: float) -> pd.DataFrame:
    """Those that cost at most so much (an unknown cost counts as too much) and have at least so
    much clean accuracy, the most robust first, and those with a flag after all others.
    """
    kept = table[(table["cost"] <= cost) & (table["clean"] >= clean)]
    kept = kept.sort_values("robust", ascending=False, kind="stable")
    flagged = (kept["flags"] != "").sort_values(kind="stable")
    return kept.loc[flagged.index].reset_index(drop=True)


def best(table: pd.DataFrame, standings: pd.DataFrame, track: Track) -> dict[Any, Any] | None:
    """The row of the standings that has the best score of those that rank, among the methods whose
    selected λ is in the table; None where there is none. One with a flag is never named.
    """
    methods = table["method"][table["selected"] & (table["flags"] == "")]
    rows = standings[standings["regularizer"].isin(methods)].dropna(subset=[track.ranking])
    best_first = rows.sort_values(track.ranking, ascending=False, kind="stable").to_dict("records")
    return best_first[0] if best_first else None


def front(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The rows without a flag that no other beats in robustness and in `axis`: more "clean", or
    less "cost".
    """
    rows = table[table["flags"] == ""]
    better = rows["clean"] if axis == "clean" else -rows["cost"]
    return rows[undominated(better, rows["robust"])].sort_values(axis)


def dearest(table: pd.DataFrame) -> float:
    """A cost that no row exceeds, as a whole number; 1 where no cost is known."""
    known = table["cost"].dropna()
    return float(np.ceil(known.max())) if len(known) else 1.0


def shown(table: pd.DataFrame, styles: Mapping[str, Style], track: Track) -> pd.DataFrame:
    """The rows as the page has them: HEADINGS, scores in percent with their intervals, robustness
    under the name of the attack.
    """
    robust = table[["robust", "robust_low", "robust_high"]].to_numpy()
    pairs = zip(table["method"], table["lambda"])
    written = table.assign(
        strength=[styles[method].strength(value) for method, value in pairs],
        robust=[percent(*ends) for ends in robust],
        clean=[percent(value) for value in table["clean"]],
        cost=table["cost"].round(1),
    )
    headings = HEADINGS | {"robust": columns_of(track)[track.headline]}
    if not table["flags"].any():
        headings.pop("flags")
    return written[list(headings)].rename(columns=headings)
