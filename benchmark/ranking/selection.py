"""What a ranking rests on: how many seeds, and which λ, chosen on validation images only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import pandas as pd

from registry.spec import Track, Trial

ENOUGH = 0.8  # of the methods that have run: a further seed then counts


def seeds_ranked(trials: Sequence[Trial], rows: pd.DataFrame) -> dict[str, int]:
    """Architecture → how many seeds the ranking rests on there: the most, counted from 0, that
    ENOUGH of the methods that have run there have in full; 0 where nothing has.

    So the board stands while a run goes through a further seed, and a method that lags behind does
    not hold back many. Submitted methods, where there are others, are not asked.

    Args:
        rows: as `sweep.labelled` gives them.
    """
    have = set(rows["key"])
    methods: dict[tuple[str, bool, str], dict[int, bool]] = {}
    for trial in trials:
        name = trial.entry.architecture, trial.sandboxed, trial.entry.regularizer
        seeds = methods.setdefault(name, {})
        seeds[trial.seed] = seeds.get(trial.seed, True) and trial.key in have
    found = {}
    for architecture in dict.fromkeys(name[0] for name in methods):
        begun: dict[bool, list[int]] = {False: [], True: []}
        for (where, submitted, _), seeds in methods.items():
            if where == architecture and (count := _complete(seeds)):
                begun[submitted].append(count)
        found[architecture] = reached_by_enough(begun[False] or begun[True])
    return found


def reached_by_enough(counts: Sequence[int]) -> int:
    """The most that ENOUGH of them reach; 0 of none."""
    falling = sorted(counts, reverse=True)
    return falling[math.ceil(ENOUGH * len(falling)) - 1] if falling else 0


def _complete(seeds: Mapping[int, bool]) -> int:
    """How many of the first seeds have run, one after the other."""
    return sum(1 for _ in takewhile(seeds.__getitem__, sorted(seeds)))


@dataclass(frozen=True)
class Choice:
    """The λ of a method: over all seeds, and for each seed what the others alone would choose.

    A λ chosen because these seeds did well with it looks better on them than on others: among eight
    λ by half a point where seeds scatter by 1.2 points, by three to five where they scatter by 5.
    So each seed is scored at the λ that the other seeds choose, which owes it nothing: a nested
    selection, for which scikit-learn's would fit the models anew.
    """

    strength: float
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class OnValidation:
    """A method's scores on validation images, at each λ that every seed has them of: what a λ is
    chosen from. A seed that diverged has none.

    strengths: [λ], rising.
    clean, robust: [λ, S], accuracies on clean images and under the headline threat.
    """

    strengths: np.ndarray
    clean: np.ndarray
    robust: np.ndarray

    @classmethod
    def of(cls, track: Track, rows: pd.DataFrame, seeds: int) -> OnValidation:
        """From the rows of one method on one architecture, as `sweep.labelled` gives them.

        Args:
            seeds: how many; the first ones.
        """
        scores = ("clean", "accuracy"), (track.headline, track.headline_metric)
        known = _by_seed(rows[rows["split"] == "validation"], scores)
        strengths = [
            strength
            for strength in sorted({strength for values in known for strength, _ in values})
            if all((strength, seed) in values for values in known for seed in range(seeds))
        ]
        tables = (
            np.array([[values[strength, seed] for seed in range(seeds)] for strength in strengths])
            for values in known
        )
        clean, robust = (table.reshape(len(strengths), seeds) for table in tables)
        return cls(np.array(strengths), clean, robust)

    def best(self, floor: float, seeds: Sequence[int] | None = None) -> float | None:
        """The λ of the best mean robust accuracy among those whose mean clean accuracy is at least
        the floor, of equals the smallest; None where there is none.

        Args:
            seeds: those that the means are over; all by default.
        """
        clean, robust = self.clean, self.robust
        if seeds is not None:
            clean, robust = clean[:, seeds], robust[:, seeds]
        allowed = np.flatnonzero(clean.mean(axis=1) >= floor)
        if not len(allowed):
            return None
        return float(self.strengths[allowed[robust[allowed].mean(axis=1).argmax()]])


def _by_seed(
    rows: pd.DataFrame, scores: Sequence[tuple[str, str]]
) -> list[dict[tuple[float, int], float]]:
    """Of each score, (threat, metric): (λ, seed) → its value, a mean of several samples, without
    those that are not known.
    """
    found: dict[tuple[str, str], dict[tuple[float, int], list[float]]]
    found = {score: {} for score in scores}
    columns = ("lambda", "seed", "threat", "metric", "value")
    for strength, seed, *score, value in zip(*(rows[name].tolist() for name in columns)):
        values = found.get(tuple(score))
        if values is not None and not math.isnan(value):
            values.setdefault((strength, seed), []).append(value)
    return [
        {at: sum(values) / len(values) for at, values in found[score].items()} for score in scores
    ]


def choose(track: Track, rows: pd.DataFrame, seeds: int) -> Choice | None:
    """The λ with the best mean accuracy under the headline threat on validation images, among those
    whose mean clean validation accuracy is at least the track's floor and which no seed diverged
    at. None where there is none.

    Args:
        rows, seeds: as of `OnValidation.of`.
    """
    scores = OnValidation.of(track, rows, seeds)
    strength = scores.best(track.clean_floor)
    if strength is None:
        return None
    by_seed = []
    for seed in range(seeds):
        others = [other for other in range(seeds) if other != seed] or None
        found = scores.best(track.clean_floor, others)
        by_seed.append(strength if found is None else found)
    return Choice(strength, tuple(by_seed))


def unselectable(track: Track, trials: Sequence[Trial], rows: pd.DataFrame) -> int:
    """How many of a method's trials cannot be chosen from: they have neither diverged nor all that
    the track scores on validation images, as where a run that adds a part was interrupted.

    Args:
        rows: of the method, as `sweep.labelled` gives them.
    """
    wanted = {part.id for part in track.evaluation if part.split == "validation"}
    have: dict[str, set[tuple[str, str, int]]] = {}
    for key, *part in zip(
        *(rows[name].tolist() for name in ("key", "threat", "split", "examples"))
    ):
        have.setdefault(key, set()).add(tuple(part))
    chosen_from = {key for key, parts in have.items() if wanted <= parts}
    chosen_from.update(rows.loc[rows["status"] == "diverged", "key"])
    return sum(trial.key not in chosen_from for trial in trials)


def beyond(grid: Sequence[float], end: str) -> float | None:
    """The λ that continues a grid past one of its ends, by the ratio of the two λ there, to two
    digits. None below 0.

    Args:
        grid: rising, of two or more.
        end: "smallest" or "largest".
    """
    last, before = grid[:2] if end == "smallest" else reversed(grid[-2:])
    if last == 0:
        return None
    ratio = last / before if before else 2.0
    return float(f"{last * ratio:.2g}")


def selected_trials(trials: Sequence[Trial], table: pd.DataFrame) -> list[list[Trial]]:
    """For each row of the standings the trials that it is a mean of, one a seed: none where it has
    no λ.
    """
    known: dict[tuple[str, str, float, int], Trial] = {}
    for trial in trials:
        entry = trial.entry
        known[entry.architecture, entry.regularizer, entry.strength, trial.seed] = trial
    if table.empty:
        return []
    rows = table[["architecture", "regularizer", "lambdas"]].itertuples(index=False, name=None)
    found = []
    for architecture, regularizer, lambdas in rows:
        keys = [(architecture, regularizer, *pair) for pair in zip(lambdas, range(len(lambdas)))]
        found.append([known[key] for key in keys])
    return found
