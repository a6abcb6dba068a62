"""transfer: other models' adversarial images."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.load import Registry
from registry.spec import TRANSFER_FROM, InputError, Track, Trial

from . import app
from .afterwards import find
from .console import print_json, print_table, without_nan
from .options import CORES, Device, Json, Seeds, Workers, check_device

if TYPE_CHECKING:
    from ..records.store import Store

# A score's metric → how it is told.
SHARES = {
    **{f"robust_accuracy:{source}": source for source in TRANSFER_FROM},
    "robust_accuracy": "together",
}


@app.command(epilog="Example: regbench transfer quickstart")
def transfer(
    tracks: Annotated[list[str], typer.Argument(help="Track names.")],
    seeds: Seeds = None,
    workers: Workers = CORES,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Try the adversarial images of the plain network and of adversarial training, of the same
    seed, on each method's selected models: what they break counts in the worst case. Nothing is
    trained.
    """
    from ..execution.afterwards import afterwards
    from ..ranking.transfer import for_transfer
    from ..records import home as home_folder
    from ..records import open_store

    check_device(device)
    registry, home, store = Registry(), home_folder(), open_store()
    rows: list[dict[str, Any]] = []
    for name in tracks:
        track = registry.track(name)
        if track.headline_threat.epsilon is None:
            raise InputError(f"transfer: {name}: the headline threat has no epsilon")
        trials = [trial for _, trial in registry.select([name], seeds)]
        asked = for_transfer(track, trials, store.scores({trial.key for trial in trials}))
        plan = afterwards(asked, home, store)
        if len(plan.trials) < len(asked):
            print(
                f"{name}: {len(asked) - len(plan.trials)} trials are left out: they, or the models "
                "whose images they would be shown, have not run here, and registered rows bring no "
                "weights",
                file=sys.stderr,
            )
        find(plan, home, store, workers, device, as_json)
        rows += _rows(track, plan.trials, store)
    if as_json:
        print_json([without_nan(row) for row in rows])
    else:
        _print(rows)


def _rows(track: Track, trials: list[Trial], store: Store) -> list[dict[str, Any]]:
    """One a method and network, in the track's order: shares that stand, means over seeds; NaN for
    a source that is the row's own model.
    """
    if not trials:
        return []
    scores = store.scores({trial.key for trial in trials})
    (part,) = track.transfer()
    test = scores[scores["split"] == "test"]
    found = test[test["threat"] == part.name].set_index(["key", "metric"])
    own = test[test["threat"] == track.headline].set_index(["key", "metric"])["value"]
    seeds: dict[tuple[str, str], list[dict[str, float]]] = {}
    for trial in trials:
        like = trial.entry.architecture, trial.entry.regularizer
        told = {"images": float(found["n"][trial.key].iloc[0])}
        told["headline"] = own.get((trial.key, "robust_accuracy"), math.nan)
        for metric, name in SHARES.items():
            told[name] = found["value"].get((trial.key, metric), math.nan)
        seeds.setdefault(like, []).append(told)
    return [
        {
            "track": track.name,
            "architecture": architecture,
            "regularizer": regularizer,
            "seeds": len(mine),
            **{name: sum(told[name] for told in mine) / len(mine) for name in mine[0]},
        }
        for (architecture, regularizer), mine in seeds.items()
    ]


def _print(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("nothing to try: regbench run trains what a track asks for")
        return
    shares = ["headline", *SHARES.values()]
    cells = []
    for row in rows:
        told = ["" if row[name] != row[name] else f"{100 * row[name]:.1f}" for name in shares]
        where = f"{row['track']}/{row['architecture']}/{row['regularizer']}"
        cells.append([where, str(row["seeds"]), f"{row['images']:.0f}", *told])
    header = ["method", "seeds", "images", "own attack", *SHARES.values()]
    print_table(header, cells, frozenset(header[1:]))
    print(
        "\nin percent of the images, means over seeds; own attack: right under the attack that "
        "ranks;\nthe others: right on the images as they are and as PGD made them adversarial for "
        "that method's model"
    )
