"""A database that is none of ours, or not whole, is told in one line; `collect` builds it anew."""

import os

import duckdb
import pytest

from benchmark.records.home import DATABASE, TrialFolder
from benchmark.records.outcome import Outcome, Score
from benchmark.records.registered import collect, open_store
from benchmark.records.store import Store
from registry.load import Registry
from registry.spec import LONGEST, InputError


@pytest.fixture
def store(tmp_path, monkeypatch):
    """With a trial's scores, whose outcome lies in the home."""
    monkeypatch.setenv("REGBENCH_HOME", str(tmp_path))
    trial = Registry().select(["quickstart"], 1)[0][1]
    score = Score(threat="clean", split="test", metric="accuracy", value=0.5, n=2, examples=2)
    outcome = Outcome.of(trial, status="finished", scores=(score,))
    TrialFolder(tmp_path, trial.key).finish(outcome)
    store = open_store()
    store.record([outcome])
    return store


def said(store, sql):
    with duckdb.connect(str(store.path)) as connection:
        connection.execute(sql)


def text_for_a_number(store):
    said(
        store,
        "CREATE TABLE s AS SELECT * REPLACE ('many' AS value) FROM score; DROP TABLE score; "
        "ALTER TABLE s RENAME TO score",
    )


def another_column(store):
    said(store, "ALTER TABLE trial RENAME spec TO specs")


def a_table_missing(store):
    said(store, "DROP TABLE epoch")


def no_rules(store):
    said(store, "CREATE TABLE s AS FROM score; DROP TABLE score; ALTER TABLE s RENAME TO score")


def truncated(store):
    os.truncate(store.path, 5000)


def no_database(store):
    store.path.write_text("rows")


def pipe(store):
    store.path.unlink()
    os.mkfifo(store.path)


def itself(store):
    store.path.unlink()
    store.path.symlink_to(store.path)


SPOILT = [
    *(text_for_a_number, another_column, a_table_missing, no_rules),
    *(truncated, no_database, pipe, itself),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_another_database_is_told_in_one_line_and_collect_builds_it_anew(store, tmp_path, spoil):
    before = store.query("SELECT * FROM score").astype(str).to_dict("records")
    spoil(store)
    with pytest.raises(InputError, match=r"`regbench collect` builds it anew") as caught:
        store.query("SELECT * FROM score")
    text = str(caught.value)
    assert DATABASE in text
    assert len(text) <= LONGEST and text.isprintable()
    with pytest.raises(InputError):
        store.record([])
    assert collect(tmp_path, store) == 1
    assert store.query("SELECT * FROM score").astype(str).to_dict("records") == before
    assert os.path.lexists(store.path.with_suffix(".quarantined"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE score SET value = 7.5",
        "UPDATE score SET value = 'NaN'",
        "UPDATE score SET n = 3",
        "UPDATE score SET split = 'testing'",
        "UPDATE trial SET seed = -1",
        "UPDATE trial SET status = 'done'",
    ],
)
def test_the_tables_take_no_value_that_cannot_be(store, change):
    with pytest.raises(duckdb.ConstraintException):
        said(store, change)


def test_a_database_in_which_nothing_is_yet_is_none(tmp_path):
    duckdb.connect(str(tmp_path / DATABASE)).close()
    assert Store(tmp_path / DATABASE).query("SELECT * FROM trial").empty
