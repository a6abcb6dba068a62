"""Files of rows read by the database itself give the tables that outcomes read one by one give."""

import json
import math

import duckdb
import pytest

from benchmark.records.outcome import Epoch, Examples, Layer, Outcome, Score
from benchmark.records.registered import _marked, outcomes
from benchmark.records.store import TABLES, Store
from registry.load import Registry


@pytest.fixture
def files(tmp_path):
    """Rows with NaN, infinities, flags, provenance, a failed and a diverged one, and one twice."""
    trials = [trial for _, trial in Registry().select(["quickstart"], 1)]
    rows = [
        Outcome.of(
            trials[0],
            status="finished",
            iterations=7,
            train_seconds=1.5,
            started="2026-01-01T00:00:00+00:00",
            provenance={"standing": "claimed", "torch": "2"},
            scores=(
                Score(threat="clean", split="test", metric="loss", value=math.nan, n=2, examples=2),
                Score(
                    threat="honesty",
                    split="test",
                    metric="x",
                    value=math.inf,
                    n=2,
                    examples=2,
                    flags=("a", "b"),
                ),
            ),
            examples=(
                Examples(
                    threat="clean",
                    split="test",
                    metric="loss",
                    examples=2,
                    values=(0.1, -math.inf),
                ),
            ),
            layers=(Layer(layer="fc1", kind="linear", metric="sigma_std", value=0.25),),
            epochs=(
                Epoch(
                    phase="reference",
                    epoch=0,
                    loss=1.0,
                    penalty=0.0,
                    accuracy=0.5,
                    learning_rate=0.1,
                ),
            ),
        ),
        Outcome.of(trials[1], status="diverged"),
        Outcome.of(trials[2], status="failed", error="RuntimeError: no"),
    ]
    lines = [row.model_dump_json(by_alias=True, exclude_defaults=True) for row in rows]
    other = rows[0].model_copy(update={"iterations": 8}).model_dump_json(by_alias=True)
    (tmp_path / "a.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "b.jsonl").write_text(f"{other}\n")
    return [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]


def contents(store, table):
    with duckdb.connect(str(store.path), read_only=True) as connection:
        found = connection.execute(f"SELECT * FROM {table} ORDER BY ALL")
        names = [column[0] for column in found.description]
        rows = found.fetchall()
    read = {"spec": json.loads, "provenance": json.loads}
    return [{name: read.get(name, repr)(value) for name, value in zip(names, row)} for row in rows]


def test_both_roads_give_the_same_tables(files, tmp_path):
    fast, slow = Store(tmp_path / "fast.duckdb"), Store(tmp_path / "slow.duckdb")
    assert fast.record_lines(files)
    for path in files:
        slow.record(_marked(outcomes(path)))
    for table in TABLES:
        assert contents(fast, table) == contents(slow, table), table
    assert len(contents(fast, "trial")) == 2


@pytest.mark.parametrize("line", ["{", '{"key": "k"}', '{"key": 1, "seed": "x"}'])
def test_a_line_that_is_no_outcome_leaves_nothing_behind(files, tmp_path, line):
    with files[0].open("a") as file:
        file.write(f"{line}\n")
    store = Store(tmp_path / "fast.duckdb")
    assert not store.record_lines(files)
    assert store.query("SELECT * FROM trial").empty
