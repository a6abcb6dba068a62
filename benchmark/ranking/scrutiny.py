"""How closely a method's selected trials were looked at: the tier of their attacks, and the honesty
flags that they raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import pandas as pd

from registry.spec import TIER_ATTACKS, Part, Tier, Track, Trial

from ..records.flags import CHECKS, check_scores


def tier_of(track: Track, trials: Sequence[Trial], rows: pd.DataFrame) -> Tier | Literal[""]:
    """The highest tier whose part every one of `trials` has, above the track's own evaluation,
    which is "quick"; "" where that is not complete.

    Args:
        rows: as `sweep.labelled` gives them.
    """
    have = set(rows[["key", "threat", "split", "examples"]].itertuples(index=False, name=None))

    def complete(wanted: Callable[[Trial], Iterable[Part]]) -> bool:
        asked = ((trial.key, *part.id) for trial in trials for part in wanted(trial))
        return bool(trials) and all(part in have for part in asked)

    if not complete(lambda trial: track.evaluation):
        return ""
    if track.headline_threat.epsilon is None:
        return "quick"
    tier: Tier = "quick"
    for higher in TIER_ATTACKS:
        if complete(lambda trial, tier=higher: track.tier_parts(tier, trial.dataset.test_size)):
            tier = higher
    return "verified" if tier == "autoattack" else tier


def raised(trials: Sequence[Trial], rows: pd.DataFrame) -> dict[str, list[float]]:
    """Flag → its value in each of `trials` that it is raised in, by the alphabet: those stored with
    scores, and those of scores together.

    Args:
        rows: as `sweep.labelled` gives them.
    """
    # a control stands there once for each name
    by_key = dict(tuple(rows[rows["metric"].notna()].groupby("key")))
    found: dict[str, list[float]] = {}
    for trial in trials:
        for flag, value in _raised_in(trial, by_key.get(trial.key, rows.head(0))).items():
            found.setdefault(flag, []).append(float(value))
    return dict(sorted(found.items()))  # a database gives its rows in no order


def _raised_in(trial: Trial, scores: pd.DataFrame) -> dict[str, float]:
    values = {}
    for flags, value in zip(scores["flags"], scores["value"]):
        values |= dict.fromkeys(flags, value)
    accurate = scores[scores["metric"].isin(["accuracy", "robust_accuracy"])]
    ids = accurate[["threat", "split", "examples"]].itertuples(index=False, name=None)
    together = check_scores(trial.evaluation, dict(zip(ids, accurate["value"])))
    return values | {
        check: value for check, value in together.items() if value > CHECKS[check].limit
    }


def told(found: dict[str, list[float]], seeds: int) -> str:
    """The flags that `raised` found, in words.

    A flag of another version's check, which CHECKS lacks, goes by its name.
    """
    lines = []
    for flag, values in found.items():
        words = CHECKS[flag].tell(max(values)) if flag in CHECKS else flag
        lines.append(f"{words} ({len(values)} of {seeds} seeds)")
    return "; ".join(lines)
