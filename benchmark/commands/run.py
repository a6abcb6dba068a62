"""plan, run, collect, doctor: what makes the rows."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from registry.load import Registry
from registry.spec import TIER_ATTACKS, InputError, Tier, Track, Trial

from . import app
from .console import duration, print_json, without_nan
from .options import (
    CORES,
    Device,
    Json,
    Seeds,
    Selectors,
    Trust,
    Workers,
    check_device,
    check_one_of,
)

if TYPE_CHECKING:
    from ..records.store import Store


MOST_NAMED = 3  # in a line


@app.command(epilog="Example: regbench plan quickstart 'fashion_mnist:5,9/*/jacobian/*'")
def plan(
    selectors: Selectors, seeds: Seeds = None, workers: Workers = CORES, as_json: Json = False
) -> None:
    """Say what a run would do: how many trials, how many of them are done, and how long the rest
    will take. Of a track also which methods do best at an end of their grid, and the λ to try next.
    """
    from .. import execution
    from ..execution.cost import price
    from ..records import open_store

    registry, store = Registry(), open_store()
    trials = [trial for _, trial in registry.select(selectors, seeds)]
    chosen = execution.plan(trials, store)
    counts = {"trials": len(chosen.trials), "done": chosen.done, "to_run": len(chosen.to_run)}
    tracks = [registry.track(name) for name in selectors if name in registry.track_names]
    ends = [row for track in tracks for row in _ends(registry, track, store)]
    if as_json:
        print_json(counts | {"ends": ends})
        return
    print(
        f"{counts['trials']} trials (references included): {counts['done']} done, "
        f"{counts['to_run']} to run"
    )
    for row in ends:
        further = row["next_lambda"]
        print(
            f"{row['track']}: {row['architecture']}/{row['regularizer']} does best at λ = "
            f"{row['lambda']:g}, the {row['at_end']} of its grid: "
            + (f"add λ = {further:g} to it" if further else "there is none beyond")
        )
    if not chosen.to_run:
        return
    prices = price(chosen.to_run, store)
    for device, found in prices.items():
        at_once = f"{workers} workers" if device == "cpu" else "one GPU"
        seconds = found.seconds / (workers if device == "cpu" else 1)
        unknown = _some(sorted(found.unknown))
        print(
            f"{device}: about {duration(seconds)} with {at_once}, as trials like these have taken"
            + (f", without {unknown} (never run there)" if unknown else "")
        )
    if not prices:
        print(
            "nothing like this has run here, so that its time is not known; --seeds 1 makes a start"
        )
    alone = sum(not trial.stackable for trial in chosen.to_run)
    if alone:
        print(f"on a GPU {alone} of them train one by one: their methods cannot be stacked")


def _some(names: list[str]) -> str:
    """The first of them, and how many more."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _ends(registry: Registry, track: Track, store: Store) -> list[dict[str, Any]]:
    """The methods of a track whose selected λ ends its grid: what the standings say of them."""
    from ..ranking.standings import standings

    trials = [trial for _, trial in registry.select([track.name])]
    table = standings(track, trials, store.scores({trial.key for trial in trials}))
    columns = ["track", "architecture", "regularizer", "lambda", "at_end", "next_lambda"]
    rows = table.loc[table["at_end"] != "", columns].to_dict("records")
    return [without_nan(row) for row in rows]


@app.command(
    epilog="Example: regbench run quickstart --workers 2, and then "
    "regbench run quickstart --tier verified"
)
def run(
    selectors: Selectors,
    seeds: Seeds = None,
    tier: Annotated[
        str,
        typer.Option(
            help="quick: the track's own threats. For each method's selected λ then also, on all "
            "test images or the first so many that the track names, standard: APGD and PGD on the "
            "margin; verified: PGD, and AutoAttack on the images that it leaves; autoattack: that "
            "on all of them."
        ),
    ] = "quick",
    workers: Workers = CORES,
    device: Device = "auto",
    evaluators: Annotated[
        int,
        typer.Option(
            min=0,
            help="CPU processes beside a GPU that evaluate what it has trained; with small "
            "networks the longer part.",
        ),
    ] = 0,
    time_limit: Annotated[
        float,
        typer.Option(min=1, help="Seconds after which a trial is ended and recorded as failed."),
    ] = math.inf,
    executor: Annotated[
        str, typer.Option(help='local: this machine. ray: a Ray cluster (needs the extra "ray").')
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="Of a running Ray cluster; auto finds this machine's. Without it "
            "one is started here."
        ),
    ] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Run a selection: what is done is skipped, what was interrupted goes on. Ends with 1 if a
    trial failed.
    """
    from .. import execution
    from ..execution import progress
    from ..records import home as home_folder
    from ..records import open_store
    from ..records.home import sole_runner

    check_device(device)
    check_one_of("--tier", tier, ("quick", *TIER_ATTACKS), "a tier")
    check_one_of("--executor", executor, ("local", "ray"), "an executor")
    if address is not None and executor != "ray":
        raise InputError("--address: belongs to --executor ray")
    if evaluators and executor != "local":
        raise InputError("--evaluators: belongs to --executor local")
    registry = Registry()
    selected = registry.select(selectors, seeds)
    trials = [trial for _, trial in selected]
    tracks = {track.name: track for track, _ in selected} if tier != "quick" else {}
    for track in tracks.values():
        track.tier_parts(cast("Tier", tier), 1)  # refuses a headline without ε before anything runs
    home, store = home_folder(), open_store()
    if executor == "ray":
        from ..execution.ray_cluster import run_ray

        execute = partial(run_ray, address=address, device=device, limit=time_limit)
    else:
        from ..execution.local import run_local

        execute = partial(
            run_local, workers=workers, device=device, limit=time_limit, evaluators=evaluators
        )
    may_run = execution.trusted if trust else without_refused(trials)

    def follow(trials: list[Trial]) -> int:
        plan = execution.prepared(may_run(trials), home, store)
        return progress.follow(plan, home, store, execute, as_json=as_json)

    with sole_runner(home):
        failed = follow(trials)
        if tracks and not failed:
            on_board = _of_tier(cast("Tier", tier), registry, [*tracks.values()], seeds, store)
            named = {trial.key for trial in trials}
            failed = follow([trial for trial in on_board if trial.key in named])
    if failed:
        raise typer.Exit(1)
    if not as_json and (names := [name for name in selectors if name in registry.track_names]):
        print(f"next: regbench rank {' '.join(names)}; regbench app")


def without_refused(trials: list[Trial]) -> Callable[[list[Trial]], list[Trial]]:
    """What leaves out submitted methods where there is no sandbox, having said so."""
    from .. import sandbox

    submitted = sum(trial.sandboxed for trial in trials)
    why = sandbox.refusal() if submitted else None
    if why is None:
        return lambda trials: trials
    print(f"{submitted} trials of submitted methods are left out: {why}", file=sys.stderr)
    return lambda trials: [trial for trial in trials if not trial.sandboxed]


def _of_tier(
    tier: Tier, registry: Registry, tracks: list[Track], seeds: int | None, store: Store
) -> list[Trial]:
    """The trials that the tracks' standings rest on, with what the tier adds to the evaluation: a λ
    is selected among all of a track's, however few are to be run.
    """
    from ..ranking.standings import for_tier

    found: list[Trial] = []
    for track in tracks:
        trials = [trial for _, trial in registry.select([track.name], seeds)]
        found += for_tier(track, trials, store.scores({trial.key for trial in trials}), tier)
    return found


@app.command(epilog="Example: regbench collect")
def collect() -> None:
    """Build the database anew, or complete it, from the outcomes that runs left behind. The
    registered results are read from their files.
    """
    from ..records import home as home_folder
    from ..records import open_store, registered
    from ..records.home import DATABASE, sole_runner

    home = home_folder()
    with sole_runner(home):
        count = registered.collect(home, open_store())
    print(f"{count} outcomes are in {home / DATABASE}")


@app.command(epilog="Example: regbench doctor")
def doctor(as_json: Json = False) -> None:
    """Check this machine: versions, device, data, database. Ends with 1 where something is missing
    that a run needs.
    """
    from .doctor import conditions

    found = conditions()
    if as_json:
        print_json([asdict(condition) for condition in found])
    else:
        for condition in found:
            print(f"{'ok  ' if condition.ok else 'MISS'}  {condition.name}: {condition.detail}")
    if not all(condition.ok or condition.optional for condition in found):
        raise typer.Exit(1)
