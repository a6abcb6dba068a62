"""What a ranking rests on: how many seeds, and which λ, chosen on validation images only."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from registry.spec import Track, Trial


def seeds_ranked(trials: Sequence[Trial], rows: pd.DataFrame) -> int:
    """How many seeds the ranking rests on: the most, counted from 0, that most of the methods that
    have run have in full.

    So the board stands while a run goes through a further seed, and a method that lags behind does
    not hold back many.

    Args:
        rows: as `standings.labelled` gives them.
    """
    have = set(rows["key"])
    methods: dict[tuple[str, str], dict[int, bool]] = {}
    for trial in trials:
        seeds = methods.setdefault((trial.entry.architecture, trial.entry.regularizer), {})
        seeds[trial.seed] = seeds.get(trial.seed, True) and trial.key in have
    complete = [
        next((n for n, seed in enumerate(sorted(seeds)) if not seeds[seed]), len(seeds))
        for seeds in methods.values()
    ]
    begun = sorted((n for n in complete if n), reverse=True)
    return begun[len(begun) // 2] if begun else 0


def select_lambda(track: Track, method: pd.DataFrame, seeds: int) -> float | None:
    """The λ with the best mean accuracy under the headline threat on validation images, among those
    whose mean clean validation accuracy is at least the track's floor and which no seed diverged
    at. None where there is none.

    Args:
        method: the `standings.sweep` rows of one method on one architecture.
    """
    validation = method[(method["split"] == "validation") & (method["seeds"] >= seeds)]
    is_clean = (validation["threat"] == "clean") & (validation["metric"] == "accuracy")
    is_headline = (validation["threat"] == track.headline) & (
        validation["metric"] == track.headline_metric
    )
    clean = validation[is_clean].set_index("lambda")["mean"]
    robust = validation[is_headline].set_index("lambda")["mean"]
    allowed = robust[robust.index.isin(clean.index[clean >= track.clean_floor])]
    best = sorted(zip((-allowed).tolist(), allowed.index.tolist()))  # of equals the smallest λ
    return best[0][1] if best else None


def selected_trials(trials: Sequence[Trial], table: pd.DataFrame) -> list[list[Trial]]:
    """For each row of the standings the trials that it is a mean of: none where it has no λ."""
    methods: dict[tuple[str, str, float], list[Trial]] = {}
    for trial in trials:
        entry = trial.entry
        name = entry.architecture, entry.regularizer, entry.strength
        methods.setdefault(name, []).append(trial)
    if table.empty:
        return []
    rows = table[["architecture", "regularizer", "lambda", "seeds"]].itertuples(
        index=False, name=None
    )
    return [
        [trial for trial in methods.get(tuple(name), ()) if trial.seed < seeds]
        for *name, seeds in rows
    ]
