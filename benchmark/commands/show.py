"""list, show: what is registered."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from registry.load import Registry
from registry.read import nearest, split_options
from registry.spec import InputError

from . import app
from .console import print_json, print_table, without_nan
from .options import Json

KINDS = ("tracks", "entries", "regularizers", "architectures", "datasets")


@app.command("list", epilog="Example: regbench list entries --json")
def list_(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")] = "tracks",
    as_json: Json = False,
) -> None:
    """List what is registered."""
    if kind not in KINDS:
        raise InputError(f"list: {nearest(kind, KINDS, 'a kind')}")
    registry = Registry()
    if kind == "tracks":
        found = [registry.track(name) for name in registry.track_names]
        rows = [
            {
                "name": t.name,
                "title": t.title,
                "dataset": t.dataset,
                "entries": len(registry.entries(t.name)),
                "seeds": t.seeds,
            }
            for t in found
        ]
    elif kind == "entries":
        rows = [
            {"name": entry.id, "track": name}
            for name in registry.track_names
            for entry in registry.entries(name)
        ]
    elif kind == "regularizers":
        methods = [registry.regularizer(name) for name in sorted(registry.regularizer_folders)]
        rows = [
            {
                "name": m.card.name,
                "title": m.card.title,
                "year": m.card.year,
                "source": "submitted" if m.submitted else "registered",
            }
            for m in methods
        ]
    elif kind == "architectures":
        rows = [
            {"name": a.name, "title": a.title, "activation": a.activation or ""}
            for a in registry.architectures.values()
        ]
    else:
        sets = [registry.dataset(name) for name in registry.dataset_names]
        rows = [
            {
                "name": d.name,
                "title": d.title,
                "classes": d.num_classes,
                "shape": "×".join(map(str, d.shape)),
                "train": d.train_size,
                "test": d.test_size,
                "licence": d.licence,
            }
            for d in sets
        ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(
            list(rows[0]),
            [list(map(str, row.values())) for row in rows],
            frozenset({"entries", "seeds", "classes", "train", "test", "year"}),
        )


@app.command(epilog="Example: regbench show jacobian")
def show(
    name: Annotated[
        str,
        typer.Argument(help="A track, regularizer, architecture, dataset, entry id or trial key."),
    ],
    as_json: Json = False,
) -> None:
    """Show one registered thing, or what is known of an entry's trials."""
    registry = Registry()
    plain, _ = split_options(name)
    data: Any
    if name in registry.track_names:
        data = registry.track(name).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    elif plain in registry.regularizer_folders:
        method, params = registry.method_and_params(name)
        data = method.card.model_dump(mode="json", exclude_none=True) | {
            "given": params,
            "code": str(method.folder / "regularizer.py"),
            "sha256": method.sha256,
        }
    elif plain in registry.architectures or name.startswith("timm:"):
        data = registry.architecture(name).model_dump(mode="json")
    elif plain in registry.dataset_names and "/" not in name:  # an entry's id begins so, too
        data = registry.dataset(name).model_dump(mode="json", exclude_none=True)
    else:
        data = _known_trials(registry, name)
    if as_json:
        print_json(without_nan(data))
        return
    for key, value in data.items():
        if isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False, default=str)
        print(f"{key}: {value}")


def _known_trials(registry: Registry, name: str) -> dict[str, Any]:
    from ..records import open_store

    if "/" in name:
        keys = {trial.key: (track.name, trial.seed) for track, trial in registry.select([name])}
    else:
        keys = {name: ("", None)}
    known = open_store().trials(keys)
    if "/" not in name and known.empty:
        everything = [
            *registry.track_names,
            *registry.regularizer_folders,
            *registry.architectures,
            *registry.dataset_names,
        ]
        raise InputError(f"show: {nearest(name, everything)}")
    rows = {row["key"]: row for row in known.to_dict("records")}
    return {
        key: {"track": track, "seed": seed, "status": "not run"} | rows.get(key, {})
        for key, (track, seed) in keys.items()
    }
