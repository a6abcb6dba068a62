"""How closely a method's selected trials were looked at: the tier of their attacks, and the honesty
flags that they raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import pandas as pd

from registry.spec import TIER_ATTACKS, Part, Tier, Track, Trial

from ..records.flags import CHECKS, check_scores
from .sweep import SHARES


def tier_of(track: Track, trials: Sequence[Trial], rows: pd.DataFrame) -> Tier | Literal[""]:
    """The highest tier whose part every one of `trials` has, above the track's own evaluation,
    which is "quick"; "" where that is not complete.

    Args:
        rows: as `sweep.labelled` gives them.
    """
    have = set(zip(*(rows[name].tolist() for name in ("key", "threat", "split", "examples"))))

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
    scores, found = _by_key(rows), {}
    for trial in trials:
        for flag, value in _raised_in(trial, scores.get(trial.key, ())).items():
            found.setdefault(flag, []).append(float(value))
    return dict(sorted(found.items()))  # a database gives its rows in no order


def raised_at(
    trials: Sequence[Trial], rows: pd.DataFrame
) -> dict[tuple[str, str, float], list[str]]:
    """(architecture, regularizer, λ) → the flags that one of the trials there raises, by the
    alphabet; without those that raise none.

    Args:
        rows: as of `raised`.
    """
    scores = _by_key(rows)
    found: dict[tuple[str, str, float], set[str]] = {}
    for trial in trials:
        if flags := _raised_in(trial, scores.get(trial.key, ())):
            at = trial.entry.architecture, trial.entry.regularizer, trial.entry.strength
            found.setdefault(at, set()).update(flags)
    return {at: sorted(flags) for at, flags in found.items()}


def _by_key(rows: pd.DataFrame) -> dict[str, list[tuple[Any, ...]]]:
    """Key → threat, split, examples, metric, value and flags of each score."""
    scored = rows[rows["metric"].notna()]
    columns = ("key", "threat", "split", "examples", "metric", "value", "flags")
    found: dict[str, list[tuple[Any, ...]]] = {}
    for key, *score in zip(*(scored[column].tolist() for column in columns)):
        found.setdefault(key, []).append(tuple(score))
    return found


def _raised_in(trial: Trial, scores: Iterable[tuple[Any, ...]]) -> dict[str, float]:
    """Of one trial.

    Args:
        scores: as `_by_key` gives them.
    """
    values: dict[str, float] = {}
    accuracies: dict[tuple[str, str, int], float] = {}
    for *part, metric, value, flags in scores:
        values |= {flag: max(value, values.get(flag, value)) for flag in flags}
        if metric in SHARES:
            threat, split, examples = part
            accuracies[threat, split, examples] = value
    together = check_scores(trial.evaluation, accuracies)
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
