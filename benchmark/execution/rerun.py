"""Registered rows run afresh and compared: did they come out again?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from registry.spec import InputError, Track, Trial

from ..records import registered
from ..records.outcome import Outcome
from ..records.reports import Compared, RerunReport
from .judgement import at_first_sight, by_spread, drifts_of
from .local import run_local
from .rounding import Spread, Twins, references_first

TRANSFER = "transfer-"  # begins the id of every such threat


def rerun(
    chosen: Iterable[tuple[Track, Trial]],
    home: Path,
    *,
    workers: int,
    device: str,
    on_row: Callable[[Compared], None] = lambda row: None,
    on_learning: Callable[[int], None] = lambda trials: None,
) -> RerunReport:
    """Runs the registered rows of a selection afresh, in a scratch home that is removed, and
    compares them.

    Nothing but decoded images is taken from `home`. References are trained again as well. Where a
    row on another device differs, one trial of its entry is run with perturbed last bits, and what
    that shows of rounding stays in `home`; no row is said to have drifted before that very trial
    has been run so.

    Args:
        on_row: told every verdict.
        on_learning: told how many trials are about to be run with perturbed last bits.
    Raises:
        InputError: no row of the selection is registered.
    """
    known = {
        outcome.key: _alone(outcome)
        for path in reversed(registered.files())
        for outcome in registered.outcomes(path)
    }
    trials: dict[str, Trial] = {}
    for track, trial in chosen:
        if trial.key in known:
            (extended,) = track.with_tiers([trial])
            trials.setdefault(trial.key, _as_registered(extended, known[trial.key]))
    if not trials:
        raise InputError(
            "rerun: no row of the selection is registered; `regbench rank` shows what is, "
            "`regbench run` runs what is not"
        )
    rows: list[Compared] = []

    def tell(row: Compared) -> None:
        rows.append(row)
        on_row(row)

    fresh: dict[str, Outcome] = {}
    open_still: list[str] = []
    with _scratch(home) as folder:
        for outcome in run_local(references_first(trials.values()), folder, workers, device):
            if outcome.key not in trials:
                continue
            fresh[outcome.key] = outcome
            row = at_first_sight(known[outcome.key], outcome)
            if row is None:
                open_still.append(outcome.key)
            else:
                tell(row)
    differing = _Differing(trials, known, fresh, Twins(home))
    for learn in (differing.one_of_each_entry, differing.themselves):
        unknown = learn(open_still)
        if unknown:
            on_learning(len(unknown))
            differing.twins.run(unknown, workers, device)
        judged = {key: differing.verdict(key) for key in open_still}
        open_still = [key for key, row in judged.items() if row.verdict == "drifted"]
        for key, row in judged.items():
            if key not in open_still:
                tell(row)
    for key in open_still:
        tell(differing.verdict(key))
    report = RerunReport(
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        rows=tuple(sorted(rows, key=lambda row: (row.entry, row.seed))),
    )
    report.write(home)
    return report


class _Differing:
    """Rows that only rounding can excuse, and what is known of it."""

    def __init__(
        self,
        trials: dict[str, Trial],
        known: dict[str, Outcome],
        fresh: dict[str, Outcome],
        twins: Twins,
    ):
        self.trials, self.known, self.fresh, self.twins = trials, known, fresh, twins
        self._entries: dict[str, list[str]] = {}
        for key, outcome in fresh.items():
            self._entries.setdefault(_entry(outcome), []).append(key)

    def one_of_each_entry(self, keys: list[str]) -> list[Trial]:
        """Of every entry none of whose trials has been run with perturbed last bits, the trial that
        moved furthest; and each that diverged, or did not, unlike its row.
        """
        furthest: dict[str, str] = {}
        other_end = [key for key in keys if self.fresh[key].status != self.known[key].status]
        for key in sorted(set(keys) - set(other_end), key=self._drift):
            furthest[_entry(self.fresh[key])] = key
        unknown = [
            key
            for entry, key in furthest.items()
            if not any(self.twins.known(self.trials[other]) for other in self._entries[entry])
        ]
        return [*self.themselves(other_end), *(self.trials[key] for key in unknown)]

    def themselves(self, keys: list[str]) -> list[Trial]:
        """Those of the trials that have not been run with perturbed last bits."""
        return [self.trials[key] for key in keys if not self.twins.known(self.trials[key])]

    def verdict(self, key: str) -> Compared:
        entry = self._entries[_entry(self.fresh[key])]
        twins = {other: self.twins.known(self.trials[other]) for other in entry}
        runs = [[*found, self.fresh[other]] for other, found in twins.items() if found]
        return by_spread(self.known[key], self.fresh[key], Spread.of(runs), twins[key])

    def _drift(self, key: str) -> float:
        return max(drifts_of(self.known[key], self.fresh[key], Spread()).values())


def _entry(outcome: Outcome) -> str:
    """What the seeds of one entry have in common."""
    return json.dumps(
        {name: value for name, value in outcome.spec.items() if name != "seed"}, sort_keys=True
    )


def _alone(row: Outcome) -> Outcome:
    """The row less its transfer, which is of other trials' weights as well."""
    scores = [score for score in row.scores if not score.threat.startswith(TRANSFER)]
    return row.model_copy(update={"scores": tuple(scores)})


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
