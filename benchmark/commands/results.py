"""export, rerun: registered results."""
from __future__ import annotations

from registry.load import Registry

from . import Json, Selectors, app, print_json


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
