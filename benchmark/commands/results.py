"""export, rerun: registered results."""
from __future__ import annotations

import typer

from registry.load import Registry

from . import CORES, Device, Json, Seeds, Selectors, Workers, app, check_device, print_json


@app.command(epilog="Example: regbench export quickstart")
def export(selectors: Selectors, as_json: Json = False) -> None:
    """Write the outcomes of runs here to registry/results/, a file a track: the rows that a pull request adds."""
    from ..export import export_selection

    found = export_selection(Registry().select(selectors))
    if as_json:
        print_json([{"track": name, "rows": rows, "changed": changed} for name, (rows, changed) in found.items()])
    else:
        for name, (rows, changed) in found.items():
            print(f"{name}: {rows} rows, {changed} of them new or changed")


@app.command(epilog="Example: regbench rerun quickstart --seeds 1")
def rerun(selectors: Selectors, seeds: Seeds = None, workers: Workers = CORES, device: Device = "auto",
          as_json: Json = False) -> None:
    """Run registered rows afresh and compare: exact, within tolerance, or drifted. Ends with 1 where one drifted."""
    from .. import rerun as again
    from .. import runner

    check_device(device)
    words: dict[again.Verdict, str] = {"exact": "reproduced exactly", "tolerated": "within tolerance", "drifted": "DRIFTED"}

    def tell(row: again.Compared) -> None:
        if not as_json:
            print(f"{row.entry} seed {row.seed}: {words[row.verdict]}{': ' if row.why else ''}{row.why}", flush=True)

    report = again.rerun(Registry().select(selectors, seeds), runner.home(), workers=workers, device=device, on_row=tell)
    if as_json:
        print_json(again.as_json(report))
    else:
        print(f"{len(report.rows)} rows: " + ", ".join(f"{report.count(verdict)} {text}" for verdict, text in words.items()))
    if report.count("drifted"):
        raise typer.Exit(1)
