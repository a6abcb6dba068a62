"""Whether a registered row came out again: exactly, within what rounding does, or not at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..records.outcome import Outcome
from ..records.reports import Compared
from .rounding import RESOLUTION, Name, Spread, judged, name_of

# In spreads of rounding. Three runs give a spread; where rounding is all, the scores of two runs
# are further apart than this in 2 % of cases, and in 2 in a thousand when two trials give it.
TOLERANCE = 10.0
# What decides the last bits; all alike is the same device.
MACHINE = (
    "device_name",
    "trained_on",
    "processor",
    "vector_extensions",
    "cpu_capability",
    "threads",
    "blas",
    "onednn",
    "torch",
    "numpy",
    "timm",
    "pyautoattack",
    "data_sha256",
)


def at_first_sight(registered: Outcome, fresh: Outcome) -> Compared | None:
    """The verdict on a row where that asks for no knowledge of rounding: it is the same to the last
    bit, or to the last digits that float32 has, or nothing excuses that it is not. None elsewhere.
    """
    row = _row(registered)
    if fresh.status == "failed":
        return Compared(**row, verdict="drifted", why=f"failed: {fresh.error}")
    again = {name_of(score): score.value for score in fresh.scores}
    scores = registered.scores if fresh.status == registered.status else ()
    for score in scores:
        if name_of(score) not in again:
            name = " ".join(map(str, name_of(score)))
            return Compared(**row, verdict="drifted", why=f"no score of {name}")
    changed = [score for score in scores if not _same(score.value, again[name_of(score)])]
    if fresh.status == registered.status and not changed:
        return Compared(**row, verdict="exact")
    where = elsewhere(registered, fresh)
    if not where:
        told = _moved(registered, fresh) or (
            f"{changed[0].metric} under {changed[0].threat} differs in its last bits"
        )
        why = f"{told}, though device and versions are the same"
        return Compared(**row, verdict="drifted", why=why)
    alike = fresh.status == registered.status and all(
        _same(score.value, again[name])
        or (
            score.metric == "relative_distance"
            and math.isclose(score.value, again[name], rel_tol=10 * RESOLUTION)
        )
        for name, score in judged(registered).items()
    )
    if alike:
        why = f"test scores are the same to five digits ({where})"
        return Compared(**row, verdict="within rounding", drift=0.0, why=why)
    return None


def by_spread(
    registered: Outcome, fresh: Outcome, spread: Spread, twins: Sequence[Outcome]
) -> Compared:
    """The verdict on a row by what rounding does to its scores, or to whether it diverges.

    Args:
        spread: of the scores of its entry.
        twins: this very trial, run with its last bits perturbed; none where it was not.
    """
    row, where = _row(registered), elsewhere(registered, fresh)
    if fresh.status != registered.status:
        either = any(twin.status == registered.status for twin in twins)
        told = _moved(registered, fresh)
        if either:
            told += ", as its last bits will have it"
        verdict = "within rounding" if either else "drifted"
        return Compared(**row, verdict=verdict, why=f"{told} ({where})")
    drifts = drifts_of(registered, fresh, spread)
    name = max(drifts, key=lambda name: drifts[name])
    of_rounding = spread.at(judged(registered)[name])
    told = (
        f"{_moved(registered, fresh, name)}, {drifts[name]:.2g} times the spread of rounding, "
        f"{of_rounding:.2g}"
    )
    within = drifts[name] <= TOLERANCE
    if not within and not twins:
        told += "; it could not be run with perturbed last bits"
    return Compared(
        **row,
        verdict="within rounding" if within else "drifted",
        drift=drifts[name],
        spread=of_rounding,
        why=f"{told} ({where})",
    )


def drifts_of(registered: Outcome, fresh: Outcome, spread: Spread) -> dict[Name, float]:
    """Of each judged score how far it moved, in spreads; infinite where it is no number now."""
    again, found = judged(fresh), {}
    for name, score in judged(registered).items():
        value = again[name].value
        away = 0.0 if _same(score.value, value) else abs(value - score.value) / spread.at(score)
        found[name] = math.inf if math.isnan(away) else away
    return found


def elsewhere(registered: Outcome, fresh: Outcome) -> str:
    """Why the last bits may differ; "" where they may not."""
    then, now = registered.provenance, fresh.provenance
    found = [] if "processor" in then else ["registered without the processor's name"]
    for name in MACHINE:
        if name not in then or then[name] == now.get(name):
            continue
        if name == "vector_extensions":
            found.append("other vector extensions")
        else:
            found.append(f"{name} {now.get(name)} instead of {then[name]}")
    if not now.get("deterministic", False):
        found.append("a GPU repeats no run bit by bit")
    return "; ".join(found)


def _row(registered: Outcome) -> dict[str, Any]:
    return {"key": registered.key, "seed": registered.seed, "entry": registered.entry_id}


def _moved(registered: Outcome, fresh: Outcome, name: Name | None = None) -> str:
    """What became of a score, or else of the status or of the score that moved furthest; "" where
    no judged one did.
    """
    if fresh.status != registered.status:
        return f"{fresh.status} instead of {registered.status}"
    drifts = drifts_of(registered, fresh, Spread())
    if name is None:
        name = max(drifts, key=lambda name: drifts[name], default=None)
    if name is None or not drifts[name]:
        return ""
    before, now = judged(registered)[name], judged(fresh)[name]
    return f"{before.metric} under {before.threat} {now.value:.4g} instead of {before.value:.4g}"


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
