"""rank, app: what the rows say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from registry.load import Registry

from . import app
from .console import print_json, without_nan
from .options import Json


@app.command(epilog="Example: regbench rank quickstart --json")
def rank(
    tracks: Annotated[list[str], typer.Argument(help="Track names.")], as_json: Json = False
) -> None:
    """Rank the methods of tracks: each seed at the λ that the others choose on validation images,
    means with 95 % intervals, and as rank the interval of places that paired tests leave open.
    """
    from ..ranking.board import board
    from ..records import open_store
    from .printed_board import print_board

    registry, everything = Registry(), []
    for name in tracks:
        track = registry.track(name)
        trials = [trial for _, trial in registry.select([name])]
        table = board(track, trials, open_store())
        rows = [
            without_nan(row)
            for row in json.loads(table.to_json(orient="records", double_precision=15))
        ]
        everything += rows
        if not as_json:
            print_board(track, rows)
    if as_json:
        print_json(everything)


@app.command("app", epilog="Example: regbench app --port 8600")
def app_(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
) -> None:
    """Open the leaderboard in a browser."""
    script = Path(__file__).resolve().parents[2] / "leaderboard_app" / "app.py"
    print(f"leaderboard on http://{host}:{port} (Ctrl-C ends it)", flush=True)
    os.execv(
        sys.executable,
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(script),
            f"--server.address={host}",
            f"--server.port={port}",
            "--server.headless=true",
            "--browser.gatherUsageStats=false",
            "--server.fileWatcherType=none",
            "--client.toolbarMode=viewer",
        ],
    )
