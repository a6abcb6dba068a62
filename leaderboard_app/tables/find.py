"""Every strength of every method with its scores and its cost, and the best within limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from benchmark.ranking.cost import relative_costs
from benchmark.ranking.front import undominated
from benchmark.ranking.selection import OnValidation
from benchmark.ranking.sweep import sweep
from registry.spec import Track, Trial

from ..words.labels import columns_of, percent, plain, quantity
from ..words.style import Style

ENDS = ("", "_low", "_high")
ROBUST = [f"robust{end}" for end in ENDS]
WORST = [f"worst{end}" for end in ENDS]
COLUMNS = ["method", "lambda", "clean", "validation", *ROBUST, *WORST]
COLUMNS += ["cost", "seeds", "selected", "flags"]
HEADINGS = {
    "method": "Method",
    "strength": "Strength",
    "selected": "Chosen",
    "robust": "Robust",
    "worst": "Worst case",
    "clean": "Clean",
    "cost": "Cost ×",
    "seeds": "Seeds",
    "flags": "Flags",
}


def strengths(
    track: Track,
    rows: pd.DataFrame,
    standings: pd.DataFrame,
    flags: Mapping[tuple[str, str, float], Sequence[str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """One row a method and λ: COLUMNS. Scores are on test images, `validation` is clean accuracy on
    validation images, `cost` relative to the control's median training time (of a λ trained in
    stacks alone its method's); `selected` is the λ that ranks. The worst case is known where the
    board scores every seed at that λ.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them, of one architecture.
        standings: of the same architecture.
        flags: as `benchmark.ranking.scrutiny.raised_at` gives them.
    """
    keys = ["regularizer", "lambda"]
    means = sweep(rows[rows["threat"].isin(["clean", track.headline])])

    def score(threat: str, metric: str, split: str, **names: str) -> pd.DataFrame:
        of = (means["threat"] == threat) & (means["metric"] == metric) & (means["split"] == split)
        return means.loc[of, [*keys, *names]].rename(columns=names)

    ends = {"mean": "robust", "low": "robust_low", "high": "robust_high"}
    table = (
        score("clean", "accuracy", "test", mean="clean", seeds="seeds")
        .merge(score("clean", "accuracy", "validation", mean="validation"), on=keys)
        .merge(score(track.headline, track.headline_metric, "test", **ends), on=keys)
    )
    table = table.merge(_worst_cases(standings), how="left", on=keys)
    costs, of_method = relative_costs(rows, keys), relative_costs(rows, keys[:1])
    ranking = set(zip(standings["regularizer"], standings["lambda"]))
    raised = {(method, strength): ", ".join(told) for (_, method, strength), told in flags.items()}
    pairs = list(zip(table["regularizer"], table["lambda"]))
    table = table.assign(
        cost=[costs.get(pair, of_method.get(pair[0], np.nan)) for pair in pairs],
        selected=[pair in ranking for pair in pairs],
        flags=[raised.get(pair, "") for pair in pairs],
    )
    return table.rename(columns={"regularizer": "method"})[COLUMNS]


def _worst_cases(standings: pd.DataFrame) -> pd.DataFrame:
    """Of the board's rows that have all seeds at one λ."""
    strengths = zip(standings["lambdas"], standings["lambda"])
    at_one = [set(by_seed) == {strength} for by_seed, strength in strengths]
    found = standings.reindex(columns=["regularizer", "lambda", *WORST])[np.array(at_one, bool)]
    return found.astype({"lambda": float})


def within(table: pd.DataFrame, cost: float, clean: float) -> pd.DataFrame:
    """Those that cost at most so much (an unknown cost counts as the dearest) and have at least so
    much clean accuracy on validation images.
    """
    costs = table["cost"].fillna(dearest(table))
    return table[(costs <= cost) & (table["validation"] >= clean)]


def chosen(
    track: Track, trials: Sequence[Trial], rows: pd.DataFrame, fitting: pd.DataFrame, seeds: int
) -> pd.DataFrame:
    """What fits, where `selected` is now the λ that a method is best with on validation images:
    selected as for the board, but among those that fit.

    Chosen λ come first, those with a flag last, both by `score`, then by robustness.

    Args:
        trials: of the track on one architecture; a method some of which have not run has no λ.
        rows: as of `strengths`.
        fitting: as `within` gives it.
        seeds: how many the ranking rests on.
    """
    run = set(rows["key"].tolist())
    behind = {t.entry.regularizer for t in trials if t.seed < seeds and t.key not in run}
    found: dict[Any, float | None] = {}
    for method, strengths in fitting.groupby("method")["lambda"]:
        mine = rows[(rows["regularizer"] == method) & rows["lambda"].isin(strengths)]
        if method not in behind:
            found[method] = OnValidation.of(track, mine, seeds).best(0)
    pairs = zip(fitting["method"], fitting["lambda"])
    table = fitting.assign(
        selected=[found.get(method) == strength for method, strength in pairs],
        believed=fitting["flags"] == "",
    )
    order = dict.fromkeys(["believed", "selected", score(track, table), "robust"])
    table = table.sort_values(list(order), ascending=False, kind="stable")
    return table.drop(columns="believed").reset_index(drop=True)


def _candidates(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["selected"] & (table["flags"] == "")]


def score(track: Track, table: pd.DataFrame) -> str:
    """The column by which the best is named: "worst" where the track ranks by it and every chosen λ
    has it, else "robust", which all have.
    """
    known = _candidates(table)["worst"].notna()
    return "worst" if track.ranking == "worst" and known.all() else "robust"


def best(table: pd.DataFrame) -> dict[Any, Any] | None:
    """The first of the chosen λ without a flag; None where there is none.

    Args:
        table: as `chosen` gives it.
    """
    rows = _candidates(table).to_dict("records")
    return rows[0] if rows else None


def in_words(best: Mapping[Any, Any], track: Track, score: str, styles: Mapping[str, Style]) -> str:
    """Which method is best, at which λ, by which score, and what it costs.

    Args:
        best, score: as the functions of these names give them.
    """
    method, named = best["method"], "worst" if score == "worst" else track.headline
    known = np.isfinite(best["cost"])
    cost = f", {best['cost']:.1f} times the training cost of none" if known else ""
    said = (
        f"Best within these limits: **{plain(method)}** at "
        f"{plain(styles[method].strength(best['lambda']))}, {plain(quantity(track, named))} "
        f"{percent(*(best[f'{score}{end}'] for end in ENDS))}, clean accuracy "
        f"{percent(best['clean'])}{cost}."
    )
    if track.ranking == named:
        return said
    worst = percent(*(best[name] for name in WORST))
    known = f"; at this one it is {worst}" if worst else ""
    return f"{said} The worst case, by which the track ranks, is not known at every λ here{known}."


def front(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The rows that no other beats in robustness and in `axis`: more "clean", or less "cost"."""
    better = table["clean"] if axis == "clean" else -table["cost"]
    return table[undominated(better, table["robust"])].sort_values(axis)


def dearest(table: pd.DataFrame) -> float:
    """A cost that no row exceeds, as a whole number; 1 where no cost is known."""
    known = table["cost"].dropna()
    return float(np.ceil(known.max())) if len(known) else 1.0


def shown(table: pd.DataFrame, styles: Mapping[str, Style], track: Track) -> pd.DataFrame:
    """The rows as the page has them: HEADINGS, scores in percent with their intervals, robustness
    under the name of the attack.
    """
    pairs = zip(table["method"], table["lambda"])
    written = table.assign(
        strength=[styles[method].strength(value) for method, value in pairs],
        robust=[percent(*ends) for ends in table[ROBUST].to_numpy()],
        worst=[percent(*ends) for ends in table[WORST].to_numpy()],
        clean=[percent(value) for value in table["clean"]],
        cost=table["cost"].round(1),
    )
    headings = HEADINGS | {"robust": columns_of(track)[track.headline]}
    if track.ranking != "worst" or not table["worst"].notna().any():
        headings.pop("worst")
    if not table["flags"].any():
        headings.pop("flags")
    return written[list(headings)].rename(columns=headings)
