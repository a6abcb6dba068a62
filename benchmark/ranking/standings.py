"""Scores → standings: pure functions of tables. λ is chosen on validation images, never on test.

A method's score is its accuracy under the track's headline threat as a mean over seeds, each at the
λ that the other seeds choose (`selection.Choice`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from registry.spec import Tier, Track, Trial

from .cost import relative_costs
from .scrutiny import raised, tier_of, told
from .selection import Choice, beyond, choose, seeds_ranked, selected_trials, unselectable
from .sweep import METHOD, labelled, sweep

SEEDS_OF_A_RANK = 3  # fewer tell too little of how much a method scatters


@dataclass(frozen=True)
class _Method:
    """A method on one architecture: the trials asked of it, the rows that they gave, as `labelled`
    gives them, how many of them cannot be chosen from yet, its λ, and those of the trials that its
    row rests on.
    """

    architecture: str
    regularizer: str
    trials: list[Trial]
    rows: pd.DataFrame
    missing: int
    choice: Choice | None
    selected: list[Trial]

    @classmethod
    def of(
        cls,
        track: Track,
        name: tuple[str, str],
        trials: list[Trial],
        rows: pd.DataFrame,
        seeds: int,
    ) -> _Method:
        missing = unselectable(track, trials, rows)
        choice = None if missing else choose(track, rows, seeds)
        by_seed = dict(enumerate(choice.by_seed)) if choice else {}
        selected = [t for t in trials if t.entry.strength == by_seed.get(t.seed)]
        return cls(*name, trials, rows, missing, choice, selected)

    @cached_property
    def grid(self) -> list[float]:
        """Every λ of the method, rising."""
        return sorted({trial.entry.strength for trial in self.trials})

    @property
    def at_end(self) -> str:
        """Whether the λ is the "smallest" or the "largest" of several: then it is no selection, as
        the best may lie beyond. "" else.
        """
        grid = self.grid
        if self.choice is None or len(grid) == 1:
            return ""
        return {grid[0]: "smallest", grid[-1]: "largest"}.get(self.choice.strength, "")

    @property
    def next_lambda(self) -> float | None:
        """The λ to try where it is at an end of its grid."""
        return beyond(self.grid, self.at_end) if self.at_end else None


def standings(track: Track, trials: Sequence[Trial], scores: pd.DataFrame) -> pd.DataFrame:
    """One row a method and architecture, the highest mean first; methods that cannot be ranked
    follow, with the reason in `why`.

    Columns: track, architecture, regularizer, lambda (chosen by all seeds), lambdas (each seed's:
    chosen by the others), tried (how many λ), at_end ("smallest" or "largest" where lambda ends the
    grid), next_lambda (that would continue it there), seeds, seeds_asked, diverged and trials (of
    every λ, how many did and how many have run), clean, clean_low, clean_high, then for every
    threat its mean and the ends of its interval (accuracy in [0, 1], or mean ‖r‖/‖x‖ for an attack
    without ε), cost (training time per trial relative to `none`), tier (the highest that is
    complete for the selected trials; "" while not even the track's own threats are), flags (the
    honesty flags of the selected trials), why ("" where the method can be ranked). A flag keeps a
    method out of the ranking, and so do fewer than three seeds.

    A diverged trial is an outcome: it stays in `diverged`, and a λ at which one of the seeds
    diverged cannot be selected, so that no method leads by the seeds that survive.
    """
    trials = track.with_tiers(trials)
    everything = labelled(trials, scores)
    seeds = seeds_ranked(trials, everything)
    shown = {name: max(count, 1) for name, count in seeds.items()}
    rows = everything[everything["seed"] < everything["architecture"].map(shown).astype(int)]
    methods = _methods(track, trials, rows, seeds)
    selected = _of_selected(methods, rows)
    own = {part.id for part in track.evaluation}  # a tier's may be of one threat on more images
    parts = zip(*(selected[name].tolist() for name in ("threat", "split", "examples")))
    means = _means(methods, selected[np.array([part in own for part in parts], bool)])
    rows_of: dict[Any, pd.DataFrame] = dict(tuple(selected.groupby(METHOD)))
    costs = relative_costs(rows, METHOD)
    found = []
    for method in methods:
        name = method.architecture, method.regularizer
        numbers = _numbers(track, means.get(name, {})) | {"cost": costs.get(name, math.nan)}
        count, its = seeds[method.architecture], rows_of.get(name, selected.head(0))
        found.append(_row(track, method, its, count, numbers))
    table = pd.DataFrame(found)
    return ordered(track, table, track.headline) if found else table


def _methods(
    track: Track, trials: Sequence[Trial], rows: pd.DataFrame, seeds: Mapping[str, int]
) -> list[_Method]:
    """In the track's order. Before any seed is complete the first is asked for."""
    asked: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if trial.seed < max(seeds[trial.entry.architecture], 1):
            name = trial.entry.architecture, trial.entry.regularizer
            asked.setdefault(name, []).append(trial)
    rows_of: dict[Any, pd.DataFrame] = dict(tuple(rows.groupby(METHOD)))
    place = {architecture: i for i, architecture in enumerate(track.architectures)}
    return [
        _Method.of(track, name, asked[name], rows_of.get(name, rows.head(0)), seeds[name[0]])
        for name in sorted(asked, key=lambda name: place[name[0]])
    ]


def _of_selected(methods: list[_Method], rows: pd.DataFrame) -> pd.DataFrame:
    """Of all rows those of the selected trials, under the names that these are selected by."""
    keys = {(m.architecture, m.regularizer): {trial.key for trial in m.selected} for m in methods}
    names = zip(*(rows[column].tolist() for column in METHOD))
    mine = [key in keys[name] for name, key in zip(names, rows["key"].tolist())]
    return rows[np.array(mine, bool)]


def _means(
    methods: list[_Method], rows: pd.DataFrame
) -> dict[tuple[str, str], dict[tuple[str, str], Any]]:
    """(architecture, regularizer) → (threat, metric) → mean, low and high on test images.

    A method's trials may have different λ: it is a mean over seeds all the same.

    Args:
        rows: as `_of_selected` gives them.
    """
    selected = {(m.architecture, m.regularizer) for m in methods if len(m.grid) > 1}
    table = sweep(rows[rows["split"] == "test"].assign(**{"lambda": 0.0}), selected)
    found: dict[tuple[str, str], dict[tuple[str, str], Any]] = {}
    columns = [*METHOD, "threat", "metric", "mean", "low", "high"]
    for architecture, regularizer, *score, mean, low, high in table[columns].itertuples(
        index=False, name=None
    ):
        found.setdefault((architecture, regularizer), {})[tuple(score)] = mean, low, high
    return found


def _row(
    track: Track, method: _Method, of_selected: pd.DataFrame, seeds: int, numbers: dict[str, float]
) -> dict[str, Any]:
    choice = method.choice
    flags = raised(method.selected, of_selected)
    diverged = method.rows.loc[method.rows["status"] == "diverged", "key"].nunique()
    row = {
        "track": track.name,
        "architecture": method.architecture,
        "regularizer": method.regularizer,
        "lambda": choice.strength if choice else None,
        "lambdas": choice.by_seed if choice else (),
        "tried": len(method.grid),
        "at_end": method.at_end,
        "next_lambda": method.next_lambda,
        "seeds": seeds,
        "seeds_asked": track.seeds,
        "diverged": diverged,
        "trials": method.rows["key"].nunique(),
        **numbers,
        "tier": tier_of(track, method.selected, of_selected),
        "flags": ", ".join(flags),
    }
    if method.missing:
        why = f"incomplete: {method.missing} of {len(method.trials)} trials have not run in full"
    elif choice is None:
        also = f"; {diverged} trials diverged" if diverged else ""
        why = f"no λ reaches the clean floor of {track.clean_floor:.0%}{also}"
    elif not row["tier"]:
        why = "incomplete: a part of the evaluation at the selected λ has not run"
    elif flags:
        why = f"flagged: {told(flags, seeds)}"
    elif seeds < SEEDS_OF_A_RANK:
        why = f"preliminary: {seeds} of the {SEEDS_OF_A_RANK} seeds that a rank takes"
    else:
        why = ""
    return row | {"why": why}


def rested_on(track: Track, trials: Sequence[Trial], scores: pd.DataFrame) -> list[Trial]:
    """The trials that the standings rest on: each seed at the λ that it is scored at."""
    groups = selected_trials(trials, standings(track, trials, scores))
    return [trial for group in groups for trial in group]


def for_tier(
    track: Track, trials: Sequence[Trial], scores: pd.DataFrame, tier: Tier
) -> list[Trial]:
    """The trials that the standings rest on, each with what `tier` adds to its evaluation."""
    return [
        trial.also(track.tier_parts(tier, trial.dataset.test_size))
        for trial in rested_on(track, trials, scores)
    ]


def _numbers(track: Track, known: dict[tuple[str, str], Any]) -> dict[str, float]:
    """The columns of one row of the standings: of each score its mean, low and high."""
    wanted = [("clean", "accuracy")] + [
        (threat.id, "robust_accuracy" if threat.epsilon is not None else "relative_distance")
        for threat in track.threats
    ]
    numbers: dict[str, float] = {}
    for name, metric in wanted:
        mean, low, high = known.get((name, metric), (math.nan,) * 3)
        numbers |= {name: mean, f"{name}_low": low, f"{name}_high": high}
    return numbers


def ordered(track: Track, table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows by architecture, in the track's order; in it those that can be ranked, the highest
    value of a column first, then the others.
    """
    place = {architecture: i for i, architecture in enumerate(track.architectures)}
    by = {"place": table["architecture"].map(place), "unranked": table["why"] != ""}
    rows = table.assign(**by).sort_values(
        ["place", "unranked", column], ascending=[True, True, False], kind="stable"
    )
    return rows.drop(columns=list(by)).reset_index(drop=True)
