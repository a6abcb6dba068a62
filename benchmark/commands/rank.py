"""rank, app: what the rows say."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from registry.load import Registry

from . import app
from .console import print_json, print_table, without_nan
from .options import Json


@app.command(epilog="Example: regbench rank quickstart --json")
def rank(
    tracks: Annotated[list[str], typer.Argument(help="Track names.")], as_json: Json = False
) -> None:
    """Rank the methods of tracks: λ chosen on validation images, means over seeds with 95 %
    intervals, and one rank for methods that a paired bootstrap over seeds and test images cannot
    tell apart."""
    from ..ranking.board import board
    from ..records import open_store

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
            _print_board(track, rows)
    if as_json:
        print_json(everything)


def _print_board(track: Any, rows: list[dict[str, Any]]) -> None:
    from ..ranking.placement import place

    seeds = rows[0]["seeds"] if rows else 0
    print(f"\n{track.title} ({track.name}); {seeds} of {track.seeds} seeds; mean ± 95 % interval")
    if not seeds:
        print(f"nothing has run yet: regbench run {track.name}")
        return

    def number(row: dict[str, Any], column: str, scale: float = 100) -> str:
        if row[column] is None:
            return ""
        width = row[f"{column}_half_width"]
        return f"{scale * row[column]:.1f}" + (
            f" ± {scale * width:.1f}" if width is not None else ""
        )

    sources = ["source"] if {row["source"] for row in rows} - {"", "here"} else []
    columns = ["clean", *(threat.id for threat in track.threats), "worst"]
    header = ["rank", "method", "λ", *columns, "tier", "cost ×", *sources]
    for architecture in track.architectures:
        mine = [row for row in rows if row["architecture"] == architecture]
        print(f"\n{architecture}")
        print_table(
            header,
            [
                [
                    place(row["rank"], row["rank_high"]),
                    row["regularizer"],
                    "" if row["lambda"] is None else f"{row['lambda']:g}",
                    *(number(row, column) for column in columns),
                    row["tier"],
                    "" if row["cost"] is None else f"{row['cost']:.1f}",
                    *(row[source] for source in sources),
                ]
                for row in mine
            ],
            frozenset({"rank", "λ", "cost ×", *columns}),
        )
        for row in mine:
            if row["why"]:
                print(f"– {row['regularizer']} is not ranked: {row['why']}")
    print()
    print(
        f"ranked by {track.headline}, in percent (distances: 100·‖r‖/‖x‖); worst: under the union "
        "of all attacks within the norm and ε that rank; rank: from the best to the worst that the "
        "methods it cannot be told apart from allow"
    )


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
