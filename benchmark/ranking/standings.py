"""Scores → standings: pure functions of tables. λ is chosen on validation images, never on test.

The score of a method is its accuracy under the track's headline threat at the λ that
`select_lambda` picks, as a mean over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.special import stdtrit  # scipy.stats has it too, and takes seconds to import

from registry.spec import Tier, Track, Trial

from .scrutiny import raised, tier_of, told
from .selection import seeds_ranked, select_lambda, selected_trials

METHOD = ["architecture", "regularizer"]


def half_width(values: pd.Series) -> float:
    """Half of Student's 95 % confidence interval of a mean over seeds; NaN for fewer than two."""
    n = len(values)
    return float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan


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
    columns = [
        "key",
        "status",
        "train_seconds",
        "threat",
        "split",
        "metric",
        "examples",
        "value",
        "flags",
    ]
    if scores.empty:
        scores = pd.DataFrame(columns=columns)
    asked = {(trial.key, *part.id) for trial in trials for part in trial.evaluation}
    mine = [
        status == "diverged" or row in asked
        for status, row in zip(
            scores["status"],
            scores[["key", "threat", "split", "examples"]].itertuples(index=False, name=None),
        )
    ]
    return wanted.merge(scores.loc[mine, columns], on="key", how="inner")


def sweep(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each (architecture, regularizer, λ, threat, split, metric): mean, half_width and
    seeds.

    Args:
        rows: as `labelled` gives them.
    """
    finished = rows[(rows["status"] == "finished") & rows["metric"].notna()]
    grouped = finished.groupby([*METHOD, "lambda", "threat", "split", "metric"], sort=False)[
        "value"
    ]
    return grouped.agg(mean="mean", half_width=half_width, seeds="count").reset_index()


@dataclass(frozen=True)
class _Method:
    """A method on one architecture: the trials that its row rests on, and what is known of them.

    rows, sweep: as `labelled` and `sweep` give them.
    cost: its training time, relative to that of `none`.
    """

    architecture: str
    regularizer: str
    trials: list[Trial]
    rows: pd.DataFrame
    sweep: pd.DataFrame
    cost: float


def standings(track: Track, trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """One row a method and architecture, the highest mean first; methods that cannot be ranked
    follow, with the reason in `why`.

    Columns: track, architecture, regularizer, lambda, seeds, seeds_asked, diverged, clean,
    clean_half_width, then for every threat its mean and `…_half_width` (accuracy in [0, 1], or mean
    ‖r‖/‖x‖ for an attack without ε), cost (training time per trial relative to `none`), tier (the
    highest that is complete for the selected λ; "" while not even the track's own threats are),
    flags (the honesty flags of the selected λ's trials), why ("" where the method can be ranked). A
    flag keeps a method out of the ranking.
    """
    trials = [track.with_tiers(trial) for trial in trials]
    everything = labelled(trials, scores)
    seeds = seeds_ranked(trials, everything)
    rows = everything[everything["seed"] < seeds]
    found = [_row(track, method, seeds) for method in _methods(track, trials, rows, seeds)]
    table = pd.DataFrame(found)
    return _ordered(track, table) if found else table


def _methods(
    track: Track, trials: Sequence[Trial], rows: pd.DataFrame, seeds: int
) -> Iterator[_Method]:
    """In the track's order. Before any seed is complete the first is asked for."""
    asked: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if trial.seed < max(seeds, 1):
            name = trial.entry.architecture, trial.entry.regularizer
            asked.setdefault(name, []).append(trial)
    means = sweep(rows)
    rows_of: dict[Any, pd.DataFrame] = dict(tuple(rows.groupby(METHOD)))
    means_of: dict[Any, pd.DataFrame] = dict(tuple(means.groupby(METHOD)))
    costs = _costs(rows)
    place = {architecture: i for i, architecture in enumerate(track.architectures)}
    for name in sorted(asked, key=lambda name: place[name[0]]):
        architecture, regularizer = name
        yield _Method(
            architecture,
            regularizer,
            asked[name],
            rows_of.get(name, rows.head(0)),
            means_of.get(name, means.head(0)),
            costs.get(name, math.nan),
        )


def _costs(rows: pd.DataFrame) -> dict[tuple[str, str], float]:
    """(architecture, regularizer) → its median training time, relative to that of `none`."""
    trials = rows[rows["status"] == "finished"].drop_duplicates(["key", *METHOD])
    seconds: dict[Any, float] = trials.groupby(METHOD)["train_seconds"].median().to_dict()
    of_none = {name[0]: value for name, value in seconds.items() if name[1] == "none"}
    return {name: value / of_none.get(name[0], math.nan) for name, value in seconds.items()}


def _row(track: Track, method: _Method, seeds: int) -> dict[str, Any]:
    rows = method.rows
    missing = {trial.key for trial in method.trials} - set(rows["key"])
    chosen = None if missing else select_lambda(track, method.sweep, seeds)
    selected = [trial for trial in method.trials if trial.entry.strength == chosen]
    of_selected = rows[rows["key"].isin([trial.key for trial in selected])]
    flags = raised(selected, of_selected)
    row = {
        "track": track.name,
        "architecture": method.architecture,
        "regularizer": method.regularizer,
        "lambda": chosen,
        "seeds": seeds,
        "seeds_asked": track.seeds,
        "diverged": rows.loc[rows["status"] == "diverged", "key"].nunique(),
        **_numbers(track, method.sweep[method.sweep["lambda"] == chosen]),
        "cost": method.cost,
        "tier": tier_of(track, selected, of_selected),
        "flags": ", ".join(flags),
    }
    if missing:
        ran_not = sum(trial.key in missing for trial in method.trials)
        why = f"incomplete: {ran_not} of {len(method.trials)} trials have not run"
    elif chosen is None:
        diverged = f"; {row['diverged']} trials diverged" if row["diverged"] else ""
        why = f"no λ reaches the clean floor of {track.clean_floor:.0%}{diverged}"
    elif not row["tier"]:
        why = "incomplete: a part of the evaluation at the selected λ has not run"
    else:
        why = f"flagged: {told(flags, seeds)}" if flags else ""
    return row | {"why": why}


def for_tier(
    track: Track, trials: Sequence[Trial], scores: pd.DataFrame, tier: Tier
) -> list[Trial]:
    """The trials that the standings rest on, each with what `tier` adds to its evaluation."""
    table = standings(track, trials, scores)
    return [
        trial.also([track.tier_part(tier, trial.dataset.test_size)])
        for group in selected_trials(trials, table)
        for trial in group
    ]


def _numbers(track: Track, chosen: pd.DataFrame) -> dict[str, float]:
    """The columns of one row of the standings, from the `sweep` rows of the selected λ."""
    test = chosen[chosen["split"] == "test"]
    known = {
        (threat, metric): (mean, width)
        for threat, metric, mean, width in zip(
            test["threat"], test["metric"], test["mean"].tolist(), test["half_width"].tolist()
        )
    }
    numbers: dict[str, float] = {}
    wanted = [("clean", "accuracy")] + [
        (threat.id, "robust_accuracy" if threat.epsilon is not None else "relative_distance")
        for threat in track.threats
    ]
    for name, metric in wanted:
        numbers[name], numbers[f"{name}_half_width"] = known.get(
            (name, metric), (math.nan, math.nan)
        )
    return numbers


def _ordered(track: Track, table: pd.DataFrame) -> pd.DataFrame:
    place = {architecture: i for i, architecture in enumerate(track.architectures)}
    by = {"place": table["architecture"].map(place), "unranked": table["why"] != ""}
    ordered = table.assign(**by).sort_values(
        ["place", "unranked", track.headline], ascending=[True, True, False], kind="stable"
    )
    return ordered.drop(columns=list(by)).reset_index(drop=True)
