"""Whatever becomes of a file: a ranking rests on what was written, or one line says why not."""

import os
import re
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.evaluation.evaluate import Evaluated
from benchmark.records import rows
from benchmark.records.home import DATABASE, TrialFolder
from benchmark.records.lists import of_parquet
from benchmark.records.outcome import Epoch, TrainingRecord
from benchmark.records.registered import outcomes
from benchmark.records.seal import sealed, unsealed
from benchmark.records.store import Store
from benchmark.review import results
from registry.load import Registry
from registry.places import HERE
from registry.spec import LONGEST, InputError, Part, Unavailable

pytestmark = pytest.mark.slow

TRACK = "quickstart"
PART = Part(name="clean", split="test", examples=1000)
thoroughly = settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

# What takes the place of a value in a text.
VALUES = (
    *("7.5", "-1", "0", "1e999", "NaN", "nan", "inf", "null", "true", '""', '"text"', "[]", "{}"),
    *(
        "9" * 5000,
        "0x" + "f" * 4000,
        "2147483648",
        "[" * 5000,
        '"\\u001b[2J"',
        '"' + "x" * 9999 + '"',
    ),
)
VALUE = re.compile(rb'-?\d[\d.e+-]*|"[^"\n]*"|true|false|null')


def _pipe(path):
    os.mkfifo(path)


def _folder(path):
    path.mkdir()


def _device(path):
    path.symlink_to("/dev/zero")


def _itself(path):
    path.symlink_to(path)


@st.composite
def damages(draw, is_text=True):
    """bytes → bytes, or a function that puts something else in the file's place."""
    kinds = ["flip", "cut", "drop", "twice", "insert", "special"] + ["value"] * 6 * is_text
    kind = draw(st.sampled_from(kinds))
    at, length = draw(st.floats(0, 1)), draw(st.integers(1, 200))
    if kind == "special":
        return draw(st.sampled_from([_pipe, _folder, _device, _itself]))
    value, byte = draw(st.sampled_from(VALUES)).encode(), draw(st.binary(min_size=1, max_size=8))

    def damaged(content):
        i = int(at * len(content))
        if kind == "value":
            found = list(VALUE.finditer(content))
            start, end = found[int(at * (len(found) - 1))].span()
            return content[:start] + value + content[end:]
        return {
            "flip": content[:i] + bytes([content[i : i + 1][0] ^ byte[0]]) + content[i + 1 :]
            if i < len(content)
            else content,
            "cut": content[:i],
            "drop": content[:i] + content[i + length :],
            "twice": content[: i + length] + content[i:],
            "insert": content[:i] + byte + content[i:],
        }[kind]

    return damaged


def put(path, content, damage):
    """The damaged file; what lay there before goes."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif os.path.lexists(path):
        path.unlink()
    if damage in (_pipe, _folder, _device, _itself):
        damage(path)
    else:
        path.write_bytes(damage(content))


def said(read):
    """What `read` gives, or None where it refuses in one line."""
    try:
        return read()
    except InputError as error:
        refusal = error
    assert not isinstance(refusal, Unavailable)
    assert len(str(refusal)) <= LONGEST
    assert str(refusal).isprintable()
    return None


@pytest.fixture(scope="module")
def found():
    """A few registered rows."""
    return list(outcomes(HERE / "results" / f"{TRACK}.jsonl"))[:2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damage")


@pytest.fixture(scope="module")
def pair(folder, found):
    rows.write(folder / "rows.jsonl", found)
    return folder / "rows.jsonl"


def repeated(pair):
    """What the import into the database takes from the files."""
    told, lists = rows.read(pair, "regbench export")
    return repr(told), lists


def _changes_nothing_in_silence(pair, path, damage):
    """Damage to one file of a pair."""
    whole, before = path.read_bytes(), repeated(pair)
    try:
        put(path, whole, damage)
        assert said(lambda: repeated(pair)) in (None, before)
    finally:
        put(path, whole, lambda content: content)


@thoroughly
@given(damage=damages())
def test_lines_of_rows(pair, damage):
    _changes_nothing_in_silence(pair, pair, damage)


@thoroughly
@given(damage=damages(is_text=False))
def test_lists_of_rows(pair, damage):
    _changes_nothing_in_silence(pair, rows.parquet(pair), damage)


def test_a_footer_that_contradicts_itself_ends_no_process(pair):
    """Lists of two numbers, as the histograms of levels are, that say that they are of more bytes:
    what follows is read as it was.
    """
    whole = rows.parquet(pair).read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refusals = []
    for at in range(start, len(whole) - 8):
        if whole[at] == 0x26:  # Thrift's head of two numbers; 0x73: of seven bytes
            for head in (b"\x73", b"\x93"):
                try:
                    of_parquet(whole[:at] + head + whole[at + 1 :])
                except ValueError as error:
                    refusals.append(str(error))
    assert any("histogram size mismatch" in refusal for refusal in refusals)


@thoroughly
@given(damage=damages())
def test_lines_that_someone_sealed_anew(pair, damage):
    """They may be sound, and else; a program never breaks on them."""
    whole = pair.read_bytes()
    first, _, rest = whole.partition(b"\n")
    try:
        put(pair, unsealed(first), damage)
        if pair.is_file():
            text = pair.read_bytes().decode(errors="replace")
            pair.write_bytes(sealed(text).encode() + b"\n" + rest)
        said(lambda: repeated(pair))
    finally:
        put(pair, whole, lambda content: content)


@thoroughly
@given(damage=damages())
def test_claimed_rows(pair, found, damage):
    whole = pair.read_bytes()
    try:
        put(pair, whole, damage)
        assert repr(said(lambda: results.read(pair))) in ("None", repr(found))
    finally:
        put(pair, whole, lambda content: content)


@pytest.fixture(scope="module")
def trial_folder(folder, found):
    """A trial's folder with everything in it that is read again."""
    row = next(outcome for outcome in found if outcome.status == "finished")
    trial = TrialFolder(folder / "home", row.key)
    trial.finish(row)
    epoch = Epoch(
        phase="reference", epoch=0, loss=1.0, penalty=0.0, accuracy=0.5, learning_rate=0.1
    )
    trial.believe(
        TrainingRecord(status="finished", iterations=3, seconds=1.0, engine="e", epochs=(epoch,))
    )
    scores, examples = (
        tuple(one for one in each if (one.threat, one.split, one.examples) == PART.id)
        for each in (row.scores, row.examples)
    )
    trial.keep_part(PART, Evaluated(scores=scores, examples=examples, seconds=1.0))
    return trial


KEPT = {
    "outcome.json": lambda trial: trial.outcome(),
    "training.json": lambda trial: trial.training(),
    "clean_test_1000.json": lambda trial: trial.part(PART, Evaluated),
}


@pytest.mark.parametrize("name", KEPT)
@thoroughly
@given(damage=damages())
def test_what_a_run_left_behind(trial_folder, name, damage):
    """What is damaged is set aside, so that it is made again; `collect` refuses it."""
    (path,) = trial_folder.path.rglob(name)
    whole, before = path.read_bytes(), repr(KEPT[name](trial_folder))
    try:
        put(path, whole, damage)
        if name == "outcome.json":
            assert repr(said(trial_folder.sound_outcome)) in ("None", before)
        after = repr(KEPT[name](trial_folder))
        assert after in ("None", before)
        assert os.path.lexists(path) == (after == before)
    finally:
        aside = path.with_suffix(".quarantined")
        put(aside, b"", lambda content: content)
        put(path, whole, lambda content: content)


@pytest.fixture(scope="module")
def registry_folder(folder):
    target = folder / "registry"
    ignored = shutil.ignore_patterns("__pycache__", "*.py", "results")
    shutil.copytree(HERE, target, ignore=ignored)
    for path in HERE.glob("regularizers/*/regularizer.py"):
        shutil.copy(path, target / "regularizers" / path.parent.name / "regularizer.py")
    return target


@pytest.mark.parametrize(
    "name", [f"tracks/{TRACK}.toml", "datasets/digits.toml", "regularizers/jacobian/card.toml"]
)
@thoroughly
@given(damage=damages())
def test_files_of_the_registry(registry_folder, name, damage):
    """They may say something else that can be; a program never breaks on them, nor waits."""
    path = registry_folder / name
    whole = path.read_bytes()
    try:
        put(path, whole, damage)
        registry = Registry(registry_folder, registry_folder / "none")
        said(lambda: [trial.key for _, trial in registry.select([TRACK], 1)])
    finally:
        put(path, whole, lambda content: content)


@pytest.fixture(scope="module")
def store(folder, found):
    store = Store(folder / DATABASE)
    store.record(found)
    return store


def ranked_by(store):
    """All that a board asks of the database."""
    keys = store.query("SELECT key FROM trial ORDER BY key").get("key", ())
    scores = store.scores(keys).astype(str)
    hits = store.examples(keys, "correct").astype(str)
    return [sorted(map(tuple, frame.to_numpy().tolist())) for frame in (scores, hits)]


@pytest.fixture(scope="module")
def undamaged(store):
    return store.path.read_bytes(), ranked_by(store)


@settings(thoroughly, max_examples=150)  # each opens a database anew
@given(damage=damages(is_text=False))
def test_a_database(store, undamaged, damage):
    whole, before = undamaged
    try:
        put(store.path, whole, damage)
        assert said(lambda: ranked_by(store)) in (None, before)
    finally:
        put(store.path, whole, lambda content: content)
