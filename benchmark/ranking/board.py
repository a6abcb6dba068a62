"""The board: standings with ranks as intervals, the worst case, and whose word each row is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import Track, Trial

from ..records.challenges import Accepted, accepted
from ..records.store import Store
from .both_sides import (
    Images,
    certified_at_headline,
    images_under,
    ranking_tiers,
    with_certificates,
    with_gap,
    with_worst_case,
    worst_cases,
)
from .challenges import fell, with_challengers, with_refuted
from .comparison import told_better
from .placement import place
from .selection import selected_trials
from .standings import ordered, standings

CLAIMED = "claimed: nobody else has run it yet; `regbench verify` does"
# Of a method's rows the first of these counts.
SOURCES = ("claimed", "here", "registered", "verified")


def board(
    track: Track, trials: Sequence[Trial], store: Store, scores: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The rows of `regbench rank` and of the leaderboard: `standings` with ranks, the worst case,
    what is certified, who challenged it, and the source.

    Args:
        scores: the store's scores of the trials, where they have been read already.
    """
    if scores is None:
        scores = store.scores({trial.key for trial in trials})
    table = standings(track, trials, scores)
    groups = selected_trials(trials, table)
    keys = {trial.key for group in groups for trial in group}
    correct = store.examples(keys, "correct")
    challenges = _of_these_weights(accepted(), store)
    tiers = ranking_tiers(table)
    worst, fallen = fell(track, worst_cases(track, groups, correct, tiers), challenges)
    table = with_challengers(groups, with_worst_case(groups, table, worst, tiers), fallen)
    table = with_gap(groups, table, worst, of_headline(track, correct))
    certified: Images = {}
    # Else there is nothing to ask for.
    if len(scores) and (scores["metric"] == "certified_accuracy").any():
        certified = certified_at_headline(track, store.examples(keys, "certified"))
    table = with_certificates(groups, table, certified)
    table = with_refuted(track, groups, table, certified, challenges)
    if track.ranking == "worst":
        no_worst = (table["why"] == "") & table["worst"].isna()
        table.loc[no_worst, "why"] = "incomplete: the attacks of the others' tier have not run"
        by, images = "worst", worst
    else:
        by, metric = track.headline, track.headline_metric
        values = correct if metric == "robust_accuracy" else store.examples(keys, metric)
        images = of_headline(track, values)
    if len(table):
        table = ordered(track, table, by)
        groups = selected_trials(trials, table)
    table = with_source(groups, table, store.sources(keys))
    return table if table.empty else with_places(groups, table, images, _means(track, scores))


def _of_these_weights(challenges: Iterable[Accepted], store: Store) -> list[Accepted]:
    """Those of the weights that the rows are of: another training's are another model."""
    found = list(challenges)
    weights = store.weights({one.key for one in found}) if found else {}
    return [one for one in found if weights.get(one.key, one.weights_sha256) == one.weights_sha256]


def with_places(
    groups: Sequence[Sequence[Trial]],
    table: pd.DataFrame,
    images: Images,
    means: Mapping[str, float],
) -> pd.DataFrame:
    """The standings with ranks among the rows that somebody has run or repeated, and with
    `would_be`: the rank, in words, that a claimed row would have beside them and the other claims;
    "" for every other row.

    Args:
        groups, images, means: as for `with_ranks`.
        table: as `with_source` gives it.
    """
    everyone = with_ranks(groups, table, images, means)
    claimed = (table["source"] == "claimed") & everyone["rank"].notna()
    if not claimed.any():
        return everyone.assign(would_be="")
    would_be = [
        place(first, last) if claim else ""
        for first, last, claim in zip(everyone["rank"], everyone["rank_high"], claimed)
    ]
    found = table.assign(why=table["why"].mask(claimed, CLAIMED))
    return with_ranks(groups, found, images, means).assign(would_be=would_be)


def with_ranks(
    groups: Sequence[Sequence[Trial]],
    table: pd.DataFrame,
    images: Images,
    means: Mapping[str, float],
) -> pd.DataFrame:
    """The standings with `rank` and `rank_high` as the best and the worst rank that a method may
    have; neither for a method that cannot be ranked.

    `rank` is one more than the methods told to be better, so that methods that cannot be told apart
    share it, or that of a method of lower mean, whose seeds scatter more, where that is better.
    `rank_high` is the number of ranked methods less those told to be worse.

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
        last[places] = len(places) - better.sum(1)
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
    return images_under(track.headline, examples)


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
