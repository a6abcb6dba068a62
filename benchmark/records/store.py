"""The DuckDB store. One process may hold the file at a time, so every call opens it, does its work
and closes it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from registry.read import shown
from registry.spec import InputError

from .outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = Path(__file__).with_name("schema.sql")
PATIENCE = 30.0  # seconds to wait for another process to let go of the file

TABLES = ("trial", "attempt", "score", "example", "layer", "epoch")
SCORES = """
SELECT t.key, t.dataset, t.architecture, t.regularizer, t."lambda", t.seed, t.status, t.train_seconds,
       s.threat, s.split, s.metric, s.examples, s.value, s.n, s.flags
FROM trial t LEFT JOIN score s ON s.trial_key = t.key
WHERE list_contains($keys, t.key)
"""


class Store:
    """What is known of every trial, in one file. Inserting the same outcome again changes nothing.

    Args:
        path: the file that is written to.
        patience: seconds to wait for another process to let go of it.
        registered: a database of registered results, never written to, whose rows are read where
            `path` lacks them.
    """

    def __init__(self, path: Path, patience: float = PATIENCE, registered: Path | None = None):
        self.path, self.patience, self.registered = path, patience, registered

    @property
    def files(self) -> list[Path]:
        """What its answers rest on, as far as it exists. A killed writer leaves its log beside the
        file.
        """
        known = (self.path, self.path.with_name(f"{self.path.name}.wal"), self.registered)
        return [path for path in known if path is not None and path.exists()]

    @contextmanager
    def _open(
        self, read_only: bool, on_wait: Callable[[str], None] = lambda who: None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """For reading the registered rows stand in where there is no file yet, and beside it else."""
        deadline, told = time.monotonic() + self.patience, False
        path = (
            self.registered
            if read_only and self.registered and not self.path.exists()
            else self.path
        )
        while True:
            try:
                connection = duckdb.connect(str(path), read_only=read_only)
                break
            except duckdb.IOException as error:
                holder = re.search(r"held in (\S*) ?\(PID (\d+)\)", str(error))
                if holder is None:
                    raise self._broken(error) from None
                who = f"process {holder[2]} ({Path(holder[1]).name})"
                if time.monotonic() > deadline:
                    raise InputError(
                        f"{shown(self.path)}: is held by {who}; wait for it to finish or end it"
                    ) from None
                if not told:
                    on_wait(f"waiting for {shown(self.path)}, held by {who}")
                    told = True
                time.sleep(0.05)
            except duckdb.Error as error:
                raise self._broken(error) from None
        try:
            if read_only and self.registered and path != self.registered:
                _join(connection, self.registered)
            yield connection
        finally:
            connection.close()

    def _broken(self, error: Exception) -> InputError:
        reason = str(error).splitlines()[0]
        return InputError(
            f"{shown(self.path)}: cannot be read ({reason}); move it away, then `regbench collect` "
            "builds it anew from the outcomes"
        )

    def record(
        self, outcomes: Iterable[Outcome], on_wait: Callable[[str], None] = lambda who: None
    ) -> None:
        """Inserts outcomes, all or none. A failed one leaves an attempt only, so that the next run
        tries it again.
        """
        import pyarrow as pa  # keeps NaN and NULL apart, which a pandas frame does not

        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        for outcome in outcomes:
            for table, new in _rows(outcome).items():
                rows[table] += new
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open(read_only=False, on_wait=on_wait) as connection:
            connection.execute("BEGIN")
            connection.execute(SCHEMA.read_text())
            for table, new in rows.items():
                if new:
                    connection.register("new_rows", pa.Table.from_pylist(new))
                    columns = ", ".join(f'"{column}"' for column in new[0])
                    connection.execute(
                        f"INSERT INTO {table} ({columns}) SELECT * FROM new_rows ON CONFLICT DO NOTHING"
                    )
                    connection.unregister("new_rows")
            connection.execute("COMMIT")

    def query(self, sql: str, **parameters: Any) -> pd.DataFrame:
        """A table, empty where there is no database yet. Raises InputError where the database is
        held or broken.
        """
        import pandas as pd

        if not (self.path.exists() or self.registered):
            return pd.DataFrame()
        with self._open(read_only=True) as connection:
            try:
                return connection.execute(sql, parameters or None).df()
            except duckdb.CatalogException:  # created, but killed before anything was in it
                return pd.DataFrame()
            except duckdb.Error as error:
                raise self._broken(error) from None

    def scores(self, keys: Iterable[str]) -> pd.DataFrame:
        """One row a score of the trials named, and one without a score for a trial that diverged."""
        return self.query(SCORES, keys=list(keys))

    def examples(self, keys: Iterable[str], metric: str, split: str = "test") -> pd.DataFrame:
        """Per-example values: columns key, threat, examples, values."""
        return self.query(
            'SELECT trial_key AS key, threat, examples, "values" FROM example '
            "WHERE list_contains($keys, trial_key) AND metric = $metric AND split = $split",
            keys=list(keys),
            metric=metric,
            split=split,
        )

    def trials(self, keys: Iterable[str]) -> pd.DataFrame:
        """What is known of each trial, provenance and all."""
        return self.query("SELECT * FROM trial WHERE list_contains($keys, key)", keys=list(keys))

    def attempts(self, keys: Iterable[str]) -> pd.DataFrame:
        """Every run of the trials, the latest first, also those that failed: columns key, started,
        status, error, provenance.
        """
        return self.query(
            "SELECT trial_key AS key, started, status, error, provenance FROM attempt "
            "WHERE list_contains($keys, trial_key) ORDER BY started DESC, key",
            keys=list(keys),
        )

    def layers(self, keys: Iterable[str]) -> pd.DataFrame:
        """Measures of the trials' layers: columns key, layer, kind, metric, value."""
        return self.query(
            "SELECT trial_key AS key, layer, kind, metric, value FROM layer "
            "WHERE list_contains($keys, trial_key) ORDER BY key, layer, metric",
            keys=list(keys),
        )

    def first_runs(self, keys: Iterable[str]) -> pd.DataFrame:
        """When each of the trials that is known first ran: columns key, started ("" where no
        attempt is kept).
        """
        return self.query(
            "SELECT key, coalesce(min(started), '') AS started FROM trial LEFT JOIN attempt "
            "ON trial_key = key WHERE list_contains($keys, key) GROUP BY key",
            keys=list(keys),
        )

    def sources(self, keys: Iterable[str]) -> dict[str, str]:
        """Key → whose word a row is: "claimed" or "verified" of a submission's, "registered", or
        "here" of a run here.
        """
        found = self.query(
            "SELECT key, coalesce(provenance->>'standing', 'here') AS standing FROM trial "
            "WHERE list_contains($keys, key)",
            keys=list(keys),
        )
        return dict(zip(found["key"], found["standing"])) if len(found) else {}

    def done(self, keys: Iterable[str], parts: Sequence[tuple[str, str, int]]) -> set[str]:
        """Those of the trials that need not run: they diverged, or have scores of all the parts
        (threat, split, examples).
        """
        columns = {
            "threat": [part[0] for part in parts],
            "split": [part[1] for part in parts],
            "examples": [part[2] for part in parts],
        }
        found = self.query(
            "WITH part AS (SELECT unnest($threat) AS threat, unnest($split) AS split, unnest($examples) AS examples) "
            "SELECT key FROM trial WHERE status = 'diverged' "
            "UNION SELECT trial_key FROM (SELECT DISTINCT trial_key, threat, split, examples FROM score "
            "SEMI JOIN part USING (threat, split, examples)) GROUP BY trial_key HAVING count(*) = $count",
            **columns,
            count=len(set(parts)),
        )
        return set(keys) & set(found.get("key", ()))


def _join(connection: duckdb.DuckDBPyConnection, registered: Path) -> None:
    """Puts views over the tables of an open database that add the registered rows whose primary key
    it lacks.
    """
    path = str(registered).replace("'", "''")
    connection.execute(f"ATTACH IF NOT EXISTS '{path}' AS registered (READ_ONLY)")
    keys = {
        (where, table): columns
        for where, table, columns in connection.execute(
            "SELECT database_name = current_database(), table_name, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type = 'PRIMARY KEY'"
        ).fetchall()
    }
    found = connection.execute("SELECT current_database()").fetchone()
    assert found is not None
    for table in TABLES:
        query = f"SELECT * FROM registered.{table}"
        if (
            True,
            table,
        ) in keys:  # else the file was created, but its writer killed before anything was in it
            ours = f'"{found[0]}".main.{table}'
            query = f"SELECT * FROM {ours} UNION ALL {query} ANTI JOIN {ours} USING ({', '.join(keys[True, table])})"
        connection.execute(f"CREATE TEMP VIEW {table} AS {query}")


def _rows(outcome: Outcome) -> dict[str, list[dict[str, Any]]]:
    provenance = json.dumps(outcome.provenance, sort_keys=True)
    attempt = {
        "trial_key": outcome.key,
        "started": outcome.started,
        "status": outcome.status,
        "error": outcome.error,
        "provenance": provenance,
    }
    if outcome.status == "failed":
        return {"attempt": [attempt]}
    data = outcome.model_dump(mode="python", by_alias=True)
    trial = {
        column: data[column]
        for column in (
            "key",
            "dataset",
            "architecture",
            "regularizer",
            "lambda",
            "seed",
            "status",
            "iterations",
            "train_seconds",
            "evaluate_seconds",
        )
    }
    trial |= {"spec": json.dumps(outcome.spec, sort_keys=True), "provenance": provenance}
    tables = {
        "score": data["scores"],
        "example": data["examples"],
        "layer": data["layers"],
        "epoch": data["epochs"],
    }
    children = {
        name: [
            {"trial_key": outcome.key}
            | {
                column: list(value) if isinstance(value, tuple) else value
                for column, value in row.items()
            }
            for row in rows
        ]
        for name, rows in tables.items()
    }
    return {"trial": [trial], "attempt": [attempt]} | children
