"""Registered results: the outcomes that the repository brings as JSON lines, and the database
imported from them.

`registry/results/<track>.jsonl` and `submissions/<name>/results.jsonl` hold one Outcome a line.
They bring no weights.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from registry.places import HERE, further, submissions

from .connection import PATIENCE, SCHEMA
from .home import DATABASE, home, trial_folders
from .outcome import Outcome, read_lines
from .store import Store


def results() -> Path:
    """The folder of registered results: $REGBENCH_RESULTS, or registry/results/."""
    return Path(os.environ.get("REGBENCH_RESULTS") or HERE / "results").expanduser()


def files() -> list[Path]:
    """Every file of registered rows. Where two know the same row the earlier counts, so submissions
    come last.
    """
    found = sorted(results().glob("*.jsonl"))
    if "REGBENCH_RESULTS" in os.environ:
        return found
    for folder in further():
        found += sorted((folder / "results").glob("*.jsonl"))
    return [*found, *sorted(submissions().glob("*/results.jsonl"))]


def outcomes(path: Path) -> Iterator[Outcome]:
    """The rows of one file. Raises InputError naming the line that is no outcome."""
    return read_lines(path, "regbench export")


def database(home: Path) -> Path | None:
    """The registered rows as a database in `home/cache/`, imported once for each state of the
    files; None without files.
    """
    stamps = tuple(_stamp(path) for path in files())
    if not stamps:
        return None
    path = home / "cache" / f"registered-{_digest(stamps)}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.parent / ".registered", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the app's threads all ask at once
            if not path.exists():
                _import([file for file, *_ in stamps], path)
    return path


def _stamp(path: Path) -> tuple[Path, int, int]:
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


def _import(files: list[Path], path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    imported = Store(unfinished)
    if not imported.record_lines(files):
        for file in files:  # the road that names the line
            imported.record(_marked(outcomes(file)))
    for old in path.parent.glob("registered-*.duckdb"):
        old.unlink()
    unfinished.replace(path)


def _marked(rows: Iterator[Outcome]) -> Iterator[Outcome]:
    """With a standing in their provenance: a submission's rows have their own, and a run here has
    none.
    """
    for row in rows:
        yield row.model_copy(update={"provenance": {"standing": "registered"} | row.provenance})


@lru_cache(maxsize=1)
def _digest(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """Of the files' content and the tables' form; read again only when a file's time or size has
    changed.
    """
    digest = hashlib.sha256(SCHEMA.read_bytes())
    for path, *_ in stamps:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def open_store(folder: Path | None = None, patience: float = PATIENCE) -> Store:
    """The database of a home; where it lacks rows, or is not there at all, it reads the registered
    results.
    """
    folder = folder or home()
    return Store(folder / DATABASE, patience, database(folder))


def collect(home: Path, store: Store) -> int:
    """Records every outcome under `home`, then every registered one: builds the database anew where
    it is gone.

    Returns how many there were.
    """
    here = (folder.outcome() for folder in trial_folders(home))
    found = [outcome for outcome in here if outcome is not None]
    for path in files():
        found += outcomes(path)
    if found:
        store.record(found)
    return len(found)
