"""Files of rows: what was written is read again, DuckDB reads them too, and what is not sound is
refused in one line.
"""

import json
import math

import duckdb
import numpy as np
import pytest
from pydantic_core import PydanticSerializationError

from benchmark.records import rows
from benchmark.records.connection import TABLES
from benchmark.records.outcome import Epoch, Examples, Layer, Outcome, Score
from benchmark.records.rules import faults
from benchmark.records.seal import sealed, unsealed
from benchmark.records.store import Store
from registry.load import Registry
from registry.spec import LONGEST, InputError

HITS = (1.0, 0.0, 1.0, 1.0)


def clean(value, n=4, **more):
    told = {"threat": "clean", "split": "test", "metric": "accuracy", "n": n, "examples": 4}
    return Score(value=value, **told | more)


def column(values=HITS, metric="correct", **more):
    part = {"threat": "clean", "split": "test", "examples": 4}
    return Examples(metric=metric, values=values, **part | more)


@pytest.fixture(scope="module")
def trials():
    return [trial for _, trial in Registry().select(["quickstart"], 1)]


@pytest.fixture
def row(trials):
    """With NaN, infinities, a flag and a part of which there were fewer images than asked for."""
    return Outcome.of(
        trials[1],
        status="finished",
        iterations=7,
        train_seconds=1.5,
        started="2026-01-01T00:00:00+00:00",
        provenance={"torch": "2"},
        scores=(
            clean(0.75),
            Score(threat="clean", split="test", metric="loss", value=math.nan, n=4, examples=4),
            Score(
                threat="honesty",
                split="test",
                metric="randomised",
                value=math.inf,
                n=3,
                examples=9,
                flags=("randomised",),
            ),
        ),
        examples=(column(), column((0.5, math.inf, math.nan), "loss")),
        layers=(Layer(layer="fc1", kind="linear", metric="sigma_std", value=0.1),),
        epochs=(
            Epoch(
                phase="reference",
                epoch=0,
                loss=math.inf,
                penalty=-0.1,
                accuracy=0.5,
                learning_rate=0.1,
            ),
        ),
    )


@pytest.fixture
def all_rows(row, trials):
    return [
        row,
        Outcome.of(trials[2], status="diverged"),
        Outcome.of(trials[3], status="failed", error="RuntimeError: no"),
    ]


def same(one, other):
    """Equal, NaN among values included."""
    return repr(one) == repr(other)


def test_what_was_written_is_read_again(all_rows, tmp_path):
    rows.write(tmp_path / "a.jsonl", all_rows)
    found = list(rows.outcomes(tmp_path / "a.jsonl", "x"))
    assert [outcome.key for outcome in found] == sorted(outcome.key for outcome in all_rows)
    assert same(found, sorted(all_rows, key=lambda outcome: outcome.key))


def test_the_same_rows_give_the_same_bytes(all_rows, tmp_path):
    for name, order in (("a", 1), ("b", -1)):
        rows.write(tmp_path / f"{name}.jsonl", all_rows[::order])
    for suffix in ("jsonl", "parquet"):
        one, other = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert one == other


def contents(store, table):
    with duckdb.connect(str(store.path), read_only=True) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


def test_the_database_takes_from_files_what_it_takes_from_outcomes(all_rows, tmp_path):
    rows.write(tmp_path / "a.jsonl", all_rows)
    of_files, of_outcomes = Store(tmp_path / "files.duckdb"), Store(tmp_path / "outcomes.duckdb")
    of_files.record_rows([rows.read(tmp_path / "a.jsonl", "x")])
    of_outcomes.record(all_rows)
    for table in TABLES:
        assert same(contents(of_files, table), contents(of_outcomes, table)), table
    assert len(contents(of_files, "trial")) == 2
    assert len(contents(of_files, "attempt")) == 3


def test_duckdb_reads_both_files_by_itself(row, tmp_path):
    rows.write(tmp_path / "a.jsonl", [row])
    with duckdb.connect() as connection:
        connection.execute(f"SET file_search_path = '{tmp_path}'")
        scores = connection.execute(
            "SELECT part.key, unnest(map_entries(part.value), recursive := true) FROM (SELECT "
            "unnest(map_entries(scores)) AS part FROM read_json('a.jsonl', columns = "
            "{scores: 'MAP(VARCHAR, MAP(VARCHAR, DOUBLE))'}))"
        ).fetchall()
        values = connection.execute(
            "SELECT e.metric, coalesce(e.real, e.whole::FLOAT[]) FROM "
            "(SELECT unnest(examples) AS e FROM 'a.parquet')"
        ).fetchall()
    assert same(
        scores,
        [
            ("clean test 4", "accuracy", 0.75),
            ("clean test 4", "loss", math.nan),
            ("honesty test 3 of 9", "randomised", math.inf),
        ],
    )
    assert same(values, [("correct", list(HITS)), ("loss", [0.5, math.inf, math.nan])])


def changed(**fields):
    return lambda row: row.model_copy(update=fields)


UNSOUND = {
    "a share above one": (changed(scores=(clean(7.5),)), r"is 7.5, which must be within \[0, 1\]"),
    "a share that is none": (changed(scores=(clean(math.nan),)), "is nan, which must be within"),
    "no count of images": (changed(scores=(clean(0.7),)), "is 0.7, which is no share of 4"),
    "more images than asked for": (changed(scores=(clean(0.6, n=5),)), "n = 5 of 4"),
    "an accuracy that its hits are not": (changed(scores=(clean(0.5),)), "3 hits of 4, but an acc"),
    "an unknown metric": (changed(scores=(clean(0.5, metric="acuracy"),)), "is no known metric"),
    "an unknown threat": (changed(scores=(clean(0.5, threat="pgd-3"),)), "is no known threat"),
    "a flag that is not raised": (
        changed(scores=(clean(0.75, flags=("x",)),)),
        "its flags are not those",
    ),
    "no scores": (changed(scores=(), examples=()), "a finished trial has some"),
    "another key": (changed(key="0" * 16), "is not that of its own spec"),
    "another seed": (changed(seed=8), "seed: is 8, in the spec 0"),
    "another lambda": (changed(strength=0.5), "lambda: is 0.5, in the spec"),
    "no method": (changed(regularizer="none"), "regularizer: is none, and the spec has one"),
    "a name of control characters": (changed(dataset="\x1b[2J"), "dataset: must be 1 to 200"),
    "no time": (changed(started="yesterday"), "started: must be a time"),
    "an error without a failure": (changed(error="x"), "error: is told of a failed trial"),
    "hits that are none": (changed(examples=(column((0.0, 2.0)),)), "2 is among the values"),
    "too many hits": (changed(examples=(column((1.0,) * 5),)), "5 values of 4 images"),
    "values of no part": (
        changed(examples=(column(threat="fgsm-inf-0.1"),)),
        "there are no scores",
    ),
    "values twice": (changed(examples=(column(), column())), "correct .* is given twice"),
    "a negative loss": (changed(examples=(column((-1.0,), "loss"),)), "-1 is among the values"),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_a_row_that_cannot_be_is_refused_in_one_line(row, tmp_path, case):
    change, expected = UNSOUND[case]
    rows.write(tmp_path / "a.jsonl", [change(row)])
    with pytest.raises(InputError, match=expected) as caught:
        rows.read(tmp_path / "a.jsonl", "regbench export")
    text = str(caught.value)
    assert text.partition(": ")[0].endswith("a.jsonl")
    assert ": line 1: " in text
    assert len(text) <= LONGEST and text.isprintable()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"seed":0,"spec"', '"seed":2147483648,"spec"', "seed: input should be less than or equal"),
        ('"seed":0,"spec"', '"seed":"0","spec"', "seed: input should be a valid integer"),
        ('"train_seconds":1.5', '"train_seconds":-1', "train_seconds: input should be greater"),
        ('"iterations":7', f'"iterations":{"7" * 5000}', "number out of range"),
        ('"iterations":7', '"iteration":7', "did you mean 'iterations'"),
        ('"accuracy":0.75', '"accuracy":"0.75"', "accuracy: input should be a valid number"),
        ('"clean test 4"', '"clean tests 4"', "'clean tests 4' must be as 'clean test 360 of"),
        ('["randomised"]', '["loss"]', "flags: honesty test 3 of 9: loss is none of its metrics"),
        ('"torch":"2"', f'"torch":{"[" * 300}{"]" * 300}', "recursion limit exceeded"),
    ],
)
def test_a_field_of_another_form_is_named(row, tmp_path, old, new, expected):
    path = tmp_path / "a.jsonl"
    rows.write(path, [row])
    text = unsealed(path.read_bytes().rstrip()).decode()
    assert old in text
    path.write_text(sealed(text.replace(old, new)) + "\n")
    with pytest.raises(InputError, match=expected) as caught:
        rows.read(path, "regbench export")
    assert len(str(caught.value)) <= LONGEST and str(caught.value).isprintable()


def test_a_score_with_two_values_is_a_fault(row):
    twice = row.model_copy(update={"scores": (clean(0.75), clean(0.5)), "examples": ()})
    assert list(faults(twice)) == ["scores: accuracy under clean on test images: is given twice"]


def test_a_mean_that_is_not_that_of_the_values_is_refused(row, tmp_path):
    """The finite values' mean and their share, where every value is there."""
    part = {"threat": "measures", "split": "test", "n": 3, "examples": 3}
    told = {"margin": 1.5, "margin:median": 1.0, "margin:finite": 2 / 3}
    values = Examples(
        threat="measures", split="test", metric="margin", examples=3, values=(1.0, 2.0, math.inf)
    )

    def written(**other):
        scores = tuple(Score(metric=m, value=v, **part) for m, v in (told | other).items())
        mine = row.model_copy(update={"scores": scores, "examples": (values,)})
        rows.write(tmp_path / "a.jsonl", [mine])
        return rows.read(tmp_path / "a.jsonl", "x")

    written()
    with pytest.raises(InputError, match=r"their mean is 1.5, not 1.6"):
        written(margin=1.6)
    with pytest.raises(InputError, match=r"2 values are finite, but a share of 1"):
        written(**{"margin:finite": 1.0})


def test_lists_of_another_row_are_refused(row, tmp_path):
    rows.write(tmp_path / "a.jsonl", [row])
    other = row.model_copy(update={"examples": (column((1.0, 1.0)),)})
    rows.write(tmp_path / "b.jsonl", [other])
    (tmp_path / "b.parquet").replace(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"line 1: lists: are not those of a\.parquet; take both"):
        rows.read(tmp_path / "a.jsonl", "x")
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read: No such file"):
        rows.read(tmp_path / "a.jsonl", "x")


def test_rows_that_cannot_be_written_leave_both_files_as_they_were(row, tmp_path):
    path = tmp_path / "a.jsonl"
    rows.write(path, [row])
    before = path.read_bytes(), rows.parquet(path).read_bytes()
    spoilt = row.model_copy(update={"provenance": {"text": object()}})
    with pytest.raises(PydanticSerializationError):
        rows.write(path, [spoilt])
    assert (path.read_bytes(), rows.parquet(path).read_bytes()) == before


def test_a_row_without_its_line_or_its_seal_is_refused(all_rows, tmp_path):
    path = tmp_path / "a.jsonl"
    rows.write(path, all_rows)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match=r"has fewer lines than a\.parquet"):
        rows.read(path, "x")
    path.write_bytes(b"".join([*lines, lines[0]]))
    with pytest.raises(InputError, match="line 4: lists: are not those"):
        rows.read(path, "x")
    path.write_bytes(unsealed(lines[0].rstrip()) + b"\n" + b"".join(lines[1:]))
    with pytest.raises(InputError, match="line 1: is no sound row: sha256: is missing"):
        rows.read(path, "x")


def test_every_byte_of_a_sealed_object_counts():
    content = sealed(json.dumps({"a": 1, "b": [0.25]})).encode()
    assert json.loads(unsealed(content)) == {"a": 1, "b": [0.25]}
    for i in range(len('{"sha256":"0123456789abcdef",') - 17, len(content)):
        other = content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :]
        try:
            rest = unsealed(other)
        except ValueError:
            continue
        assert rest == other  # no seal any more: the field is not one of a row's


def test_values_keep_what_single_precision_keeps(row, tmp_path):
    values = tuple(np.random.default_rng(0).lognormal(size=4).astype(np.float32).astype(float))
    rows.write(
        tmp_path / "a.jsonl", [row.model_copy(update={"examples": (column(values, "loss"),)})]
    )
    (found,) = rows.outcomes(tmp_path / "a.jsonl", "x")
    assert found.examples[0].values == values
