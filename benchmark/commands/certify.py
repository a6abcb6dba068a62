"""certify: robustness from both sides."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.load import Registry
from registry.spec import InputError, Radius, Track, Trial

from . import app
from .afterwards import find
from .console import print_json, print_table, without_nan
from .options import CORES, Device, Json, Seeds, Selectors, Workers, check_device

if TYPE_CHECKING:
    from ..execution.look import Looked
    from ..records.store import Store

Chosen = list[tuple[Track, Trial]]
# track, entry, norm, ε → one a seed
Rows = dict[tuple[str, str, str, float], list[dict[str, Any]]]
COLUMNS = ["entry", "seeds", "norm", "ε", "images", "certified", "worst case"]
VERDICTS = ("robust", "broken", "not decided")


@app.command(
    epilog="Example: regbench certify quickstart, or "
    "regbench certify digits/lenet_300_100/jacobian/0.1 --eps 0.02 --exact"
)
def certify(
    selectors: Selectors,
    seeds: Seeds = None,
    epsilons: Annotated[
        list[float] | None,
        typer.Option("--eps", min=0, help="Radii of your own, in pixels' units; stored nowhere."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Also search the ℓ∞ ball exactly; stored nowhere.")
    ] = False,
    images: Annotated[
        int | None, typer.Option(min=1, help="With --eps or --exact: on so many test images.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="With --exact: for each image and radius.")
    ] = 60.0,
    workers: Workers = CORES,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Prove on trained models what no perturbation can change, beside what attacks break: of a
    track at each method's selected λ, of other entries at all. Nothing is trained.
    """
    from ..records import home, open_store

    check_device(device)
    store, alone = open_store(), bool(epsilons) or exact
    if images is not None and not alone:
        raise InputError("--images: goes with --eps or --exact; a track says how many are stored")
    chosen = _chosen(Registry(), selectors, seeds, store)
    if alone:
        rows = _looked_at(chosen, home(), epsilons, images, seconds if exact else None)
    else:
        rows = _stored(chosen, home(), store, workers, device, as_json)
    if as_json:
        print_json([without_nan(row) for row in rows])
    else:
        _print(rows, exact)


def _chosen(registry: Registry, selectors: list[str], seeds: int | None, store: Store) -> Chosen:
    """Of a track the trials that its standings rest on, of other selectors all.

    Raises InputError where no track of them has a headline with an ε.
    """
    from ..ranking.standings import rested_on

    chosen: Chosen = []
    for selector in selectors:
        found = registry.select([selector], seeds)
        if selector in registry.track_names:
            track, trials = registry.track(selector), [trial for _, trial in found]
            scores = store.scores({trial.key for trial in trials})
            found = [(track, trial) for trial in rested_on(track, trials, scores)]
        chosen += found
    with_radius = [pair for pair in chosen if pair[0].headline_threat.epsilon is not None]
    if chosen and not with_radius:
        names = ", ".join(sorted({track.name for track, _ in chosen}))
        raise InputError(f"certify: {names}: the headline threat has no epsilon")
    return with_radius


def _stored(
    chosen: Chosen, home: Path, store: Store, workers: int, device: str, as_json: bool
) -> list[dict[str, Any]]:
    """Runs what is missing, and reads the rows of what is known."""
    from ..execution.afterwards import to_certify
    from ..ranking.brackets import brackets

    plan = to_certify(chosen, home, store)
    _tell_absent(len({trial.key for _, trial in chosen}) - len(plan.trials))
    find(plan, home, store, workers, device, as_json)
    rows: Rows = {}
    tracks = {track.name: track for track, _ in chosen}
    for name, track in tracks.items():
        trials = {trial.key: trial for own, trial in chosen if own.name == name}
        for row in brackets(track, list(trials.values()), store).to_dict("records"):
            like = (
                name,
                trials[row["key"]].entry.id,
                track.headline_threat.norm,
                float(row["epsilon"]),
            )
            rows.setdefault(like, []).append({str(name): value for name, value in row.items()})
    return [_mean(like, found) for like, found in rows.items()]


def _tell_absent(count: int) -> None:
    if count:
        print(
            f"{count} trials are left out: they have not run here, and registered rows bring no "
            "weights",
            file=sys.stderr,
        )


def _looked_at(
    chosen: Chosen,
    home: Path,
    epsilons: Sequence[float] | None,
    images: int | None,
    seconds: float | None,
) -> list[dict[str, Any]]:
    from ..execution.look import look_at
    from ..records import TrialFolder

    here = {
        (trial.key, track.headline_threat.norm): (track, trial)
        for track, trial in chosen
        if TrialFolder(home, trial.key).is_trained
    }
    _tell_absent(len({trial.key for _, trial in chosen} - {key for key, _ in here}))
    count = images or (10 if seconds is not None else 200)
    asked = {
        like: _radii(track, epsilons, seconds is not None) for like, (track, _) in here.items()
    }
    per_radius = count * (1 if seconds is None else 2)
    rows: Rows = {}
    with _bar(sum(per_radius * len(radii) for radii in asked.values())) as advance:
        for like, (track, trial) in here.items():
            found = look_at(trial, home, asked[like], count, seconds=seconds, on_images=advance)
            for looked in found:
                radius = looked.radius
                name = track.name, trial.entry.id, radius.norm, radius.epsilon
                rows.setdefault(name, []).append(_row(looked))
    return [_mean(like, found) for like, found in rows.items()]


def _radii(track: Track, epsilons: Sequence[float] | None, exact: bool) -> list[Radius]:
    """Those given, or the track's own."""
    norm = track.headline_threat.norm
    if exact and norm != "inf":
        raise InputError(
            f"--exact: {track.name} has an ℓ2 headline, and only ℓ∞ balls are searched"
        )
    if epsilons:
        if not all(0 < epsilon < math.inf for epsilon in epsilons):
            raise InputError("--eps: must be above 0 and finite")
        return [Radius(norm=norm, epsilon=epsilon) for epsilon in sorted(set(epsilons))]
    parts = track.certificates(1)
    return [part.radius for part in parts if part.radius is not None]


def _row(looked: Looked) -> dict[str, Any]:
    row = {
        "images": looked.images,
        "certified": float("nan") if looked.certified is None else looked.certified,
        "worst": looked.worst,
    }
    if looked.verdicts is not None:
        row |= {verdict: looked.verdicts[verdict] for verdict in VERDICTS}
    return row


def _mean(like: tuple[str, str, str, float], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over seeds; of the exact search the sums. like: track, which says how an entry is trained,
    entry, norm and ε.
    """
    track, entry, norm, epsilon = like
    found = {
        "track": track,
        "entry": entry,
        "seeds": len(rows),
        "norm": norm,
        "epsilon": epsilon,
        "images": rows[0]["images"],
    }
    for share in ("certified", "worst"):
        found[share] = sum(row[share] for row in rows) / len(rows)
    for verdict in VERDICTS:
        known = [row[verdict] for row in rows if verdict in row]
        found[verdict.replace(" ", "_")] = sum(known) if known else None
    return found


def _print(rows: list[dict[str, Any]], exact: bool) -> None:
    verdicts = VERDICTS if exact else ()
    cells = []
    several = len({row["track"] for row in rows}) > 1
    for row in rows:
        known = row["certified"] == row["certified"]  # not NaN
        cells.append(
            [
                f"{row['track']}: {row['entry']}" if several else row["entry"],
                str(row["seeds"]),
                {"inf": "ℓ∞", "2": "ℓ2"}[row["norm"]],
                f"{row['epsilon']:g}",
                str(row["images"]),
                f"{100 * row['certified']:.1f}" if known else "no certificate",
                f"{100 * row['worst']:.1f}",
                *(str(row[verdict.replace(" ", "_")]) for verdict in verdicts),
            ]
        )
    if not cells:
        print("nothing to certify: regbench run trains what a track asks for")
        return
    print_table([*COLUMNS, *verdicts], cells, frozenset({*COLUMNS[1:], *verdicts} - {"norm"}))
    print(
        "\nin percent of the images, means over seeds; certified: proven that no perturbation "
        "within ε changes the class;\nworst case: broken by none of the attacks known within ε, "
        "FMN's among them. The truth lies between the two"
    )


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar over images, on stderr; yields what moves it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda images: bar.advance(task, images)
