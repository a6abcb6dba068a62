"""The board: standings with ranks as intervals, the worst case, and whose word each row is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import TIER_ATTACKS, Track, Trial

from ..records.challenges import accepted
from ..records.store import Store
from .challenges import fell, with_challengers
from .comparison import told_better
from .selection import selected_trials
from .standings import ordered, standings
from .sweep import sweep

# Of a method's rows the first of these counts.
SOURCES = ("claimed", "here", "registered", "verified")
TIERS = ("quick", *TIER_ATTACKS)  # from the weakest to the strongest
Images = Mapping[str, np.ndarray]  # key of a trial → one value an image


def board(
    track: Track, trials: Sequence[Trial], store: Store, scores: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The rows of `regbench rank` and of the leaderboard: `standings` with ranks, the worst case,
    who challenged it, and the source.

    Args:
        scores: the store's scores of the trials, where they have been read already.
    """
    if scores is None:
        scores = store.scores({trial.key for trial in trials})
    table = standings(track, trials, scores)
    groups = selected_trials(trials, table)
    keys = {trial.key for group in groups for trial in group}
    correct = store.examples(keys, "correct")
    worst, fallen = fell(track, worst_cases(track, groups, correct), accepted())
    table = with_challengers(groups, with_worst_case(groups, table, worst), fallen)
    if track.ranks_by == "worst_case":
        no_worst = (table["why"] == "") & table["worst"].isna()
        table.loc[no_worst, "why"] = "incomplete: the attacks of the others' tier have not run"
        table = ordered(track, table, "worst")
        groups = selected_trials(trials, table)
        images = worst
    else:
        metric = track.headline_metric
        values = correct if metric == "robust_accuracy" else store.examples(keys, metric)
        images = of_headline(track, values)
    ranked = with_ranks(groups, table, images, _means(track, scores))
    return with_source(groups, ranked, store.sources(keys))


def with_ranks(
    groups: Sequence[Sequence[Trial]],
    table: pd.DataFrame,
    images: Images,
    means: Mapping[str, float],
) -> pd.DataFrame:
    """The standings with `rank` and `rank_high` as the best and the worst rank that a method may
    have; neither for a method that cannot be ranked.

    `rank` is one more than the methods told to be better, so that methods that cannot be told apart
    share it; `rank_high` is the number of ranked methods less those told to be worse. Both are
    widened where a method of lower mean, whose seeds scatter more, would have the better rank.

    Args:
        groups: as `selected_trials` gives them.
        table: as `standings` gives it, ordered by what ranks.
        images: what ranks, image by image. Where one ranked model of an architecture has no such
            values, that architecture's methods are compared by seeds alone.
        means: key → what ranks, as a mean over test images.
    """
    if table.empty:
        return table
    first, last = (pd.Series(pd.NA, index=table.index, dtype="Int64") for _ in range(2))
    ranked = table[table["why"] == ""]
    for _, places in ranked.groupby("architecture").groups.items():
        selected = ranked.loc[places, "tried"].to_numpy() > 1
        better = told_better(_values([groups[i] for i in places], images, means), selected)
        # Rows are ordered by their means, the best first.
        first[places] = np.minimum.accumulate((1 + better.sum(0))[::-1])[::-1]
        last[places] = np.maximum.accumulate(len(places) - better.sum(1))
    found = table.copy()
    at = list(found).index("regularizer")
    found.insert(at, "rank", first)
    found.insert(at + 1, "rank_high", last)
    return found


def of_headline(track: Track, examples: pd.DataFrame) -> Images:
    """Per-example values under the headline threat, of several samples the largest.

    Args:
        examples: as the store gives them: key, threat, examples, values.
    """
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
    groups: Sequence[Sequence[Trial]], images: Images, means: Mapping[str, float]
) -> np.ndarray:
    """[M, S, N], seeds in order; [M, S, 1] of the scores where a model has no values per image.
    Images at which a distance is infinite for one model count for none.
    """
    keys = [trial.key for group in groups for trial in group]
    shape = len(groups), len(groups[0]), -1
    shared = min(len(images.get(key, ())) for key in keys)
    if shared:
        values = np.array([images[key][:shared] for key in keys]).reshape(shape)
        values = values[:, :, np.isfinite(values).all(axis=(0, 1))]
        if values.shape[2]:
            return values
    return np.array([means[key] for key in keys]).reshape(shape)


def worst_case(correct: Mapping[str, Sequence[float]]) -> np.ndarray:
    """[N]: whether a model withstands all attacks, on the examples that all have: the first ones.

    Args:
        correct: attack → [N_i], above 0 where the model withstood it.
    Raises:
        ValueError: where there is no attack or no common example.
    """
    shared = min((len(values) for values in correct.values()), default=0)
    if not shared:
        raise ValueError("a worst case needs at least one attack and one example that all share")
    stands = [np.asarray(values[:shared]) > 0 for values in correct.values()]
    return np.all(stands, axis=0).astype(float)


def worst_cases(
    track: Track, groups: Sequence[Sequence[Trial]], examples: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Key → `worst_case` under all attacks within the headline's norm and ε; nothing where the
    headline has no ε.

    Args:
        groups: as `selected_trials` gives them.
        examples: per-example values of "correct", as the store gives them.
    """
    if examples.empty or track.headline_threat.epsilon is None:
        return {}
    asked = {track.with_tiers(trial).evaluation for group in groups for trial in group}
    names = {part.name for parts in asked for part in parts if track.within_headline(part)}
    known: dict[str, dict[str, Sequence[float]]] = {}
    # Of several samples of one attack the largest counts.
    mine = examples[examples["threat"].isin(names)].sort_values("examples")
    for key, threat, values in zip(mine["key"], mine["threat"], mine["values"]):
        known.setdefault(key, {})[threat] = values
    return {key: worst_case(attacks) for key, attacks in known.items()}


def with_worst_case(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, worst: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """The standings with `worst`, `worst_low` and `worst_high`: accuracy under the union of all
    attacks, a mean over seeds and its interval.

    Stronger attacks break more: only rows of an architecture's highest tier have a worst case, so
    that no row leads for having been attacked less.

    Args:
        groups: as `selected_trials` gives them.
        worst: as `worst_cases` gives it.
    """
    if table.empty:
        return table
    level = table["tier"].map({tier: i for i, tier in enumerate(TIERS)})
    highest = level == level.groupby(table["architecture"]).transform("max")
    rows = []
    for i, group in enumerate(groups):
        if not highest[i] or any(trial.key not in worst for trial in group):
            continue
        place = {"architecture": table["architecture"][i], "regularizer": str(i), "lambda": 0.0}
        score = {"threat": "worst", "split": "test", "metric": "robust_accuracy"}
        for trial in group:
            stood = worst[trial.key]
            value = {"value": stood.mean(), "n": len(stood), "status": "finished"}
            rows.append(place | score | value)
    ends = pd.DataFrame(columns=["mean", "low", "high"], index=table.index, dtype=float)
    if rows:
        names = zip(table["architecture"], map(str, table.index), table["tried"])
        selected = {(architecture, row) for architecture, row, tried in names if tried > 1}
        means = sweep(pd.DataFrame(rows), selected)
        ends.loc[means["regularizer"].astype(int), :] = means[["mean", "low", "high"]].to_numpy()
    return table.assign(worst=ends["mean"], worst_low=ends["low"], worst_high=ends["high"])


def with_source(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, known: Mapping[str, str]
) -> pd.DataFrame:
    """The standings with `source`: whose word a method's row is, one of SOURCES; "" where no λ is
    selected.

    Args:
        groups: as `selected_trials` gives them.
        known: as `Store.sources` gives it.
    """
    return table.assign(source=[_source(group, known) for group in groups])


def _source(group: Sequence[Trial], known: Mapping[str, str]) -> str:
    said = {known.get(trial.key) for trial in group}
    return next((name for name in SOURCES if name in said), "")
