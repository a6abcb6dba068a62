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
    """Rank the methods of tracks: each seed at the λ that the others choose on validation images,
    means with 95 % intervals, and one rank for methods that paired tests cannot tell apart."""
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
    from ..ranking.both_sides import WIDE_GAP
    from ..ranking.placement import place

    seeds = max((row["seeds"] for row in rows), default=0)
    print(f"\n{track.title} ({track.name}); {seeds} of {track.seeds} seeds")
    if not seeds:
        print(f"nothing has run yet: regbench run {track.name}")
        return
    ranked_by = "worst" if track.ranks_by == "worst_case" else track.headline
    sources = ["source"] if {row["source"] for row in rows} - {"", "here"} else []
    columns = ["clean", *(threat.id for threat in track.threats), "worst"]
    if any(row["certified"] is not None for row in rows):
        columns.append("certified")
    diverged = ["diverged"] if any(row["diverged"] for row in rows) else []
    header = ["rank", "method", "λ", *columns, "tier", "cost ×", *diverged, *sources]
    for architecture in track.architectures:
        mine = [row for row in rows if row["architecture"] == architecture]
        own = mine[0]["seeds"] if mine else 0
        print(f"\n{architecture}" + (f" ({own} of {track.seeds} seeds)" if own != seeds else ""))
        cells = []
        for row in mine:
            scores = [_score(row, column, with_ends=column == ranked_by) for column in columns]
            rank = place(row["rank"], row["rank_high"])
            if row["would_be"]:
                rank = f"would be {row['would_be']}"
            cost = "" if row["cost"] is None else f"{row['cost']:.1f}"
            told = [_share_diverged(row) for _ in diverged] + [row[source] for source in sources]
            cells.append(
                [rank, row["regularizer"], _strength(row), *scores, row["tier"], cost, *told]
            )
        print_table(header, cells, frozenset({"rank", "λ", "cost ×", "diverged", *columns}))
        reasons: dict[str, list[str]] = {}
        for row in mine:
            reasons.setdefault(row["why"], []).append(row["regularizer"])
        for why, names in reasons.items():
            if why:
                print(f"– not ranked: {', '.join(names)}: {why}")
        for row in mine:
            if row["challenged"]:
                print(f"– broken by challenge: {row['regularizer']}: {row['challenged']}")
        gaps = [row for row in mine if (row["gap"] or 0) > WIDE_GAP]
        for row in gaps:
            print(
                f"– {row['regularizer']}: {track.headline} leaves {100 * row['gap']:.1f} points "
                "more than all attacks together"
            )
    print(
        f"\nranked by {ranked_by}, in percent (distances: 100·‖r‖/‖x‖), with the 95 % interval "
        "over seeds and images; worst: under the\nunion of all attacks within the norm and ε that "
        "rank"
        + ("; certified: proven within them" if "certified" in columns else "")
        + "; rank: from the best to the worst that the methods it cannot\nbe told apart from "
        "allow; λ ↑ ↓: the largest or smallest of its grid, so that the best may lie beyond "
        "(`regbench plan` says where)" + ("; diverged: of its trials, every λ" if diverged else "")
    )


def _strength(row: dict[str, Any]) -> str:
    """λ, marked where it ends its grid."""
    if row["lambda"] is None:
        return ""
    return f"{row['lambda']:g}" + {"largest": " ↑", "smallest": " ↓"}.get(row["at_end"], "")


def _share_diverged(row: dict[str, Any]) -> str:
    """ "" where none did."""
    return f"{row['diverged']} of {row['trials']}" if row["diverged"] else ""


def _score(row: dict[str, Any], column: str, with_ends: bool) -> str:
    if row[column] is None:
        return ""
    ends = row[f"{column}_low"], row[f"{column}_high"]
    if not with_ends or None in ends:
        return f"{100 * row[column]:.1f}"
    return f"{100 * row[column]:.1f} [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"


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
