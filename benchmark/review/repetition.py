"""Whether a repetition of a submission's trials gave what was claimed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from ..records.outcome import Outcome

# How far a repetition on another machine may lie from a claim: shares and relative distances are
# means over an entry's seeds.
TOLERANCE = 0.03
RELATIVE_TOLERANCE = 0.1
SHARES = ("accuracy", "robust_accuracy", "success")  # metrics that count examples
DIVERGED = "diverged"  # in place of a metric


def differences(claimed: Iterable[Outcome], found: Iterable[Outcome]) -> list[str]:
    """How a repetition differs from what was claimed beyond TOLERANCE, an entry's mean over seeds
    at a time.

    Of parts that no repeated trial has, a higher tier's, nothing is said: they are not verified.
    """
    found = list(found)
    here, there = _means(found), _means(claimed)
    repeated = {(score.threat, score.split) for outcome in found for score in outcome.scores}
    told = []
    for (entry, threat, split, metric), value in there.items():
        if metric != DIVERGED and (threat, split) not in repeated:
            continue
        other = here.get((entry, threat, split, metric), math.nan)
        if not _differ(metric, value, other):
            continue
        what = f"{metric} under {threat} on {split} images"
        if metric == DIVERGED:
            what = "share of diverged trials"
        told.append(f"{entry}: {what} is {other:.4g}, claimed was {value:.4g}")
    return told


def _differ(metric: str, claimed: float, found: float) -> bool:
    """By more than is allowed; NaN, of what was not found, does. Other metrics are not compared."""
    if metric == DIVERGED:
        return found != claimed
    if metric in SHARES:
        return not abs(claimed - found) <= TOLERANCE
    if metric == "relative_distance":
        return not abs(claimed - found) <= RELATIVE_TOLERANCE * max(abs(claimed), abs(found))
    return False


def _means(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str, str], float]:
    values: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for outcome in outcomes:
        values[outcome.entry_id, "", "", DIVERGED].append(float(outcome.status == "diverged"))
        for score in outcome.scores:
            values[outcome.entry_id, score.threat, score.split, score.metric].append(score.value)
    return {name: sum(found) / len(found) for name, found in values.items()}
