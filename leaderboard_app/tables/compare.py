"""Two methods on the same seeds and the same images: paired differences with intervals. Pure
functions of tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from benchmark.ranking.both_sides import Images, ranking_tiers, worst_cases
from benchmark.ranking.challenges import fell
from benchmark.ranking.comparison import difference
from benchmark.ranking.placement import place
from benchmark.records.challenges import accepted
from registry.spec import Track, Trial

from ..words import labels as words
from ..words.labels import columns_of, distances_of, percent
from ..words.style import Style
from .leaderboard import WORST


def stack(
    first: Mapping[int, str], second: Mapping[int, str], examples: pd.DataFrame
) -> tuple[list[int], np.ndarray]:
    """The seeds that both have, and their values [2, S, N] on the first images, those that all of
    them have.

    Args:
        first: seed → key, of the one method's trials.
        second: the same of the other's.
        examples: columns key, values.
    """
    known = {
        key: np.asarray(values, float)
        for key, values in zip(examples["key"], examples["values"])
        if len(values)
    }
    seeds = sorted(
        seed
        for seed in first.keys() & second.keys()
        if first[seed] in known and second[seed] in known
    )
    if not seeds:
        return [], np.empty((2, 0, 0))
    arrays = [[known[method[seed]] for seed in seeds] for method in (first, second)]
    shared = min(len(values) for method in arrays for values in method)
    return seeds, np.array([[values[:shared] for values in method] for method in arrays])


def scored(
    first: Mapping[int, str],
    second: Mapping[int, str],
    scores: pd.DataFrame,
    examples: pd.DataFrame,
) -> tuple[list[int], np.ndarray]:
    """The seeds that both have a score of, and the values [2, S, N] whose means are those scores:
    per image where every image of the score is stored for all of them, else the scores themselves,
    N = 1.

    Args:
        first, second: as `stack` takes them.
        scores: columns key, value, n (how many images it is a mean of).
        examples: columns key, values.
    """
    known = dict(zip(scores["key"], zip(scores["value"].astype(float), scores["n"])))
    seeds = sorted(
        seed for seed in first.keys() & second.keys() if {first[seed], second[seed]} <= known.keys()
    )
    keys = [[method[seed] for seed in seeds] for method in (first, second)]
    means = np.array([[[known[key][0]] for key in mine] for mine in keys]).reshape(2, -1, 1)
    images = {known[key][1] for mine in keys for key in mine}
    paired, values = stack(first, second, examples)
    whole = paired == seeds and images == {values.shape[2]} and np.isfinite(values).all()
    if whole and np.allclose(values.mean(2), means[:, :, 0], atol=1e-6):
        return seeds, values
    return seeds, means


def worst_images(
    track: Track,
    groups: Sequence[Sequence[Trial]],
    standings: pd.DataFrame,
    correct: pd.DataFrame,
) -> Images:
    """Key → which images the model withstands all attacks on, as its place on the board has it.

    Args:
        groups: of each row of the standings the trials that it rests on.
        correct: per-example values of "correct" of some of these trials: key, threat, values, one
            sample an attack.
    """
    tiers = ranking_tiers(standings)
    found = worst_cases(track, groups, correct.assign(examples=0), tiers)
    return fell(track, found, accepted())[0]


def every_score(
    track: Track,
    rows: pd.DataFrame,
    first: Mapping[int, str],
    second: Mapping[int, str],
    examples: Mapping[str, pd.DataFrame],
    worst: Images = MappingProxyType({}),
    selected: np.ndarray | None = None,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """What the leaderboard shows of both: one row a score (Score, its heading; column; and those of
    `row`), and the values [2, S, N] of the scores that are stored per image, infinite where an
    attack found no adversarial image.

    Args:
        rows: as `benchmark.ranking.sweep.labelled` gives them.
        first, second: as `stack` takes them.
        examples: "correct" and "relative_distance" → per-example values: key, threat, values.
        worst: as `worst_images` gives it, where both are at the λ that the board has.
        selected: as of `row`.
    """
    test = rows[rows["split"] == "test"]
    shown = test[test["metric"].isin(["accuracy", "robust_accuracy", "relative_distance"])]
    distances, table, values_of = distances_of(track), [], {}
    stands = pd.DataFrame({"key": list(worst), "values": list(worst.values())})
    seeds, values = stack(first, second, stands)
    if seeds:
        table.append({"Score": WORST, "column": "worst"} | row(values, selected))
        values_of["worst"] = values
    for column, heading in columns_of(track).items():
        found = examples["relative_distance" if column in distances else "correct"]
        mine = found[found["threat"] == column]
        seeds, values = scored(first, second, shown[shown["threat"] == column], mine)
        if seeds:
            table.append({"Score": heading, "column": column} | row(values, selected))
            each = stack(first, second, mine)[1]
            if finite(each).size:
                values_of[column] = each
    return pd.DataFrame(table), values_of


def unbroken(distances: pd.DataFrame) -> set[str]:
    """The attacks that found no adversarial image for some image, whose distance is infinite.

    Args:
        distances: per-example values: columns threat, values.
    """
    pairs = zip(distances["threat"], distances["values"])
    return {threat for threat, values in pairs if np.isinf(np.asarray(values, float)).any()}


def selected(standing: Mapping[Any, Any]) -> str:
    """The λ that the leaderboard selects for a row of the standings; "" where it selects none."""
    return f"{standing['lambda']:g}" if pd.notna(standing["lambda"]) else ""


def by_others(standings: Sequence[Mapping[Any, Any]], ranked: Sequence[bool]) -> np.ndarray:
    """Of each method whether each of its seeds is at the λ that the others choose, as the board
    has it: of one that is compared as it is ranked, and of which several λ have been tried.
    """
    pairs = zip(standings, ranked)
    return np.array([is_ranked and standing["tried"] > 1 for standing, is_ranked in pairs])


def facts(standing: Mapping[Any, Any], strength: float, style: Style) -> dict[str, str]:
    """What the leaderboard says of a method, where it is at the λ that is compared."""
    ranked = standing["lambda"] == strength
    return {
        "Strength": style.strength(strength),
        "Rank": place(standing["rank"], standing["rank_high"]) if ranked else "–",
        WORST: percent(standing["worst"]) or "–" if ranked else "–",
        "Cost ×": f"{standing['cost']:.1f}" if np.isfinite(standing["cost"]) else "–",
        "Tier": standing["tier"] or "–" if ranked else "–",
        "Flags": standing["flags"] or "none" if ranked else "–",
    }


def side_by_side(
    names: Sequence[str], facts: Sequence[Mapping[str, str]], differences: pd.DataFrame
) -> pd.DataFrame:
    """A column a method: its facts, its scores and the paired seeds; the last column is their
    difference.

    Args:
        differences: as `every_score` gives them.
    """
    scored = set(differences["Score"])  # the worst case is a fact where it is no score of both
    facts = [{name: told for name, told in fact.items() if name not in scored} for fact in facts]
    table: dict[str, list[str]] = {"Quantity": [*facts[0], *differences["Score"], "Paired seeds"]}
    seeds = str(int(differences["seeds"].max()))
    for name, fact, side in zip(names, facts, ("first", "second")):
        scores = [percent(value) for value in differences[side]]
        table[name] = [*fact.values(), *scores, seeds]
    ends = differences[["difference", "low", "high"]].to_numpy()
    gaps = [words.difference(*row) for row in ends]
    table["Difference"] = [*("" for _ in facts[0]), *gaps, ""]
    return pd.DataFrame(table)


def finite(values: np.ndarray) -> np.ndarray:
    """[2, S, N] without the images at which any value is not finite."""
    return values[:, :, np.isfinite(values).all(axis=(0, 1))]


def row(values: np.ndarray, selected: np.ndarray | None = None) -> dict[str, float | int]:
    """first, second (means), difference with the ends low and high of its 95 % interval, seeds and
    images. Where no pair differs from another there is no interval: nine images say nothing of how
    certain +0 is.

    Two shares differ by at most 1, and so do two relative distances of an attack that ends at a
    grey image: the interval ends there, however few the seeds.

    Args:
        values: [2, S, N].
        selected: [2], as the board has it: whether each of a method's seeds is at the λ that the
            others choose.
    """
    mean, low, high = difference(values, selected)
    if low == high:
        low = high = np.nan
    return {
        "first": float(values[0].mean()),
        "second": float(values[1].mean()),
        "difference": mean,
        "low": max(low, -1.0) if np.isfinite(low) else low,
        "high": min(high, 1.0) if np.isfinite(high) else high,
        "seeds": values.shape[1],
        "images": values.shape[2],
    }
