"""Nothing finished is lost, nothing half-done is believed: with real processes, really killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial

import pytest

from benchmark.execution import runner
from benchmark.execution.local import run_local
from benchmark.records.home import DATABASE, sole_runner, trial_folders
from benchmark.records.outcome import Outcome
from benchmark.records.store import Store
from registry.load import Registry
from registry.spec import Unavailable

from ..command import regbench

pytestmark = pytest.mark.slow

SELECTION = ["digits/lenet_300_100/none/0", "digits/lenet_300_100/jacobian/0.1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home in which a small selection ran undisturbed."""
    home = tmp_path_factory.mktemp("finished")
    result = regbench("run", *SELECTION, "--seeds", "1", "--workers", "2", home=home)
    assert result.returncode == 0, result.stderr
    return home


def rows(home, table):
    table = Store(home / DATABASE).query(f"SELECT * FROM {table}")
    return sorted(map(str, table.astype(dict.fromkeys(table.columns, str)).to_dict("records")))


def ranking(home):
    result = regbench("rank", "quickstart", "--json", home=home)
    assert result.returncode == 0, result.stderr
    return [
        {key: value for key, value in row.items() if key != "cost"}
        for row in json.loads(result.stdout)
    ]


def test_a_second_run_runs_nothing(finished):
    result = regbench("run", *SELECTION, "--seeds", "1", home=finished)
    assert "3 were done; nothing was left to run" in result.stdout


def test_a_reference_is_trained_once_and_shared(finished):
    trials = rows(finished, "trial")
    assert len(trials) == 3
    assert len(set(trials)) == 3


def test_evaluators_give_the_same_rows(finished, tmp_path):
    shared = ("--seeds", "1", "--workers", "1", "--evaluators", "1")
    ran = regbench("run", *SELECTION, *shared, home=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert rows(tmp_path, "score") == rows(finished, "score")


def test_plan_counts_what_is_done(finished):
    result = regbench("plan", *SELECTION, "--seeds", "2", "--json", home=finished)
    assert json.loads(result.stdout) == {"trials": 6, "done": 3, "to_run": 3, "ends": []}


def test_the_deleted_database_is_collected_to_the_identical_ranking(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    before = ranking(copy)
    (copy / DATABASE).unlink()
    assert regbench("collect", home=copy).returncode == 0
    assert ranking(copy) == before
    assert rows(copy, "score") == rows(finished, "score")


def test_a_trial_repeats_bit_by_bit_in_another_process(finished, tmp_path):
    assert (
        regbench("run", *SELECTION, "--seeds", "1", "--workers", "1", home=tmp_path).returncode == 0
    )
    for folder in finished.glob("*/weights.safetensors"):
        assert (
            tmp_path / folder.parent.name / "weights.safetensors"
        ).read_bytes() == folder.read_bytes()
    assert rows(tmp_path, "score") == rows(finished, "score")


def test_a_killed_run_goes_on_and_ends_with_every_trial_once(finished, tmp_path):
    """Killed at its first outcome; `test_faults` kills at any moment."""
    options = ["--seeds", "1", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark.commands", "run", *SELECTION, *options, "--json"],
        env=os.environ | {"REGBENCH_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while json.loads(process.stdout.readline())["event"] != "outcome":
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    result = regbench("run", *SELECTION, "--seeds", "1", "--workers", "2", home=tmp_path)
    assert result.returncode == 0, result.stderr
    assert rows(tmp_path, "score") == rows(finished, "score")
    assert ranking(tmp_path) == ranking(finished)


def test_a_truncated_outcome_is_set_aside_and_run_again(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    (copy / DATABASE).unlink()
    victim = next(copy.glob("*/outcome.json"))
    victim.write_bytes(victim.read_bytes()[:1000])
    result = regbench("run", *SELECTION, "--seeds", "1", home=copy)
    assert result.returncode == 0, result.stderr
    assert victim.with_suffix(".quarantined").exists()
    assert rows(copy, "score") == rows(finished, "score")


def test_a_second_runner_on_the_same_home_is_told_who_runs(home):
    with sole_runner(home):
        result = regbench("run", "quickstart", home=home)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert f"process {os.getpid()} is running trials there" in result.stderr


def test_a_database_held_by_another_process_is_waited_for_then_named(finished):
    path = finished / DATABASE
    code = (
        f"import duckdb, time; held = duckdb.connect({str(path)!r}); "
        "print('open', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(Unavailable, match=f"is held by process {holder.pid}"):
            Store(path, patience=0.3).query("SELECT 1")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert len(Store(path, patience=5).query("SELECT key FROM trial")) == 3


def test_a_corrupt_database_says_how_to_build_it_anew(tmp_path):
    (tmp_path / DATABASE).write_bytes(b"no database at all" * 1000)
    result = regbench("rank", "quickstart", home=tmp_path)
    assert result.returncode == 2
    assert "regbench collect" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_failed_trial_is_recorded_as_an_attempt_and_tried_again(tmp_path):
    trial = next(trial for _, trial in Registry().select(["quickstart"], 1))
    store = Store(tmp_path / DATABASE)
    store.record(
        [
            Outcome.of(
                trial, status="failed", error="the reason", started="2026-01-01T00:00:00+00:00"
            )
        ]
    )
    assert store.query("SELECT status, error FROM attempt").values.tolist() == [
        ["failed", "the reason"]
    ]
    assert trial.key in {t.key for t in runner.plan([trial], store).to_run}


def test_a_diverged_trial_is_a_result_and_not_run_again(tmp_path):
    trial = next(trial for _, trial in Registry().select(["quickstart"], 1))
    store = Store(tmp_path / DATABASE)
    store.record([Outcome.of(trial, status="diverged", started="2026-01-01T00:00:00+00:00")])
    assert trial.key not in {t.key for t in runner.plan([trial], store).to_run}


def test_recording_the_same_outcome_twice_changes_nothing(finished, tmp_path):
    store = Store(tmp_path / DATABASE)
    outcome = next(trial_folders(finished)).sound_outcome()
    store.record([outcome])
    store.record([outcome, outcome])
    assert len(store.query("SELECT * FROM score")) == len(outcome.scores)
    assert len(store.query("SELECT * FROM trial")) == 1


def spoilt_registry(folder, code):
    """A track of one method whose penalty runs `code`."""
    from registry.load import HERE

    shutil.copytree(
        HERE, folder / "registry", ignore=shutil.ignore_patterns("__pycache__", "results")
    )
    method = folder / "registry" / "regularizers" / "jacobian" / "regularizer.py"
    first = "        if self.projections is None:"
    method.write_text(method.read_text().replace(first, f"        {code}\n{first}"))
    return Registry(folder / "registry", folder / "none")


# λ rises over the first steps, the smallest of the grid to a tenth of the next.
SPOILT = """import os, signal, time
        if step.strength < 1e-3: raise RuntimeError('broken')
        if step.strength < 5e-3: os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)"""
REASONS = {
    0.01: "RuntimeError: broken",
    0.1: "ended by signal 9",
    0.4: "took longer than the limit of 30 s",
}


def test_trials_that_hang_die_or_raise_are_recorded_and_the_others_go_on(tmp_path):
    registry = spoilt_registry(tmp_path, SPOILT)
    chosen = registry.select(
        ["digits/lenet_300_100/jacobian/*", "digits/lenet_300_100/none/0"], seeds=1
    )
    trials = [trial for _, trial in chosen if trial.entry.strength in {0.0, *REASONS}]
    home, store = tmp_path / "home", Store(tmp_path / "home" / DATABASE)
    home.mkdir()
    plan = runner.plan(trials, store)
    outcomes = list(runner.run(plan, home, store, partial(run_local, workers=1, limit=30.0)))
    failed = {o.strength: o.error for o in outcomes if o.status == "failed"}
    assert failed.keys() == REASONS.keys()
    for strength, reason in REASONS.items():
        assert reason in failed[strength]
    # the reference and the control
    assert store.query("SELECT count(*) AS n FROM trial")["n"].tolist() == [2]


def test_ctrl_c_ends_after_the_running_trials_and_the_next_run_goes_on(finished, tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmark.commands",
        "run",
        *SELECTION,
        "--seeds",
        "1",
        "--workers",
        "1",
        "--json",
    ]
    environment = os.environ | {"REGBENCH_HOME": str(tmp_path)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if json.loads(line)["event"] == "start":
            process.send_signal(signal.SIGINT)
            break
    events = [json.loads(line) for line in process.stdout]
    assert "finished trials are kept" in process.stderr.read()
    assert process.wait() == 130
    process.stdout.close()
    process.stderr.close()
    assert [event["event"] for event in events] == ["outcome", "end"]
    assert events[-1] | {"seconds": 0} == {
        "event": "end",
        "seconds": 0,
        "stopped": True,
        "finished": 1,
        "diverged": 0,
        "failed": 0,
    }
    assert regbench("run", *SELECTION, "--seeds", "1", home=tmp_path).returncode == 0
    assert rows(tmp_path, "score") == rows(finished, "score")
