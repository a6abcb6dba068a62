"""The DuckDB store. One process may hold the file at a time, so every call opens it, does its work
and closes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from .connection import PATIENCE, REMOVE, SCHEMA, log, opened, refusal
from .outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

    from .rows import Rows

CONTRADICTIONS = Path(__file__).with_name("contradictions.sql")
# By name; an evaluation may have gone on elsewhere.
TRAINED_ON = "coalesce(provenance->>'trained_on', provenance->>'device_name')"
# A virtual processor's name may stand for several that differ in speed. Its family tells them
# apart, and is known where a trial was evaluated on what it was trained on.
DEVICE = f"""
CASE WHEN {TRAINED_ON} = provenance->>'device_name'
     THEN concat_ws(', ', {TRAINED_ON}, provenance->>'processor') ELSE {TRAINED_ON} END
"""
ALONE = "CASE WHEN coalesce(provenance->>'engine', '') NOT LIKE 'stacked%' THEN train_seconds END"
SCORES = f"""
WITH training AS (
    SELECT *, {ALONE} AS seconds_alone, {DEVICE} AS trained_on FROM trial
), registered_training AS (
    SELECT key, {ALONE} AS registered_seconds, {DEVICE} AS registered_on FROM {{registered}}
    WHERE status = 'finished'
)
SELECT t.key, t.dataset, t.architecture, t.regularizer, t."lambda", t.seed, t.status,
       seconds_alone, trained_on, registered_seconds, registered_on,
       s.threat, s.split, s.metric, s.examples, s.value, s.n, s.flags
FROM training t LEFT JOIN score s ON s.trial_key = t.key LEFT JOIN registered_training USING (key)
WHERE list_contains($keys, t.key)
"""
# Trials that need not run: they diverged, or have scores of all the parts.
DONE = """
WITH part AS (
    SELECT unnest($threat) AS threat, unnest($split) AS split, unnest($examples) AS examples
), scored AS (
    SELECT DISTINCT trial_key, threat, split, examples FROM score
    SEMI JOIN part USING (threat, split, examples)
)
SELECT key FROM trial WHERE status = 'diverged'
UNION SELECT trial_key FROM scored GROUP BY trial_key HAVING count(*) = $count
"""
COSTS = f"""
SELECT dataset, architecture, regularizer, split_part(provenance->>'device', ':', 1) AS device,
       median(train_seconds / iterations) AS step, median(evaluate_seconds) AS evaluation
FROM trial WHERE status = 'finished' AND iterations > 0
  AND {TRAINED_ON} IS NOT DISTINCT FROM provenance->>'device_name'
GROUP BY ALL
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
        known = (self.path, log(self.path), self.registered)
        return [path for path in known if path is not None and path.exists()]

    def _open(
        self, read_only: bool, on_wait: Callable[[str], None] = lambda who: None
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """To read, the registered rows stand in where there is no file yet, and beside it else."""
        if not (read_only and self.registered):
            return opened(self.path, read_only, self.patience, on_wait)
        if not self._has_both:
            return opened(self.registered, read_only, self.patience, on_wait, remedy=REMOVE)
        return opened(self.path, read_only, self.patience, on_wait, beside=self.registered)

    @property
    def _has_both(self) -> bool:
        """Whether registered rows are read beside those of a file."""
        return self.registered is not None and os.path.lexists(self.path)

    def record(
        self, outcomes: Iterable[Outcome], on_wait: Callable[[str], None] = lambda who: None
    ) -> None:
        """Inserts outcomes, all or none. A failed one leaves an attempt only, so that the next run
        tries it again.
        """
        from .rows import Rows

        self.record_rows([Rows.of(outcomes)], on_wait)

    def record_rows(
        self, rows: Iterable[Rows], on_wait: Callable[[str], None] = lambda who: None
    ) -> None:
        """Inserts what files of rows hold, all or none. Raises Unavailable where the database is
        held, Broken or NoRoom where it cannot take them.
        """
        from .inserting import insert

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open(read_only=False, on_wait=on_wait) as connection:
            try:
                connection.execute("BEGIN")
                connection.execute(SCHEMA.read_text())
                for each in rows:
                    insert(connection, each)
                connection.execute("COMMIT")
            except duckdb.Error as error:
                raise refusal(self.path, error) from None

    def query(self, sql: str, **parameters: Any) -> pd.DataFrame:
        """A table, empty where there is no database yet. Raises Unavailable where the database is
        held, Broken where it cannot be read.
        """
        import pandas as pd

        if not (os.path.lexists(self.path) or self.registered):
            return pd.DataFrame()
        with self._open(read_only=True) as connection:
            try:
                return connection.execute(sql, parameters or None).df()
            except duckdb.CatalogException:  # created, but killed before anything was in it
                return pd.DataFrame()
            except duckdb.Error as error:
                raise refusal(self.path, error) from None

    def scores(self, keys: Iterable[str]) -> pd.DataFrame:
        """One row a score of the trials, and one without a score for a trial that diverged.

        `seconds_alone` is how long its training took, where it was not trained in a stack, whose
        time tells nothing of one of its models; `registered_seconds` and `registered_on` are the
        same of the registered training, where there is one.
        Among them "certified_and_broken", with its flag, of a certificate that an attack refutes.
        """
        registered = "registered.trial" if self._has_both else "(FROM trial LIMIT 0)"
        scores = SCORES.format(registered=registered)
        everything = f"{scores} UNION ALL BY NAME ({CONTRADICTIONS.read_text()})"
        return self.query(everything, keys=list(keys))

    def contradictions(self) -> pd.DataFrame:
        """The scores "certified_and_broken" of all trials; there are none, or something lies."""
        return self.query(
            CONTRADICTIONS.read_text(),
            keys=list(self.query("SELECT key FROM trial").get("key", ())),
        )

    def examples(self, keys: Iterable[str], metric: str, split: str = "test") -> pd.DataFrame:
        """Per-example values: columns key, threat, examples, values."""
        return self.query(
            'SELECT trial_key AS key, threat, examples, "values" FROM example '
            "WHERE list_contains($keys, trial_key) AND metric = $metric AND split = $split",
            keys=list(keys),
            metric=metric,
            split=split,
        )

    def layers(self, keys: Iterable[str]) -> pd.DataFrame:
        """Per-layer singular values: columns key, layer, kind, metric, value."""
        return self.query(
            "SELECT trial_key AS key, layer, kind, metric, value FROM layer "
            "WHERE list_contains($keys, trial_key) ORDER BY key, layer, metric",
            keys=list(keys),
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

    def count(self) -> int:
        """How many trials are known."""
        return len(self.query("SELECT key FROM trial"))

    def costs(self) -> pd.DataFrame:
        """What trials have cost, in median seconds: columns dataset, architecture, regularizer,
        device ("cpu" or "cuda"), step (of training), evaluation.
        """
        return self.query(COSTS)

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

    def weights(self, keys: Iterable[str]) -> dict[str, str]:
        """Key → hash of the weights that its scores are of; without rows that tell none."""
        found = self.query(
            "SELECT key, provenance->>'weights_sha256' AS weights FROM trial "
            "WHERE list_contains($keys, key) AND weights IS NOT NULL",
            keys=list(keys),
        )
        return dict(zip(found["key"], found["weights"])) if len(found) else {}

    def done(self, keys: Iterable[str], parts: Sequence[tuple[str, str, int]]) -> set[str]:
        """Those of the trials that need not run: they diverged, or have scores of all the parts
        (threat, split, examples).
        """
        columns = {
            "threat": [part[0] for part in parts],
            "split": [part[1] for part in parts],
            "examples": [part[2] for part in parts],
        }
        found = self.query(DONE, **columns, count=len(set(parts)))
        return set(keys) & set(found.get("key", ()))
