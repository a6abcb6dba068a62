"""The `regbench` command. It imports torch only where something trains."""
from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from registry.load import Registry, nearest, split_options
from registry.spec import TIER_ATTACKS, InputError, Tier, Trial

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="RegBench: rank regularizers against adversarial examples.\n\n"
                       "Example: regbench run quickstart && regbench rank quickstart && regbench app")

Selectors = Annotated[list[str], typer.Argument(help="Track names, or globs of entry ids such as 'digits/*/jacobian/*'.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Only the first so many seeds of each track.")]
USAGE_ERROR: Any = typer.BadParameter.__base__  # click's, which some releases of typer bring under a name of their own
KINDS = ("tracks", "entries", "regularizers", "architectures", "datasets")


def main() -> None:
    """Runs the command. Bad input: one line on stderr and exit code 2. A thing that failed: 1."""
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0)
    except InputError as error:
        print(f"regbench: {error}", file=sys.stderr)
        sys.exit(2)
    except USAGE_ERROR as error:
        command = error.ctx.command_path if error.ctx else "regbench"
        print(f"regbench: {error.format_message()} (see `{command} --help`)", file=sys.stderr)
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        print("regbench: stopped; finished trials are kept, and the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=1, default=str, allow_nan=False))


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(columns: list[str], rows: list[list[str]], right: frozenset[str] = frozenset()) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*row)
    # A pipe has no width: rows stay whole for grep.
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 250).print(table)


@app.command("list", epilog="Example: regbench list entries --json")
def list_(kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")] = "tracks", as_json: Json = False) -> None:
    """List what is registered."""
    if kind not in KINDS:
        raise InputError(f"list: {nearest(kind, KINDS, 'a kind')}")
    registry = Registry()
    if kind == "tracks":
        found = [registry.track(name) for name in registry.track_names]
        rows = [{"name": t.name, "title": t.title, "dataset": t.dataset, "entries": len(registry.entries(t.name)),
                 "seeds": t.seeds} for t in found]
    elif kind == "entries":
        rows = [{"name": entry.id, "track": name} for name in registry.track_names for entry in registry.entries(name)]
    elif kind == "regularizers":
        methods = [registry.regularizer(name) for name in sorted(registry.regularizer_folders)]
        rows = [{"name": m.card.name, "title": m.card.title, "year": m.card.year,
                 "source": "submitted" if m.submitted else "registered"} for m in methods]
    elif kind == "architectures":
        rows = [{"name": a.name, "title": a.title, "activation": a.activation or ""} for a in registry.architectures.values()]
    else:
        sets = [registry.dataset(name) for name in registry.dataset_names]
        rows = [{"name": d.name, "title": d.title, "classes": d.num_classes, "shape": "×".join(map(str, d.shape)),
                 "train": d.train_size, "test": d.test_size, "licence": d.licence} for d in sets]
    if as_json:
        _print_json(rows)
    elif rows:
        _table(list(rows[0]), [[str(value) for value in row.values()] for row in rows],
               frozenset({"entries", "seeds", "classes", "train", "test", "year"}))


@app.command(epilog="Example: regbench show jacobian")
def show(name: Annotated[str, typer.Argument(help="A track, regularizer, architecture, dataset, entry id or trial key.")],
         as_json: Json = False) -> None:
    """Show one registered thing, or what is known of an entry's trials."""
    registry = Registry()
    plain, _ = split_options(name)
    data: Any
    if name in registry.track_names:
        data = registry.track(name).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    elif plain in registry.regularizer_folders:
        method, params = registry.params(name)
        data = method.card.model_dump(mode="json", exclude_none=True) | {
            "given": params, "code": str(method.folder / "regularizer.py"), "sha256": method.sha256}
    elif plain in registry.architectures or name.startswith("timm:"):
        data = registry.architecture(name).model_dump(mode="json")
    elif plain in registry.dataset_names:
        data = registry.dataset(name).model_dump(mode="json", exclude_none=True)
    else:
        data = _known_trials(registry, name)
    if as_json:
        _print_json(_without_nan(data))
        return
    for key, value in data.items():
        print(f"{key}: {json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value}")


def _known_trials(registry: Registry, name: str) -> dict[str, Any]:
    from .runner import store

    if "/" in name:
        keys = {trial.key: (track.name, trial.seed) for track, trial in registry.select([name])}
    else:
        keys = {name: ("", None)}
    known = store().query('SELECT * FROM trial WHERE list_contains($keys, key)', keys=list(keys))
    if "/" not in name and known.empty:
        everything = [*registry.track_names, *registry.regularizer_folders, *registry.architectures, *registry.dataset_names]
        raise InputError(f"show: {nearest(name, everything)}")
    rows = {row["key"]: row for row in known.to_dict("records")}
    return {key: {"track": track, "seed": seed, "status": "not run"} | rows.get(key, {}) for key, (track, seed) in keys.items()}


@app.command(epilog="Example: regbench plan quickstart 'fashion_mnist:5,9/*/jacobian/*'")
def plan(selectors: Selectors, seeds: Seeds = None, as_json: Json = False) -> None:
    """Say what a run would do: how many trials, how many of them are done."""
    from . import runner

    chosen = runner.plan((trial for _, trial in Registry().select(selectors, seeds)), runner.store())
    counts = {"trials": len(chosen.trials), "done": chosen.done, "to_run": len(chosen.to_run)}
    if as_json:
        _print_json(counts)
    else:
        print(f"{counts['trials']} trials (references included): {counts['done']} done, {counts['to_run']} to run")


@app.command(epilog="Example: regbench run quickstart --workers 2, and then regbench run quickstart --tier verified")
def run(selectors: Selectors, seeds: Seeds = None,
        tier: Annotated[str, typer.Option(help="quick: the track's own threats. standard, verified: then also APGD or "
                                          "AutoAttack on the whole test set, for each method's selected λ.")] = "quick",
        workers: Annotated[int, typer.Option(min=1, help="Processes at once, one thread each.")] = os.cpu_count() or 1,
        device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N; auto takes the GPU where there is one.")] = "auto",
        time_limit: Annotated[float, typer.Option(min=1, help="Seconds after which a trial is ended and recorded as failed."
                                                  )] = math.inf,
        as_json: Json = False) -> None:
    """Run a selection: what is done is skipped, what was interrupted goes on. Ends with 1 if a trial failed."""
    from . import progress, runner

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise InputError(f"--device: {nearest(device, ('auto', 'cpu', 'cuda', 'cuda:0'), 'a device')}")
    if tier not in ("quick", *TIER_ATTACKS):
        raise InputError(f"--tier: {nearest(tier, ('quick', *TIER_ATTACKS), 'a tier')}")
    registry = Registry()
    trials = [trial for _, trial in registry.select(selectors, seeds)]
    tracks = [registry.track(name) for name in selectors] if tier != "quick" else []  # a λ is selected within a track
    for track in tracks:
        track.tier_part(cast("Tier", tier), 1)  # refuses a headline without ε before anything runs
    home, store = runner.home(), runner.store()

    def follow(trials: list[Trial]) -> int:
        chosen = runner.plan(trials, store)
        harvested = runner.harvest(chosen.to_run, home, store)
        if harvested:
            chosen = runner.plan(trials, store)
        return progress.follow(chosen, harvested, home, store, workers, device, time_limit, as_json=as_json)

    with runner.sole_runner(home):
        failed = follow(trials)
        if tracks and not failed:
            from . import rank

            higher = []
            for track in tracks:
                mine = [trial for _, trial in registry.select([track.name], seeds)]
                table = rank.standings(track, mine, store.scores({trial.key for trial in mine}))
                higher += rank.for_tier(track, mine, table, cast("Tier", tier))
            failed = follow(higher)
    if failed:
        raise typer.Exit(1)


@app.command(epilog="Example: regbench rank quickstart --json")
def rank(tracks: Annotated[list[str], typer.Argument(help="Track names.")], as_json: Json = False) -> None:
    """Rank the methods of tracks: λ chosen on validation images, means over seeds with 95 % intervals."""
    from . import runner
    from .rank import selected_trials, standings, with_worst_case

    registry, everything = Registry(), []
    for name in tracks:
        track = registry.track(name)
        trials = [trial for _, trial in registry.select([name])]
        table = standings(track, trials, runner.store().scores({trial.key for trial in trials}))
        keys = {trial.key for group in selected_trials(track, trials, table) for trial in group}
        table = with_worst_case(track, trials, table, runner.store().examples(keys, "correct"))
        rows = [_without_nan(row) for row in json.loads(table.to_json(orient="records", double_precision=15))]
        everything += rows
        if not as_json:
            _print_standings(track, rows)
    if as_json:
        _print_json(everything)


def _print_standings(track: Any, rows: list[dict[str, Any]]) -> None:
    seeds = rows[0]["seeds"] if rows else 0
    print(f"\n{track.title} ({track.name}); {seeds} of {track.seeds} seeds; mean ± 95 % interval")
    if not seeds:
        print(f"nothing has run yet: regbench run {track.name}")
        return

    def number(row: dict[str, Any], column: str, scale: float = 100) -> str:
        if row[column] is None:
            return ""
        width = row[f"{column}_half_width"]
        return f"{scale * row[column]:.1f}" + (f" ± {scale * width:.1f}" if width is not None else "")

    columns = ["clean", *(threat.id for threat in track.threats), "worst"]
    header = ["rank", "architecture", "method", "λ", *columns, "tier", "cost ×", "note"]
    _table(header, [[str(row["rank"] or "–"), row["architecture"], row["regularizer"],
                     "" if row["lambda"] is None else f"{row['lambda']:g}", *(number(row, column) for column in columns),
                     row["tier"], "" if row["cost"] is None else f"{row['cost']:.1f}", row["why"]] for row in rows],
           frozenset({"rank", "λ", "cost ×", *columns}))
    print(f"ranked by {track.headline}, in percent (distances: 100·‖r‖/‖x‖); worst: under the union of all attacks within "
          "the norm and ε that rank")


@app.command(epilog="Example: regbench collect")
def collect() -> None:
    """Build the database anew, or complete it, from the outcomes that runs left behind."""
    from . import runner

    home = runner.home()
    with runner.sole_runner(home):
        count = runner.collect(home, runner.store())
    print(f"{count} outcomes are in {home / runner.DATABASE}")


@app.command("app", epilog="Example: regbench app --port 8600")
def app_(host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "localhost",
         port: Annotated[int, typer.Option(min=1, max=65535)] = 8501) -> None:
    """Open the leaderboard in a browser."""
    script = Path(__file__).resolve().parent.parent / "leaderboard_app" / "app.py"
    print(f"leaderboard on http://{host}:{port} (Ctrl-C ends it)", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(script), f"--server.address={host}",
                              f"--server.port={port}", "--server.headless=true", "--browser.gatherUsageStats=false",
                              "--server.fileWatcherType=none", "--client.toolbarMode=viewer"])


@app.command(epilog="Example: regbench doctor")
def doctor(as_json: Json = False) -> None:
    """Check this machine: versions, device, data, database. Ends with 1 where something is missing that a run needs."""
    from .doctor import examine

    findings = examine()
    if as_json:
        _print_json(findings)
    else:
        for finding in findings:
            print(f"{'ok  ' if finding['ok'] else 'MISS'}  {finding['name']}: {finding['detail']}")
    if not all(finding["ok"] or finding["optional"] for finding in findings):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
