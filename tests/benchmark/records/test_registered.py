"""Registered results: rows that need no run here, from files alone, and a run only where weights
are needed.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from benchmark.commands.rank import rank
from benchmark.execution import runner
from benchmark.records import connection, registered, rows
from benchmark.records.home import DATABASE
from benchmark.records.registered import open_store
from benchmark.records.store import Store
from registry.load import Registry
from registry.spec import InputError

from ..command import regbench
from .conftest import SELECTION

pytestmark = pytest.mark.slow


def ranking(home, results):
    """What `regbench rank quickstart --json` prints."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setenv("REGBENCH_HOME", str(home))
        patch.setenv("REGBENCH_RESULTS", str(results))
        rank(["quickstart"], as_json=True)
    return json.loads(printed.getvalue())


def table(store, name, columns="*"):
    return sorted(
        map(str, store.query(f"SELECT {columns} FROM {name}").astype(str).to_dict("records"))
    )


def test_a_fresh_home_ranks_the_registered_rows(ran, tmp_path):
    home, results = ran
    shown = ranking(tmp_path, results)
    assert {row["source"] for row in shown} == {"registered", ""}
    assert [row | {"source": "here" if row["source"] else ""} for row in shown] == ranking(
        home, tmp_path / "none"
    )
    assert not (tmp_path / DATABASE).exists()


def test_the_database_is_rebuilt_from_the_files_to_the_identical_ranking(ran, tmp_path):
    home, results = ran
    again = tmp_path / "home"
    shutil.copytree(home, again)
    (again / DATABASE).unlink()
    assert "3 outcomes" in regbench("collect", home=again, results=results).stdout
    for folder in (results, tmp_path / "none"):
        assert ranking(again, folder) == ranking(home, folder)


def test_registered_rows_stay_in_their_files_where_the_database_is_rebuilt(ran, tmp_path):
    """A copy would count beside what is run here on other weights, and outlive its file."""
    assert "0 outcomes" in regbench("collect", home=tmp_path, results=ran[1]).stdout
    assert not (tmp_path / DATABASE).exists()
    assert {row["source"] for row in ranking(tmp_path, ran[1])} == {"registered", ""}


def test_a_store_that_was_opened_before_the_files_changed_still_answers(registered_rows):
    store, path = open_store(), registered_rows / "quickstart.jsonl"
    found = list(registered.outcomes(path))
    rows.write(path, found[:1])
    assert open_store().count() == 1
    assert store.count() == len(found)


def test_rows_are_taken_from_here_and_completed_by_registered_ones(registered_rows, tmp_path):
    store = open_store()
    everything = table(store, "score")
    mine = next(
        o
        for o in registered.outcomes(registered_rows / "quickstart.jsonl")
        if o.regularizer == "jacobian"
    )
    clean = mine.scores[0].model_copy(update={"value": 0.25})
    store.record([mine.model_copy(update={"scores": (clean,), "train_seconds": 77.0})])
    completed = table(open_store(), "score")
    assert len(completed) == len(everything)
    assert len(set(completed) ^ set(everything)) == 2  # the one value that is another here
    seconds = (
        open_store().query("SELECT key, train_seconds FROM trial").set_index("key")["train_seconds"]
    )
    assert seconds[mine.key] == 77.0
    assert len(seconds) == 3


def test_a_trial_of_other_weights_takes_nothing_of_its_registered_row(registered_rows):
    store = open_store()
    mine = next(registered.outcomes(registered_rows / "quickstart.jsonl"))
    before = store.query("SELECT trial_key, count(*) AS n FROM score GROUP BY ALL ORDER BY ALL")
    alone = mine.model_copy(
        update={
            "scores": mine.scores[:1],
            "provenance": mine.provenance | {"weights_sha256": "others"},
        }
    )
    store.record([alone])
    after = open_store().query(
        "SELECT trial_key, count(*) AS n FROM score GROUP BY ALL ORDER BY ALL"
    )
    counts = dict(zip(before["trial_key"], before["n"]))
    assert counts[mine.key] > 1
    assert dict(zip(after["trial_key"], after["n"])) == counts | {mine.key: 1}


def test_the_scores_of_replaced_weights_go(registered_rows):
    store = Store(registered_rows / DATABASE)
    mine, other, *_ = registered.outcomes(registered_rows / "quickstart.jsonl")
    store.record([mine, other])
    weights = {"provenance": mine.provenance | {"weights_sha256": "others"}}
    anew = mine.model_copy(update=weights | {"scores": mine.scores[:1], "examples": ()})
    for _ in range(2):
        store.record([anew])
        scores = table(store, "score", "trial_key, threat, metric, value")
        assert len([score for score in scores if mine.key in score]) == 1
        assert len(scores) == 1 + len(other.scores)
        assert not [row for row in table(store, "example", "trial_key") if mine.key in row]
    assert store.weights([mine.key])[mine.key] == "others"
    assert len(store.attempts([mine.key])) == 1


def test_a_database_that_a_killed_writer_left_empty_hides_no_registered_row(registered_rows):
    store = open_store()
    before = table(store, "score")
    store.record([])
    with store._open(read_only=False) as connection:
        for name in ("trial", "attempt", "score", "example", "layer", "epoch"):
            connection.execute(f"DROP TABLE {name}")
    assert table(open_store(), "score") == before


def test_threads_that_read_while_a_run_creates_the_database_all_see_the_rows(
    registered_rows, tmp_path
):
    counts, errors = [], []
    done = threading.Event()

    def read():
        try:
            while not done.is_set():
                counts.append(len(open_store().query("SELECT key FROM trial")))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    collected = subprocess.run(
        [sys.executable, "-m", "benchmark.commands", "collect"],
        capture_output=True,
        text=True,
        check=False,
    )
    done.set()
    for thread in threads:
        thread.join()
    assert collected.returncode == 0, collected.stderr
    assert not errors
    assert set(counts) == {3}


def test_the_import_is_kept_until_a_file_changes(registered_rows):
    first = open_store().registered
    assert open_store().registered == first
    path = registered_rows / "quickstart.jsonl"
    rows.write(path, list(registered.outcomes(path))[:2])
    second = open_store()
    assert second.registered != first
    assert len(second.query("SELECT key FROM trial")) == 2
    os.utime(first, times=(0, 0))  # until nobody can be reading it any more
    rows.write(path, list(registered.outcomes(path))[:1])
    assert open_store().registered not in (first, second.registered)
    assert not first.exists() and second.registered.exists()


def test_rows_of_a_folder_that_no_check_looks_at_are_not_read(ran, tmp_path, monkeypatch):
    monkeypatch.delenv("REGBENCH_RESULTS")
    monkeypatch.setenv("REGBENCH_SUBMISSIONS", str(tmp_path))
    before = registered.files()
    for name, card in (
        *(("Evil", True), ("_x", True), ("challenges", True)),
        *(("mine", False), ("sound", True)),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for file in ran[1].glob("quickstart.*"):
            shutil.copy(file, folder / f"results{file.suffix}")
        if card:
            (folder / "card.toml").write_text("")
    assert set(registered.files()) - set(before) == {tmp_path / "sound" / "results.jsonl"}


def test_of_a_row_that_two_files_hold_every_part_is_there_once(registered_rows):
    before = {name: table(open_store(), name) for name in connection.TABLES}
    path = registered_rows / "quickstart.jsonl"
    found = list(registered.outcomes(path))
    rows.write(
        path,
        [
            row.model_copy(
                update={
                    "scores": row.scores[:-1],
                    "examples": row.examples[:1],
                    "provenance": row.provenance | {"standing": "verified"},
                }
            )
            for row in found[:2]
        ],
    )
    rows.write(registered_rows / "twice.jsonl", found)
    after = {name: table(open_store(), name) for name in connection.TABLES}
    assert after.pop("trial") != before.pop("trial")  # the first file's standing counts
    assert after.pop("attempt") != before.pop("attempt")
    assert after == before
    assert len(open_store().query("SELECT key FROM trial")) == len(found)


def test_a_damaged_import_is_told_in_one_line(registered_rows, tmp_path):
    store = open_store()
    store.registered.write_bytes(store.registered.read_bytes()[:5000])
    for _ in range(2):  # alone, then beside a database
        with pytest.raises(InputError, match=r"registered-\w+\.duckdb: cannot be read .*remove it"):
            store.query("SELECT key FROM trial")
        Store(tmp_path / "home" / DATABASE).record([])


def test_what_is_registered_is_not_run(ran, tmp_path):
    _, results = ran
    result = regbench("run", *SELECTION, "--seeds", "1", home=tmp_path, results=results)
    assert "3 trials: 3 were done; nothing was left to run" in result.stdout


def test_a_fine_tune_that_lacks_a_part_brings_its_reference_back_for_the_weights(registered_rows):
    chosen = [trial for _, trial in Registry().select([SELECTION[1]], 1)]
    assert not runner.plan(chosen, open_store()).to_run
    track = Registry().track("quickstart")
    more = [
        chosen[0].model_copy(
            update={"evaluation": (*chosen[0].evaluation, *track.tier_parts("standard", 360))}
        )
    ]
    assert [trial.key for trial in runner.plan(more, open_store()).to_run] == [
        more[0].reference.key,
        more[0].key,
    ]


def test_a_line_that_is_no_outcome_is_named(registered_rows):
    path = registered_rows / "quickstart.jsonl"
    path.write_text(path.read_text().splitlines()[0] + '\n{"key": "half\n')
    with pytest.raises(InputError, match=r"quickstart.jsonl: line 2: is no sound row"):
        open_store()


def test_the_files_that_answers_rest_on_are_those_to_watch(registered_rows, tmp_path):
    store = open_store()
    assert store.files == [store.registered]
    store.record([next(registered.outcomes(registered_rows / "quickstart.jsonl"))])
    assert Store(store.path, registered=store.registered).files == [store.path, store.registered]


def test_scores_of_a_trial_that_ran_here_name_the_registered_training_too(registered_rows):
    store = open_store()
    theirs = next(registered.outcomes(registered_rows / "quickstart.jsonl"))
    alone = store.scores([theirs.key])
    assert alone["registered_seconds"].isna().all()
    on = {"trained_on": "mine"}
    mine = theirs.model_copy(update={"train_seconds": 1.5, "provenance": theirs.provenance | on})
    store.record([mine])
    found = store.scores([theirs.key])
    assert set(found["seconds_alone"]) == {1.5}
    assert set(found["trained_on"]) == {"mine"}
    assert set(found["registered_seconds"]) == {theirs.train_seconds}
    named, family = (theirs.provenance[name] for name in ("device_name", "processor"))
    assert set(found["registered_on"]) == {f"{named}, {family}"}
    assert len(found) == len(alone)


def test_processors_of_one_name_are_told_apart(registered_rows):
    store = open_store()
    row = next(registered.outcomes(registered_rows / "quickstart.jsonl"))

    def trained_on(**told):
        update = {"key": str(told), "provenance": {"device_name": "a processor"} | told}
        store.record([row.model_copy(update=update)])
        return set(store.scores([str(told)])["trained_on"])

    assert trained_on() == {"a processor"}
    assert trained_on(processor="family 1") == {"a processor, family 1"}
    assert trained_on(processor="family 1", trained_on="a processor") == {"a processor, family 1"}
    # It is that of the evaluation: of a training elsewhere it says nothing.
    assert trained_on(processor="family 1", trained_on="a GPU") == {"a GPU"}
