"""The board: standings with ranks as intervals, the worst case, and whose word each row is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import Track, Trial

from ..records.store import Store
from .bootstrap import told_better
from .selection import selected_trials
from .standings import half_width, standings

# Of a method's rows the first of these counts.
SOURCES = ("claimed", "here", "registered", "verified")


def board(
    track: Track, trials: Sequence[Trial], store: Store, scores: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The rows of `regbench rank` and of the leaderboard: `standings` with ranks, the worst case
    and the source.

    Args:
        scores: the store's scores of the trials, where they have been read already.
    """
    if scores is None:
        scores = store.scores({trial.key for trial in trials})
    table = standings(track, trials, scores)
    groups = selected_trials(trials, table)
    keys = {trial.key for group in groups for trial in group}
    correct = store.examples(keys, "correct")
    metric = track.headline_metric
    values = correct if metric == "robust_accuracy" else store.examples(keys, metric)
    ranked = with_ranks(track, groups, table, values, scores)
    return with_source(groups, with_worst_case(track, groups, ranked, correct), store.sources(keys))


def with_ranks(
    track: Track,
    groups: Sequence[Sequence[Trial]],
    table: pd.DataFrame,
    examples: pd.DataFrame,
    scores: pd.DataFrame,
) -> pd.DataFrame:
    """The standings with `rank` and `rank_high` as the best and the worst rank that a method may
    have; neither for a method that cannot be ranked.

    `rank` is one more than the methods told to be better, so that methods that cannot be told apart
    share it; `rank_high` is the number of ranked methods less those told to be worse. Both are
    widened where a method of lower mean, whose seeds scatter more, would have the better rank.

    Args:
        groups: as `selected_trials` gives them.
        table: as `standings` gives it.
        examples: per-example values of the headline's metric, as the store gives them: key, threat,
            examples, values. Where one ranked model of an architecture has none, that
            architecture's methods are compared by seeds alone.
        scores: as the store gives them.
    """
    if table.empty:
        return table
    arrays = _arrays(track, examples)
    means = _means(track, scores)
    first, last = (pd.Series(pd.NA, index=table.index, dtype="Int64") for _ in range(2))
    ranked = table[table["why"] == ""]
    for _, places in ranked.groupby("architecture").groups.items():
        better = told_better(_values([groups[i] for i in places], arrays, means))
        # Rows are ordered by their means, the best first.
        first[places] = np.minimum.accumulate((1 + better.sum(0))[::-1])[::-1]
        last[places] = np.maximum.accumulate(len(places) - better.sum(1))
    found = table.copy()
    at = list(found).index("regularizer")
    found.insert(at, "rank", first)
    found.insert(at + 1, "rank_high", last)
    return found


def _arrays(track: Track, examples: pd.DataFrame) -> dict[str, np.ndarray]:
    """Key → per-example values under the headline threat, of several samples the largest."""
    if examples.empty:
        return {}
    mine = examples[examples["threat"] == track.headline].sort_values("examples")
    return {key: np.asarray(values, float) for key, values in zip(mine["key"], mine["values"])}


def _means(track: Track, scores: pd.DataFrame) -> dict[str, float]:
    """Key → mean on test images under the headline threat, of several samples the largest."""
    if scores.empty:
        return {}
    mine = scores[
        (scores["threat"] == track.headline)
        & (scores["split"] == "test")
        & (scores["metric"] == track.headline_metric)
    ].sort_values("examples")
    return dict(zip(mine["key"], mine["value"]))


def _values(
    groups: Sequence[Sequence[Trial]], arrays: Mapping[str, np.ndarray], means: Mapping[str, float]
) -> np.ndarray:
    """[M, S, N], seeds in order; [M, S, 1] of the scores where a model has no values per image.
    Images at which a distance is infinite for one model count for none.
    """
    keys = [[trial.key for trial in sorted(group, key=lambda t: t.seed)] for group in groups]
    shared = min(len(arrays.get(key, ())) for group in keys for key in group)
    if shared:
        values = np.array([[arrays[key][:shared] for key in group] for group in keys])
        values = values[:, :, np.isfinite(values).all(axis=(0, 1))]
        if values.shape[2]:
            return values
    return np.array([[[means[key]] for key in group] for group in keys])


def worst_case(correct: Mapping[str, Sequence[float]]) -> float:
    """Accuracy under the union of all attacks, on the examples that all have: the first ones.

    Args:
        correct: attack → [N_i], above 0 where the model withstood it.
    Raises:
        ValueError: where there is no attack or no common example.
    """
    shared = min((len(values) for values in correct.values()), default=0)
    if not shared:
        raise ValueError("a worst case needs at least one attack and one example that all share")
    stands = [np.asarray(values[:shared]) > 0 for values in correct.values()]
    return float(np.all(stands, axis=0).mean())


def with_worst_case(
    track: Track, groups: Sequence[Sequence[Trial]], table: pd.DataFrame, examples: pd.DataFrame
) -> pd.DataFrame:
    """The standings with `worst` and `worst_half_width`: accuracy under the union of all attacks
    within the headline's norm and ε, on the test images that they share; NaN where one of a row's
    models has none.

    Args:
        groups: as `selected_trials` gives them.
        table: as `standings` gives it.
        examples: per-example values of "correct", as the store gives them: key, threat, examples,
            values.
    """
    attacks = _attacks(track, groups, examples)
    found = [_mean_worst_case(group, attacks) for group in groups]
    return table.assign(
        worst=[mean for mean, _ in found], worst_half_width=[width for _, width in found]
    )


def _attacks(
    track: Track, groups: Sequence[Sequence[Trial]], examples: pd.DataFrame
) -> dict[str, dict[str, Sequence[float]]]:
    """Key → attack within the headline's norm and ε → its values, of several samples the largest;
    nothing where the headline has no ε.
    """
    if examples.empty or track.headline_threat.epsilon is None:
        return {}
    asked = {track.with_tiers(trial).evaluation for group in groups for trial in group}
    names = {part.name for parts in asked for part in parts if track.within_headline(part)}
    known: dict[str, dict[str, Sequence[float]]] = {}
    mine = examples[examples["threat"].isin(names)].sort_values("examples")
    for key, threat, values in zip(mine["key"], mine["threat"], mine["values"]):
        known.setdefault(key, {})[threat] = values
    return known


def _mean_worst_case(
    group: Sequence[Trial], attacks: Mapping[str, Mapping[str, Sequence[float]]]
) -> tuple[float, float]:
    """Mean and half width over a row's seeds."""
    if not group or any(trial.key not in attacks for trial in group):
        return math.nan, math.nan
    worst = pd.Series([worst_case(attacks[trial.key]) for trial in group])
    return float(worst.mean()), half_width(worst)


def with_source(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, known: Mapping[str, str]
) -> pd.DataFrame:
    """The standings with `source`: whose word a method's row is, one of SOURCES; "" where no λ is
    selected.

    Args:
        groups: as `selected_trials` gives them.
        known: as `Store.sources` gives it.
    """
    said = [{known[trial.key] for trial in group if trial.key in known} for group in groups]
    sources = [next((name for name in SOURCES if name in names), "") for names in said]
    return table.assign(source=sources)
