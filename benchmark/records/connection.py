"""How the DuckDB file is opened: one process may hold it at a time, so others wait."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb

from registry.read import shown
from registry.spec import InputError, Unavailable

SCHEMA = Path(__file__).with_name("schema.sql")
TABLES = ("trial", "attempt", "score", "example", "layer", "epoch")
PATIENCE = 30.0  # seconds to wait for another process to let go of the file
LOOK_EVERY = 0.05  # seconds
COLLECT = "`regbench collect` builds it anew from the outcomes"
REMOVE = "remove it: it is built anew from the registered files"
FULL = os.strerror(errno.ENOSPC)


@contextmanager
def opened(
    path: Path,
    read_only: bool,
    patience: float,
    on_wait: Callable[[str], None],
    beside: Path | None = None,
    remedy: str = COLLECT,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database, closed at the end.

    Args:
        patience: seconds to wait for another process to let go of it.
        on_wait: is told once who holds it.
        beside: the registered rows, which are read where `path` lacks them.
        remedy: what to do where the file is Broken.
    Raises:
        Unavailable: another process holds it for longer.
        Broken: it is no database, or has other tables.
        NoRoom: its disk is full.
    """
    if os.path.lexists(path) and not path.is_file():
        raise Broken(path, "it is no file", remedy)  # a pipe would be waited for
    try:
        connection = _connected(path, read_only, patience, on_wait)
    except duckdb.Error as error:
        raise refusal(path, error, remedy) from None
    try:
        if not _has_tables(connection, read_only):
            raise Broken(path, "its tables are of another version", remedy)
        if beside is not None:
            _join(connection, beside)
        yield connection
    finally:
        connection.close()


def _connected(
    path: Path, read_only: bool, patience: float, on_wait: Callable[[str], None]
) -> duckdb.DuckDBPyConnection:
    deadline, told = time.monotonic() + patience, False
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            who = _holder(error)
            if who is None:
                raise
        if time.monotonic() > deadline:
            raise Unavailable(f"{shown(path)}: is held by {who}; wait for it to finish or end it")
        if not told:
            on_wait(f"waiting for {shown(path)}, held by {who}")
            told = True
        time.sleep(LOOK_EVERY)


def _holder(error: duckdb.Error) -> str | None:
    """The process that holds the file, where that is why it could not be opened."""
    found = re.search(r"held in (\S*) ?\(PID (\d+)\)", str(error))
    return f"process {found[2]} ({Path(found[1]).name})" if found else None


def log(path: Path) -> Path:
    """Where a killed writer leaves what is not in the file yet."""
    return path.with_name(f"{path.name}.wal")


class NoRoom(InputError):
    """The disk has no room for what is to be written."""

    def __init__(self, path: Path):
        super().__init__(
            f"{shown(path)}: cannot be written: {FULL}; free some and run again: what has "
            "finished is kept"
        )


class Broken(InputError):
    """A file that is no database, or one of other tables."""

    def __init__(self, path: Path, why: object, remedy: str = COLLECT):
        reason = str(why).splitlines()[0][:100]
        super().__init__(f"{shown(path)}: cannot be read ({reason}); {remedy}")


def refusal(path: Path, error: duckdb.Error, remedy: str = COLLECT) -> Broken | NoRoom:
    """What to raise for what DuckDB says of a file that no other process holds."""
    return NoRoom(path) if FULL in str(error) else Broken(path, error, remedy)


def _has_tables(connection: duckdb.DuckDBPyConnection, read_only: bool) -> bool:
    """Whether they are the schema's, in its form, or none at all, as a killed writer leaves it. To
    read, tables need no keys.
    """
    found = _tables(connection)
    return not found or found == _declared(True) or (read_only and found == _declared(False))


def keyless() -> str:
    """The schema without primary keys: they take as long and as much room as the rows."""
    return re.sub(r",?\s+PRIMARY KEY( \(.*\))?", "", SCHEMA.read_text())


@cache
def _declared(with_keys: bool) -> dict[str, str]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(SCHEMA.read_text() if with_keys else keyless())
        return _tables(connection)


@cache
def keys() -> dict[str, list[str]]:
    """Table → the columns of its primary key."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(SCHEMA.read_text())
        found = connection.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type = 'PRIMARY KEY'"
        )
        return dict(found.fetchall())


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Name → the statement that made it."""
    return dict(
        connection.execute(
            "SELECT table_name, sql FROM duckdb_tables() WHERE database_name = current_database()"
        ).fetchall()
    )


# Of the trials of which both know, those that trained to other weights here.
OTHER_WEIGHTS = """
 WHERE trial_key NOT IN (
    SELECT key FROM {here}.trial AS ours JOIN registered.trial AS theirs USING (key)
    WHERE ours.provenance->>'weights_sha256'
          IS DISTINCT FROM theirs.provenance->>'weights_sha256'
)"""


def _join(connection: duckdb.DuckDBPyConnection, registered: Path) -> None:
    """Puts views over the tables of an open database that add the registered rows whose primary key
    it lacks, but none of a trial that has trained to other weights here: what is proven of the ones
    is not of the others.
    """
    path = str(registered).replace("'", "''")
    try:
        connection.execute(f"ATTACH IF NOT EXISTS '{path}' AS registered (READ_ONLY)")
    except duckdb.Error as error:
        raise Broken(registered, error, REMOVE) from None
    ours_are_there = bool(_tables(connection))  # else a writer was killed before anything was in it
    found = connection.execute("SELECT current_database()").fetchone()
    assert found is not None
    here = f'"{found[0]}".main'
    for table in TABLES:
        query = f"SELECT * FROM registered.{table}"
        if ours_are_there:
            ours = f"{here}.{table}"
            columns = keys()[table]
            # Of the trials that both know: all of ours, hashed, would take a hundred megabytes.
            of_both = f"FROM {ours} WHERE {columns[0]} IN (SELECT key FROM registered.trial)"
            lacking = f"ANTI JOIN ({of_both}) USING ({', '.join(columns)})"
            query = f"SELECT * FROM {ours} UNION ALL {query} {lacking}"
            if table != "trial":
                query += OTHER_WEIGHTS.format(here=here)
        connection.execute(f"CREATE TEMP VIEW {table} AS {query}")
