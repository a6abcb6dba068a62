"""The board: standings with rank intervals, from a paired bootstrap over seeds and test images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from registry.spec import Track, Trial

from ..records.store import Store
from .standings import selected_trials, standings, with_worst_case

LEVEL = 0.95
REPLICATES = 2000
AT_ONCE = 200  # replicates: bounds the memory that their weights take


def drawn_means(values: np.ndarray) -> np.ndarray:
    """[M, S, REPLICATES]: each seed's mean over images drawn with replacement, alike for all
    methods and seeds.

    The draws are the same in every call.

    Args:
        values: [M, S, N], methods by seeds by images.
    """
    methods, seeds, images = values.shape
    chance, flat = np.random.default_rng(0), values.reshape(methods * seeds, images).astype(float)
    means, first = [], images * np.arange(AT_ONCE)[:, None]
    for _ in range(REPLICATES // AT_ONCE):
        drawn = first + chance.integers(images, size=(AT_ONCE, images))
        counts = np.bincount(drawn.ravel(), minlength=AT_ONCE * images).reshape(AT_ONCE, images)
        means.append(flat @ counts.T.astype(float) / images)
    return np.concatenate(means, axis=1).reshape(methods, seeds, -1)


def drawn_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[REPLICATES]: paired differences of two methods' means, from the variation over images and
    that over seeds.

    Images are drawn with replacement. So few seeds must not be: of three, all are the same way
    round by chance one time in four. Their mean varies as Student's t of their differences instead,
    like the intervals of the scores.

    Args:
        first, second: [S, REPLICATES], as `drawn_means` gives them.
    """
    differences = first - second
    seeds, replicates = differences.shape
    mean = differences.mean(0)
    if seeds < 2:
        return mean
    quantiles = stdtrit(seeds - 1, (np.arange(replicates) + 0.5) / replicates)
    return mean + np.random.default_rng(1).permutation(quantiles) * differences.std(
        0, ddof=1
    ) / math.sqrt(seeds)


def told_better(values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Whose mean is told to be above whose: [M, M] bool, True at (i, j) where the interval of i − j
    lies above 0.

    The interval is between percentiles of `drawn_differences`; pairs are not corrected for their
    number. One seed of one image tells nothing.

    Args:
        values: [M, S, N], methods by seeds by images.
    """
    methods = len(values)
    found = np.zeros((methods, methods), bool)
    if values[0].size < 2:
        return found
    drawn = drawn_means(values)
    for i in range(methods):
        for j in range(i):
            low, high = np.quantile(
                drawn_differences(drawn[i], drawn[j]), ((1 - level) / 2, (1 + level) / 2)
            )
            found[i, j], found[j, i] = low > 0, high < 0
    return found


def difference(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float]:
    """The first method's mean less the second's, and the ends of its interval; NaN ends where one
    value is all there is.

    Args:
        values: [2, S, N], methods by seeds by images.
    """
    first, second = values
    mean = float(first.mean() - second.mean())
    if first.size < 2:
        return mean, math.nan, math.nan
    low, high = np.quantile(
        drawn_differences(*drawn_means(values)), ((1 - level) / 2, (1 + level) / 2)
    )
    return mean, float(low), float(high)


def with_rank_intervals(
    track: Track,
    trials: Sequence[Trial],
    table: pd.DataFrame,
    examples: pd.DataFrame,
    scores: pd.DataFrame,
) -> pd.DataFrame:
    """The standings with `rank` and `rank_high` as the best and the worst rank that a method may
    have.

    `rank` is one more than the methods told to be better, so that methods that cannot be told apart
    share it; `rank_high` is the number of ranked methods less those told to be worse. Both are
    widened where a method of lower mean, whose seeds scatter more, would have the better rank.

    Args:
        table: as `standings` gives it.
        examples: per-example values of the headline's metric, as the store gives them: key, threat,
            examples, values. Where one ranked model of an architecture has none, that
            architecture's methods are compared by seeds alone.
        scores: as the store gives them.
    """
    arrays: dict[str, np.ndarray] = {}
    if len(examples):
        mine = examples[examples["threat"] == track.headline].sort_values(
            "examples"
        )  # of several samples the largest
        arrays = {
            key: np.asarray(values, float) for key, values in zip(mine["key"], mine["values"])
        }
    means: dict[str, float] = {}
    if len(scores):
        mine = scores[
            (scores["threat"] == track.headline)
            & (scores["split"] == "test")
            & (scores["metric"] == track.headline_metric)
        ].sort_values("examples")
        means = dict(zip(mine["key"], mine["value"]))
    groups = selected_trials(track, trials, table)
    high = pd.Series(pd.NA, index=table.index, dtype="Int64")
    rank = high.copy()
    for architecture in track.architectures:
        places = [
            i
            for i in range(len(table))
            if table["architecture"].iloc[i] == architecture and pd.notna(table["rank"].iloc[i])
        ]
        if not places:
            continue
        better = told_better(_values([groups[i] for i in places], arrays, means))
        # Rows are ordered by their means, the best first.
        rank.iloc[places] = np.minimum.accumulate((1 + better.sum(0))[::-1])[::-1]
        high.iloc[places] = np.maximum.accumulate(len(places) - better.sum(1))
    found = table.assign(rank=rank)
    found.insert(list(found).index("rank") + 1, "rank_high", high)
    return found


def _values(
    groups: Sequence[Sequence[Trial]], arrays: Mapping[str, np.ndarray], means: Mapping[str, float]
) -> np.ndarray:
    """[M, S, N], seeds in order; [M, S, 1] of the scores where a model has no values per image.
    Images at which a distance is infinite for one model count for none."""
    keys = [
        [trial.key for trial in sorted(group, key=lambda trial: trial.seed)] for group in groups
    ]
    if all(len(arrays.get(key, ())) for group in keys for key in group):
        shared = min(len(arrays[key]) for group in keys for key in group)
        values = np.array([[arrays[key][:shared] for key in group] for group in keys])
        values = values[:, :, np.isfinite(values).all(axis=(0, 1))]
        if values.shape[2]:
            return values
    return np.array([[[means[key]] for key in group] for group in keys])


SOURCES = (
    "claimed",
    "here",
    "registered",
    "verified",
)  # of a method's rows the first of these counts


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
    return table.assign(
        source=[next((name for name in SOURCES if name in names), "") for names in said]
    )


def board(
    track: Track, trials: Sequence[Trial], store: Store, scores: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The rows of `regbench rank` and of the leaderboard: `standings` with rank intervals, the
    worst case and the source.

    Args:
        scores: the store's scores of the trials, where they have been read already.
    """
    if scores is None:
        scores = store.scores({trial.key for trial in trials})
    table = standings(track, trials, scores)
    groups = selected_trials(track, trials, table)
    keys = {trial.key for group in groups for trial in group}
    correct = store.examples(keys, "correct")
    metric = track.headline_metric
    values = correct if metric == "robust_accuracy" else store.examples(keys, metric)
    found = with_worst_case(
        track, trials, with_rank_intervals(track, trials, table, values, scores), correct
    )
    return with_source(groups, found, store.sources(keys))
