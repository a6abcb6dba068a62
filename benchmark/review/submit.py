"""What `submit` and `verify` run: a submission's own trials, the control's, and the references of
both; and the attacks of the tier at which the tracks' boards rank.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from registry.load import Registry
from registry.read import shown
from registry.spec import Entry, InputError, Track, Trial

from .. import execution
from ..execution import progress
from ..execution.local import run_local
from ..records.home import DATABASE, TrialFolder, home, sole_runner
from ..records.outcome import Outcome
from ..records.registered import open_store
from ..records.store import Store
from ..sandbox.process import SandboxError
from .results import as_claimed, hashes, trials_of


def run(
    registry: Registry, name: str, seeds: int | None, workers: int, trusted: bool
) -> list[Outcome]:
    """Runs the submission's entries, and the control beside them, in the usual home, then the
    trials that its rows rest on once more under the attacks of the tier at which the others are
    ranked; returns the submission's outcomes, failed ones too. What is done is not run again.
    """
    controls = [
        registry.trial(entry, track, seed)
        for track in _tracks(registry, name)
        for entry in _controls(registry, track)
        for seed in range(seeds or track.seeds)
    ]
    own = trials_of(registry, name, seeds)
    outcomes = _run(own, controls, home(), workers, trusted)
    if any(outcome.status == "failed" for outcome in outcomes):
        return outcomes
    mine = own | {trial.key: trial for trial in controls}
    attacked = _at_ranking_tiers(registry, name, mine)
    if not attacked:
        return outcomes
    first = {key: attacked.pop(key) for key in own.keys() & attacked.keys()}
    again = _run(first, list(attacked.values()), home(), workers, trusted)
    return list({outcome.key: outcome for outcome in (*outcomes, *again)}.values())


def _at_ranking_tiers(registry: Registry, name: str, mine: dict[str, Trial]) -> dict[str, Trial]:
    """Of the trials that `submit` runs those that the standings rest on, under the attacks of the
    tier at which the other methods are ranked: none where that is the quick one.
    """
    from ..ranking.both_sides import ranking_tiers
    from ..ranking.selection import selected_trials
    from ..ranking.standings import standings

    store, found = open_store(), dict[str, Trial]()
    methods = {trial.entry.regularizer for trial in mine.values()}
    for track in _tracks(registry, name):
        trials = [trial for _, trial in registry.select([track.name])]
        table = standings(track, trials, store.scores({trial.key for trial in trials}))
        others = table[~table["regularizer"].isin(methods)]
        tiers = dict(zip(others["architecture"], ranking_tiers(others)))
        rested_on = (trial for group in selected_trials(trials, table) for trial in group)
        for trial in (trial for trial in rested_on if trial.key in mine):
            tier = tiers.get(trial.entry.architecture, "quick")
            if tier != "quick":
                parts = track.tier_parts(tier, trial.dataset.test_size)
                found[trial.key] = found.get(trial.key, mine[trial.key]).also(parts)
    return found


def repeat(
    registry: Registry, name: str, claimed: Iterable[Outcome], workers: int, trusted: bool
) -> tuple[list[Outcome], list[str]]:
    """Runs the trials of a results file afresh, under all attacks that it has rows of but those
    with other models' images, in a folder of their own that knows nothing of earlier runs.

    Returns the outcomes, and a line for each step at which the submission gave another gradient
    than its penalty's: of one trial a network and recipe, where its card says that they agree and
    its code runs in the sandbox.
    """
    from . import gradients

    trials = as_claimed(registry, name, claimed)
    with tempfile.TemporaryDirectory(prefix="regbench-verify-") as place:
        folder = Path(place)
        outcomes = _run(trials, [], folder, workers, trusted)
        told: list[str] = []
        exact = registry.regularizer(name).card.exact_gradient
        if exact and not trusted and all(outcome.status != "failed" for outcome in outcomes):
            for trial in _one_of_each(trials.values()):
                try:
                    told += gradients.differences(trial, folder)
                except SandboxError as error:
                    told.append(f"{trial.label}, asked for its gradient again: {error}")
    return outcomes, told


def _one_of_each(trials: Iterable[Trial]) -> list[Trial]:
    """By chance one trial a data set, network and recipe."""
    kinds: dict[tuple[str, str, str], list[Trial]] = {}
    for trial in trials:
        kind = trial.dataset.identity, trial.architecture.identity, trial.recipe.identity
        kinds.setdefault(kind, []).append(trial)
    return [secrets.choice(alike) for alike in kinds.values()]


def _run(
    trials: dict[str, Trial], others: list[Trial], home: Path, workers: int, trusted: bool
) -> list[Outcome]:
    wanted = [*trials.values(), *others]
    if trusted:
        wanted = execution.trusted(wanted)
    store = Store(home / DATABASE)  # what ran here: results that others claim are no substitute
    failed: dict[str, Outcome] = {}

    def execute(*given: Any, **options: Any) -> Iterator[Outcome]:
        for outcome in run_local(*given, **options, workers=workers, device="cpu"):
            if outcome.status == "failed":
                failed[outcome.key] = outcome
            yield outcome

    with sole_runner(home):
        plan = execution.prepared(wanted, home, store)
        progress.follow(plan, home, store, execute, as_json=False)
    found = [failed.get(key) or TrialFolder(home, key).outcome() for key in trials]
    ran = [outcome for outcome in found if outcome is not None]
    if len(ran) < len(found):
        raise InputError(
            f"{shown(home)}: not every trial has run; the same command goes on from there"
        )
    return ran


def where_it_stands(registry: Registry, name: str) -> list[str]:
    """What `regbench rank` says of a submission: a line for each track and network.

    Raises InputError where another submission beside it does not fit: the board has them all.
    """
    from ..ranking.board import board
    from ..ranking.placement import placements

    everyone = Registry(registry.root, registry.submissions)
    lines = []
    for track in _tracks(registry, name):
        trials = [trial for _, trial in everyone.select([track.name])]
        lines += placements(track, board(track, trials, open_store()), name)
    return lines


def _tracks(registry: Registry, name: str) -> list[Track]:
    return [registry.track(track) for track in registry.submitted_entries(name)]


def _controls(registry: Registry, track: Track) -> list[Entry]:
    return [entry for entry in registry.entries(track.name) if entry.strength == 0]


def with_hashes(outcomes: Iterable[Outcome], folder: Path) -> list[Outcome]:
    """The outcomes with the hashes of the submission's files as provenance."""
    found = hashes(folder)
    return [
        outcome.model_copy(update={"provenance": outcome.provenance | {"files": found}})
        for outcome in outcomes
    ]
