"""Outcomes as the tables that `insert.sql` takes in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from .connection import keyless, keys
from .outcome import Outcome
from .rows import Rows

INSERT = Path(__file__).with_name("insert.sql")
REPLACED = """
SELECT key FROM trial JOIN told USING (key)
WHERE told.status != 'failed'
  AND told.provenance->>'weights_sha256' IS DISTINCT FROM trial.provenance->>'weights_sha256'
"""
# Declared, so that no row decides its column's type: NaN and NULL stay apart.
_TOLD = pa.schema(
    {
        **dict.fromkeys(("key", "dataset", "architecture", "regularizer"), pa.string()),
        "lambda": pa.float64(),
        "seed": pa.int32(),
        **dict.fromkeys(("status", "error"), pa.string()),
        "iterations": pa.int64(),
        **dict.fromkeys(("train_seconds", "evaluate_seconds"), pa.float64()),
        **dict.fromkeys(("started", "spec", "provenance"), pa.string()),
    }
)
_SCORES = pa.schema(
    {
        **dict.fromkeys(("trial_key", "threat", "split", "metric"), pa.string()),
        "value": pa.float64(),
        **dict.fromkeys(("n", "examples"), pa.int32()),
        "flags": pa.list_(pa.string()),
    }
)


def insert(connection: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """What is there already stays as it is, unless it is of other weights: then it goes. A failed
    outcome leaves an attempt only.
    """
    with _registered(connection, rows):
        replaced = [key for (key,) in connection.execute(REPLACED).fetchall()]
        if replaced:
            for table, columns in keys().items():
                if table != "attempt":
                    of = f"DELETE FROM {table} WHERE list_contains($keys, {columns[0]})"
                    connection.execute(of, {"keys": replaced})
        connection.execute(INSERT.read_text())


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, rows: Rows) -> Iterator[None]:
    """The rows as the tables that the statements read."""
    kept = [outcome for outcome in rows.outcomes if outcome.status != "failed"]
    tables = {"told": _told(rows.outcomes), "scores": _scores(kept), "lists": rows.lists}
    for name, table in tables.items():
        connection.register(name, table)
    yield
    for name in tables:
        connection.unregister(name)


def build(connection: duckdb.DuckDBPyConnection, files: Iterable[Rows]) -> None:
    """The tables, with what the files hold, to be read only: without primary keys. Of what two
    files hold the earlier counts.
    """
    connection.execute(keyless())
    sql, seen, shared = INSERT.read_text().replace("ON CONFLICT DO NOTHING", ""), set(), False
    for rows in files:
        with _registered(connection, rows):
            connection.execute(sql)
        mine = {outcome.key for outcome in rows.outcomes}
        shared = shared or not seen.isdisjoint(mine)
        seen |= mine
    if shared:
        for table, columns in keys().items():
            first = f"SELECT min(rowid) FROM {table} GROUP BY {', '.join(columns)}"
            connection.execute(f"DELETE FROM {table} WHERE rowid NOT IN ({first})")


def _told(outcomes: Sequence[Outcome]) -> pa.Table:
    columns: dict[str, list[Any]] = {}
    for column in _TOLD.names:
        field = "strength" if column == "lambda" else column
        columns[column] = [getattr(outcome, field) for outcome in outcomes]
    for column in ("spec", "provenance"):
        columns[column] = [json.dumps(value, sort_keys=True) for value in columns[column]]
    return pa.Table.from_pydict(columns, schema=_TOLD)


def _scores(outcomes: Sequence[Outcome]) -> pa.Table:
    keys = [outcome.key for outcome in outcomes for _ in outcome.scores]
    scores = [score for outcome in outcomes for score in outcome.scores]
    columns = {
        column: keys if column == "trial_key" else [getattr(score, column) for score in scores]
        for column in _SCORES.names
    }
    return pa.Table.from_pydict(columns, schema=_SCORES)
