"""The board's rows from both sides: the worst case under all attacks, and what is certified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from registry.spec import TIER_ATTACKS, Radius, Tier, Track, Trial

from .selection import reached_by_enough
from .sweep import sweep

TIERS: tuple[Tier, ...] = ("quick", *TIER_ATTACKS)  # from the weakest to the strongest
WIDE_GAP = 0.02  # between the headline's attack and all together: the row says so
Images = Mapping[str, np.ndarray]  # key of a trial → one value an image


def images_under(name: str, examples: pd.DataFrame) -> Images:
    """Per-example values under a threat or a radius, of several samples the largest."""
    if examples.empty:
        return {}
    mine = examples[examples["threat"] == name].sort_values("examples")
    return {key: np.asarray(values, float) for key, values in zip(mine["key"], mine["values"])}


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


def ranking_tiers(table: pd.DataFrame) -> list[Tier]:
    """Of each row of the standings the tier that its architecture is ranked at: the highest that
    enough of the methods there have, as with seeds (`selection.reached_by_enough`).

    Stronger attacks break more. So the board stands while a run goes through a further tier, in
    which no method is yet attacked for the ranking, and one that lags behind does not hold back
    many.
    """
    if table.empty:
        return []
    levels: dict[str, list[int]] = {}
    for architecture, tier in zip(table["architecture"], table["tier"]):
        its = levels.setdefault(architecture, [])
        if tier:
            its.append(TIERS.index(tier))
    ranked = {name: reached_by_enough(found) for name, found in levels.items()}
    return [TIERS[ranked[architecture]] for architecture in table["architecture"]]


def worst_cases(
    track: Track,
    groups: Sequence[Sequence[Trial]],
    examples: pd.DataFrame,
    tiers: Sequence[Tier],
) -> dict[str, np.ndarray]:
    """Key → `worst_case` under all attacks within the headline's norm and ε, but those of tiers
    above that which ranks; nothing where the headline has no ε.

    Args:
        groups: as `selected_trials` gives them.
        examples: per-example values of "correct", as the store gives them.
        tiers: of each group, as `ranking_tiers` gives them.
    """
    if examples.empty or track.headline_threat.epsilon is None:
        return {}
    # Many trials share one evaluation.
    once = {id(trial.evaluation): trial for group in groups for trial in group}.values()
    asked = [part for trial in track.with_tiers(once) for part in trial.evaluation]
    names = {part.name for part in dict.fromkeys(asked) if track.within_headline(part)}
    beyond = {tier: _beyond(track, tier) for tier in set(tiers)}
    too_high = {trial.key: beyond[tier] for group, tier in zip(groups, tiers) for trial in group}
    known: dict[str, dict[str, Sequence[float]]] = {}
    # Of several samples of one attack the largest counts.
    mine = examples[examples["threat"].isin(names)].sort_values("examples")
    for key, threat, values in zip(mine["key"], mine["threat"], mine["values"]):
        if threat not in too_high.get(key, ()):
            known.setdefault(key, {})[threat] = values
    return {key: worst_case(attacks) for key, attacks in known.items()}


def _beyond(track: Track, tier: Tier) -> set[str]:
    """The attacks that only tiers above this one have."""
    # "autoattack" is as good as "verified".
    higher = () if tier == "verified" else TIERS[TIERS.index(tier) + 1 :]
    parts = [part for each in higher for part in track.tier_parts(each, track.test_examples)]
    return {part.name for part in parts} - {part.name for part in track.evaluation}


def with_worst_case(
    groups: Sequence[Sequence[Trial]],
    table: pd.DataFrame,
    worst: Mapping[str, np.ndarray],
    tiers: Sequence[Tier],
) -> pd.DataFrame:
    """The standings with `worst`, `worst_low` and `worst_high`: accuracy under the union of all
    attacks, a mean over seeds and its interval; and with `worst_images`, on how many.

    A row below the tier that ranks has none, so that it does not lead for having been attacked
    less.

    Args:
        groups: as `selected_trials` gives them.
        worst: as `worst_cases` gives it.
        tiers: of each row, as `ranking_tiers` gives them.
    """
    if table.empty:
        return table
    like = [
        group if own and TIERS.index(own) >= TIERS.index(ranks) else []
        for group, own, ranks in zip(groups, table["tier"], tiers)
    ]
    return table.join(_over_seeds(like, table, worst).add_prefix("worst"))


def with_gap(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, worst: Images, headline: Images
) -> pd.DataFrame:
    """The standings with `gap`: how much of the accuracy under the headline's attack the others
    take away, on the images that all have seen; NaN where there is no worst case.

    Args:
        groups: as `selected_trials` gives them.
        worst: as `worst_cases` gives it.
        headline: as `of_headline` gives it.
    """
    if table.empty:
        return table
    gaps = []
    for group, shown in zip(groups, table["worst"].notna()):
        pairs = [(headline[t.key], worst[t.key]) for t in group if t.key in headline and shown]
        lost = [float(np.mean(stood[: len(left)] - left)) for stood, left in pairs]
        gaps.append(np.mean(lost) if lost else np.nan)
    return table.assign(gap=gaps)


def certified_at_headline(track: Track, examples: pd.DataFrame) -> Images:
    """Which images are proven at the headline's ε.

    Args:
        examples: per-example values of "certified", as the store gives them.
    """
    headline = track.headline_threat
    if headline.epsilon is None:
        return {}
    return images_under(Radius(norm=headline.norm, epsilon=headline.epsilon).id, examples)


def with_certificates(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, certified: Images
) -> pd.DataFrame:
    """The standings with `certified`, `certified_low` and `certified_high`: the share of images
    that are proven at the headline's ε, a mean over seeds and its interval; and with
    `certified_images`, of how many.

    Args:
        groups: as `selected_trials` gives them.
        certified: as `certified_at_headline` gives it.
    """
    if table.empty:
        return table
    return table.join(_over_seeds(groups, table, certified).add_prefix("certified"))


def _over_seeds(
    groups: Sequence[Sequence[Trial]], table: pd.DataFrame, images: Images
) -> pd.DataFrame:
    """Of each row "", "_low" and "_high": the mean over seeds of what its trials have per image, as
    a share, and its interval; "_images": of how many, at least. NaN where a trial has nothing.
    """
    rows = []
    ends = pd.DataFrame(columns=["", "_low", "_high", "_images"], index=table.index, dtype=float)
    for i, group in enumerate(groups):
        if not group or any(trial.key not in images for trial in group):
            continue
        place = {"architecture": table["architecture"][i], "regularizer": str(i), "lambda": 0.0}
        score = {"threat": "", "split": "test", "metric": "robust_accuracy"}
        for trial in group:
            values = images[trial.key]
            value = {"value": values.mean(), "n": len(values), "status": "finished"}
            rows.append(place | score | value)
        ends.loc[i, "_images"] = min(len(images[trial.key]) for trial in group)
    if rows:
        names = zip(table["architecture"], map(str, table.index), table["tried"])
        selected = {(architecture, row) for architecture, row, tried in names if tried > 1}
        means = sweep(pd.DataFrame(rows), selected)
        found = means[["mean", "low", "high"]].to_numpy()
        ends.loc[means["regularizer"].astype(int), ["", "_low", "_high"]] = found
    return ends
