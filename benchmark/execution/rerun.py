"""Registered rows run afresh and compared: did they come out again?"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from registry.spec import InputError, Track, Trial

from ..records import registered
from ..records.outcome import Outcome, Score
from ..records.reports import Compared, RerunReport
from .local import run_local

TOLERANCE = 3.0  # spreads over seeds, for another device or other versions
MACHINE = (
    "device_name",
    "torch",
    "numpy",
    "timm",
    "pyautoattack",
    "data_sha256",
)  # what may change the last bits
JUDGED = ("accuracy", "robust_accuracy", "relative_distance")


def rerun(
    chosen: Iterable[tuple[Track, Trial]],
    home: Path,
    *,
    workers: int,
    device: str,
    on_row: Callable[[Compared], None] = lambda row: None,
) -> RerunReport:
    """Runs the registered rows of a selection afresh, in a scratch home that is removed, and
    compares them.

    Nothing but decoded images is taken from `home`. References are trained again as well.

    Raises:
        InputError: no row of the selection is registered.
    """
    known = {
        outcome.key: outcome
        for path in reversed(registered.files())
        for outcome in registered.outcomes(path)
    }
    trials: dict[str, Trial] = {}
    for track, trial in chosen:
        if trial.key in known:
            trials.setdefault(trial.key, _as_registered(track.with_tiers(trial), known[trial.key]))
    if not trials:
        raise InputError(
            "rerun: no row of the selection is registered; `regbench rank` shows what is, "
            "`regbench run` runs what is not"
        )
    references = {
        trial.reference.key: trial.reference.model_copy(update={"evaluation": ()})
        for trial in trials.values()
        if trial.reference is not None
    }
    spreads, rows = _spreads(known.values()), []
    with _scratch(home) as folder:
        for outcome in run_local(
            [
                *(r for key, r in references.items() if key not in trials),
                *(t for key, t in trials.items() if key in references),
                *(t for key, t in trials.items() if key not in references),
            ],
            folder,
            workers,
            device,
        ):
            if outcome.key in trials:
                rows.append(compare(known[outcome.key], outcome, spreads))
                on_row(rows[-1])
    report = RerunReport(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=tuple(sorted(rows, key=lambda row: (row.entry, row.seed))),
    )
    report.write(home)
    return report


def _as_registered(trial: Trial, row: Outcome) -> Trial:
    """The trial with the parts that its registered row has."""
    have = row.parts
    return trial.model_copy(
        update={"evaluation": tuple(part for part in trial.evaluation if part.id in have)}
    )


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    (home / "cache").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rerun-", dir=home) as folder:
        (Path(folder) / "cache").symlink_to(home / "cache")
        yield Path(folder)


def _name(score: Score) -> tuple[str, str, str, int]:
    return score.threat, score.split, score.metric, score.examples


def _method(outcome: Outcome) -> str:
    """What the seeds of one entry have in common."""
    return json.dumps(
        {name: value for name, value in outcome.spec.items() if name != "seed"}, sort_keys=True
    )


def _spreads(rows: Iterable[Outcome]) -> dict[tuple, float]:
    """Standard deviation over seeds of every score of every entry that has two or more."""
    values: dict[tuple, list[float]] = {}
    for row in rows:
        for score in row.scores:
            values.setdefault((_method(row), *_name(score)), []).append(score.value)
    return {name: float(np.std(found, ddof=1)) for name, found in values.items() if len(found) > 1}


def compare(registered: Outcome, fresh: Outcome, spreads: dict[tuple, float]) -> Compared:
    """One row's verdict. Between seeds a share of n images differs by chance: its spread counts as
    at least √(p(1−p)/n).
    """
    row = {
        "key": registered.key,
        "seed": registered.seed,
        "entry": registered.entry_id,
    }
    if fresh.status != registered.status:
        reason = f": {fresh.error}" if fresh.error else ""
        return Compared(
            **row, verdict="drifted", why=f"{fresh.status} instead of {registered.status}{reason}"
        )
    again = {_name(score): score.value for score in fresh.scores}
    lost = [name for name in map(_name, registered.scores) if name not in again]
    changed = [
        score
        for score in registered.scores
        if _name(score) in again and not _same(score.value, again[_name(score)])
    ]
    if not lost and not changed:
        return Compared(**row, verdict="exact")
    if lost:
        return Compared(**row, verdict="drifted", why=f"no score of {' '.join(map(str, lost[0]))}")
    drifts = {
        score: abs(again[_name(score)] - score.value)
        / max(spreads.get((_method(registered), *_name(score)), 0.0), _chance(score), 1e-12)
        for score in changed
        if score.split == "test" and score.metric in JUDGED
    }
    worst = max(drifts, key=lambda score: drifts[score]) if drifts else None
    drift = drifts[worst] if worst else 0.0
    elsewhere = [
        f"{name} {fresh.provenance.get(name)} instead of {registered.provenance.get(name)}"
        for name in MACHINE
        if fresh.provenance.get(name) != registered.provenance.get(name)
    ]
    exact = not elsewhere and fresh.provenance.get("deterministic", False)
    moved = (
        ""
        if worst is None
        else (
            f"{worst.metric} under {worst.threat} {again[_name(worst)]:.4g} instead of "
            f"{worst.value:.4g}, {drift:.2g} seed spreads"
        )
    )
    if exact:
        moved = moved or f"{changed[0].metric} under {changed[0].threat} differs in its last bits"
        return Compared(
            **row,
            verdict="drifted",
            drift=drift,
            why=f"{moved}, though device and versions are the same",
        )
    where = "; ".join(elsewhere) or "a GPU repeats no run bit by bit"
    if drift > TOLERANCE:
        return Compared(**row, verdict="drifted", drift=drift, why=f"{moved} ({where})")
    return Compared(
        **row,
        verdict="tolerated",
        drift=drift,
        why=f"{moved or 'test scores are the same'} ({where})",
    )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _chance(score: Score) -> float:
    if "accuracy" not in score.metric or not 0 <= score.value <= 1:
        return 0.0
    return math.sqrt(score.value * (1 - score.value) / score.n)
