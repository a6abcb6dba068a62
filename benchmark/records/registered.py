"""Registered results: the rows that the repository brings, and the database imported from them.

`registry/results/<track>.jsonl` and `submissions/<name>/results.jsonl`, each with a Parquet file
beside it, are of the form that `rows` says. They bring no weights.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import duckdb

from registry.places import HERE, further, submissions, submitted
from registry.read import read_whole, shown
from registry.spec import InputError
from registry.write import set_aside

from . import inserting, rows
from .connection import PATIENCE, SCHEMA, Broken, log, refusal
from .home import DATABASE, home, trial_folders
from .outcome import Outcome
from .rules import clash
from .store import Store

COMMAND = "regbench export"
KEPT = 86_400  # seconds for which a run that began with older rows finds their database still there


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
    brought = (folder / "results.jsonl" for folder in submitted(submissions()))
    return [*found, *(path for path in brought if path.exists())]


def outcomes(path: Path) -> Iterator[Outcome]:
    """The rows of one file. Raises InputError naming the line that is no sound row."""
    return rows.outcomes(path, COMMAND)


def database(home: Path) -> Path | None:
    """The registered rows as a database in `home/cache/`, imported once for each state of the
    files; None without files.
    """
    paths = files()
    if not paths:
        return None
    stamps = tuple(_stamp(each) for path in paths for each in (path, rows.parquet(path)))
    path = home / "cache" / f"registered-{_digest(stamps)}.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path.parent / ".registered", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the app's threads all ask at once
            if not path.exists():
                _import(paths, path)
    return path


def _stamp(path: Path) -> tuple[Path, int, int]:
    """Raises InputError where the file is missing."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(
            f"{shown(path)}: cannot be read: {error.strerror}; take it back from where it came"
        ) from None
    return path, status.st_mtime_ns, status.st_size


def _import(paths: list[Path], path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    log(unfinished).unlink(missing_ok=True)
    try:
        with duckdb.connect(str(unfinished)) as connection:
            connection.execute("BEGIN")
            inserting.build(connection, _read(paths))
            connection.execute("COMMIT")
    except duckdb.Error as error:
        raise refusal(unfinished, error) from None
    for old in path.parent.glob("registered-*.duckdb"):
        if time.time() - old.stat().st_mtime > KEPT:
            old.unlink()
    unfinished.replace(path)


def _read(paths: list[Path]) -> Iterator[rows.Rows]:
    """Raises InputError for a line that is no sound row, and where two files give one score two
    values.
    """
    first: dict[str, Path] = {}  # the rows themselves would fill the memory

    @lru_cache(maxsize=1)
    def outcomes_of(path: Path) -> dict[str, Outcome]:
        return {outcome.key: outcome for outcome in rows.read(path, COMMAND).outcomes}

    for path in paths:
        found = rows.read(path, COMMAND)
        for outcome in found.outcomes:
            before = first.setdefault(outcome.key, path)
            if before == path:
                continue
            differs = clash(outcomes_of(before)[outcome.key], outcome)
            if differs is not None:
                raise InputError(
                    f"{shown(path)}: key {outcome.key}: {differs}, the former in {shown(before)}; "
                    f"`{COMMAND}` both from one home"
                )
        marked = [_marked(outcome) for outcome in found.outcomes]
        yield rows.Rows(marked, found.lists)


def _marked(row: Outcome) -> Outcome:
    """With a standing in its provenance: a submission's row has its own, a run here has none."""
    return row.model_copy(update={"provenance": {"standing": "registered"} | row.provenance})


@lru_cache(maxsize=1)
def _digest(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    """Of the files' content and the tables' form; read again only when a file's time or size has
    changed.
    """
    digest = hashlib.sha256(SCHEMA.read_bytes())
    for path, *_ in stamps:
        digest.update(hashlib.sha256(read_whole(path, rows.LARGEST)).digest())
    return digest.hexdigest()[:16]


def open_store(folder: Path | None = None, patience: float = PATIENCE) -> Store:
    """The database of a home; where it lacks rows, or is not there at all, it reads the registered
    results.
    """
    folder = folder or home()
    return Store(folder / DATABASE, patience, database(folder))


def collect(home: Path, store: Store) -> int:
    """Records every outcome under `home`: builds the database anew where it is gone or, set aside,
    cannot be read. The registered rows stay in their files, beside which a database is read.

    Returns how many there were. Raises InputError, and records nothing, where one is not sound.
    """
    here = [folder.sound_outcome() for folder in trial_folders(home)]
    found = rows.Rows.of(outcome for outcome in here if outcome is not None)
    if found.outcomes:
        try:
            store.record_rows([found])
        except Broken:
            for path in (store.path, log(store.path)):
                if os.path.lexists(path):
                    set_aside(path)
            store.record_rows([found])
    return len(found.outcomes)
