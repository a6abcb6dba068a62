"""Nothing finished is lost and nothing half-done is believed, whenever a process is killed and
however full the disk is.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.records.home import DATABASE
from benchmark.records.store import Store

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("REGBENCH_KILLS", "4"))  # a run of 30 takes some minutes

# Eleven small trials and their reference, on digits.
RUN = """
import sys
from functools import partial
from pathlib import Path
from benchmark import execution
from benchmark.execution.local import run_local
from benchmark.records import open_store
from benchmark.records.home import sole_runner
from registry.load import Registry
from registry.spec import InputError

SHORT = {"reference_epochs": 0, "reference_iterations": 40,
         "fine_tune_epochs": 0, "fine_tune_iterations": 40}
PARTS = ("clean", "fgsm-inf-0.1", "pgd-inf-0.1")

def trials():
    for _, trial in Registry().select(["digits/lenet_300_100/*"], 1):
        recipe = trial.recipe.model_copy(update=SHORT)
        parts = tuple(part for part in trial.evaluation if part.name in PARTS)
        yield trial.model_copy(update={"recipe": recipe, "evaluation": parts})

if __name__ == "__main__":
    home = Path(sys.argv[1])
    store = open_store(home)
    with sole_runner(home):
        chosen = execution.prepared(trials(), home, store)
        outcomes = execution.run(chosen, home, store, partial(run_local, workers=2))
        try:
            failed = [outcome.error for outcome in outcomes if outcome.status == "failed"]
        except InputError as error:  # as the command does
            sys.exit(str(error))
    print(len(chosen.trials), "trials;", *failed)
    sys.exit(bool(failed))
"""


def start(script, home):
    return subprocess.Popen(
        [sys.executable, str(script), str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(pid):
    """Process id → command line."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    lines = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
    return {int(child): command for child, command in lines}


def forkers(runner):
    """The process that its workers are forked from."""
    return [pid for pid, command in children(runner).items() if "forkserver" in command]


def workers(runner):
    return [pid for forker in forkers(runner) for pid in children(forker)]


def rows(home):
    table = Store(home / DATABASE).query("SELECT * FROM score")
    return sorted(map(str, table.astype(dict.fromkeys(table.columns, str)).to_dict("records")))


def test_runners_and_workers_killed_at_any_moment_lose_and_double_nothing(tmp_path):
    """In each home a runner is killed, then a worker, or what workers are forked from, of the run
    that goes on, and then a run ends in peace.
    """
    script, chance = tmp_path / "run.py", random.Random(0)
    script.write_text(RUN)
    undisturbed = tmp_path / "undisturbed"
    began = time.monotonic()
    process = start(script, undisturbed)
    assert process.wait() == 0, process.communicate()[0]
    process.stdout.close()
    whole = time.monotonic() - began
    killed, kinds = 0, (lambda runner: [runner], workers, lambda runner: [runner], forkers)
    for number in range(KILLS):
        home, of_kind = tmp_path / f"home{number // 2}", kinds[number % 4]
        process = start(script, home)
        time.sleep(chance.uniform(0.5, 1.0) * whole * (0.3 if number % 2 else 0.6))
        while process.poll() is None and not (found := of_kind(process.pid)):
            time.sleep(0.05)
        if process.poll() is None:
            os.kill(found[0], signal.SIGKILL)
            killed += 1
        output = process.communicate()[0]
        assert "Traceback" not in output, output
        for outcome in home.glob("*/outcome.json"):
            assert (outcome.parent / "weights.safetensors").exists()
    assert killed > KILLS / 2
    for home in sorted(tmp_path.glob("home*")):
        process = start(script, home)
        output = process.communicate()[0]
        assert process.returncode == 0, output
        assert rows(home) == rows(undisturbed)
        trials = Store(home / DATABASE).query("SELECT key FROM trial")["key"]
        assert len(trials) == len(set(trials)) == len(list(undisturbed.glob("*/outcome.json")))


def test_a_full_disk_fails_trials_with_the_reason_and_loses_neither_them_nor_rows(tmp_path):
    script, home = tmp_path / "run.py", tmp_path / "home"
    script.write_text(RUN)
    home.mkdir()
    run = f"{sys.executable} {script} {home}"
    store = f"Store(Path('{home}/regbench.duckdb'))"
    empty = (
        f"from pathlib import Path; from benchmark.records.store import Store; {store}.record([])"
    )
    collect = f"REGBENCH_HOME={home} {sys.executable} -m benchmark.commands collect"
    steps = (
        f"head -c 11500000 /dev/zero > {home}/ballast; {run} > {tmp_path}/full 2>&1; echo $?; "
        f"rm {home}/ballast; {run} > {tmp_path}/free 2>&1; echo $?; "
        f'rm {home}/regbench.duckdb; {sys.executable} -c "{empty}"; '
        f"cat /dev/zero > {home}/ballast; {collect} 2> {tmp_path}/collect; echo $?; "
        f"ls {home} | grep -c quarantined; rm {home}/ballast; {collect}"
    )
    disk = [
        "bwrap",
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--size",
        "12000000",
        "--tmpfs",
        str(home),
    ]
    found = subprocess.run(
        [*disk, "sh", "-c", steps],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    full = (tmp_path / "full").read_text()
    told = found.stderr + full + (tmp_path / "free").read_text()
    codes, collected = found.stdout.split()[:4], found.stdout.splitlines()[4]
    assert codes == ["1", "0", "2", "0"], told  # a sound database is not set aside for want of room
    assert collected.startswith("17 outcomes are in")
    assert "No space left" in (tmp_path / "collect").read_text()
    assert "No space left" in full
    assert "Traceback" not in full
