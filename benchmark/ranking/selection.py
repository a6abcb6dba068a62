"""What a ranking rests on: how many seeds, and which λ, chosen on validation images only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

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


def choose(track: Track, rows: pd.DataFrame, seeds: int) -> Choice | None:
    """The λ with the best mean accuracy under the headline threat on validation images, among those
    whose mean clean validation accuracy is at least the track's floor and which no seed diverged
    at. None where there is none.

    Args:
        rows: as `sweep.labelled` gives them, of one method on one architecture.
        seeds: how many; the first ones.
    """
    clean = _by_seed(rows, "clean", "accuracy")
    robust = _by_seed(rows, track.headline, track.headline_metric)
    both = clean.index.intersection(robust.index)
    wanted = list(range(seeds))
    tables = [table.reindex(index=both, columns=wanted) for table in (clean, robust)]
    whole = tables[0].notna().all(axis=1) & tables[1].notna().all(axis=1)
    clean, robust = (table[whole] for table in tables)
    strength = _best(track, clean, robust, wanted)
    if strength is None:
        return None
    by_seed = []
    for seed in wanted:
        others = [other for other in wanted if other != seed] or wanted
        found = _best(track, clean, robust, others)
        by_seed.append(strength if found is None else found)
    return Choice(strength, tuple(by_seed))


def _by_seed(rows: pd.DataFrame, threat: str, metric: str) -> pd.DataFrame:
    """λ × seed, on validation images."""
    mine = rows[
        (rows["split"] == "validation") & (rows["threat"] == threat) & (rows["metric"] == metric)
    ]
    return mine.groupby(["lambda", "seed"])["value"].mean().unstack()


def _best(
    track: Track, clean: pd.DataFrame, robust: pd.DataFrame, seeds: Iterable[int]
) -> float | None:
    """Of equals the smallest λ."""
    mine = list(seeds)
    allowed = robust.loc[clean[mine].mean(axis=1) >= track.clean_floor, mine].mean(axis=1)
    return None if allowed.empty else float(allowed.index[int(allowed.to_numpy().argmax())])


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
