"""export, rerun: registered results."""

from __future__ import annotations

import typer

from registry.load import Registry

from . import app
from .console import print_json
from .options import CORES, Device, Json, Seeds, Selectors, Workers, check_device
from .run import without_refused


@app.command(epilog="Example: regbench export quickstart")
def export(selectors: Selectors, as_json: Json = False) -> None:
    """Write the outcomes of runs here to registry/results/, a file a track: the rows that a pull
    request adds.
    """
    from ..records.export import export_selection

    found = export_selection(Registry().select(selectors))
    if as_json:
        print_json(
            [
                {"track": name, "rows": rows, "changed": changed}
                for name, (rows, changed) in found.items()
            ]
        )
    else:
        for name, (rows, changed) in found.items():
            print(f"{name}: {rows} rows, {changed} of them new or changed")


@app.command(epilog="Example: regbench rerun quickstart --seeds 1")
def rerun(
    selectors: Selectors,
    seeds: Seeds = None,
    workers: Workers = CORES,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run registered rows afresh and compare: exact, within rounding, or drifted. Ends with 1
    where one drifted.
    """
    from ..execution import rerun as again
    from ..records import home
    from ..records.reports import Compared, Verdict

    check_device(device)
    words: dict[Verdict, str] = {
        "exact": "reproduced exactly",
        "within rounding": "within rounding",
        "drifted": "DRIFTED",
    }

    def tell(row: Compared) -> None:
        if not as_json:
            why = f": {row.why}" if row.why else ""
            print(f"{row.entry} seed {row.seed}: {words[row.verdict]}{why}", flush=True)

    def tell_learning(trials: int) -> None:
        if not as_json:
            print(f"{trials} trials differ: run twice more with perturbed last bits", flush=True)

    chosen = Registry().select(selectors, seeds)
    kept = without_refused([trial for _, trial in chosen])
    report = again.rerun(
        [(track, trial) for track, trial in chosen if kept([trial])],
        home(),
        workers=workers,
        device=device,
        on_row=tell,
        on_learning=tell_learning,
    )
    if as_json:
        print_json(report.as_json())
    else:
        print(
            f"{len(report.rows)} rows: "
            + ", ".join(f"{report.count(verdict)} {text}" for verdict, text in words.items())
        )
    if report.count("drifted"):
        raise typer.Exit(1)
