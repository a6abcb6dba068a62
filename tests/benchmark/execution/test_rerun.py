"""A registered row is run again in other processes: bit-identical on the same machine, and judged
where it is not.
"""

import json

import pytest

from benchmark.execution.rerun import _spreads, compare
from benchmark.records.outcome import Outcome, Score
from benchmark.records.reports import RERUN, last_rerun

from ..command import regbench

pytestmark = pytest.mark.slow

SELECTION = "digits/lenet_300_100/jacobian/0.1"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    home, results = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("results")
    result = regbench(
        "run",
        SELECTION,
        "--seeds",
        "1",
        "--workers",
        "1",
        "--device",
        "cpu",
        home=home,
        results=results,
    )
    assert result.returncode == 0, result.stderr
    assert regbench("export", "quickstart", home=home, results=results).returncode == 0
    return home, results


def test_a_rerun_on_the_same_machine_is_bit_identical(ran, tmp_path):
    _, results = ran
    result = regbench(
        "rerun",
        SELECTION,
        "--seeds",
        "1",
        "--device",
        "cpu",
        "--workers",
        "1",
        "--json",
        home=tmp_path,
        results=results,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [(row["entry"], row["verdict"]) for row in report["rows"]] == [(SELECTION, "exact")]
    assert (report["exact"], report["tolerated"], report["drifted"]) == (1, 0, 0)
    assert last_rerun(tmp_path).rows[0].verdict == "exact"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache",
        RERUN,
    ]  # the scratch home is gone


def test_a_row_that_does_not_come_out_again_ends_with_1_and_says_what_moved(ran, tmp_path):
    _, results = ran
    path = results / "quickstart.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    forged = next(row for row in rows if row["regularizer"] == "jacobian")
    score = next(
        s for s in forged["scores"] if s["threat"] == "pgd-inf-0.1" and s["split"] == "test"
    )
    score["value"] = 1.0 - score["value"] / 2
    other = tmp_path / "results"
    other.mkdir()
    (other / path.name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = regbench(
        "rerun", SELECTION, "--seeds", "1", "--device", "cpu", home=tmp_path / "home", results=other
    )
    assert result.returncode == 1
    assert "DRIFTED: robust_accuracy under pgd-inf-0.1" in result.stdout
    assert "though device and versions are the same" in result.stdout
    assert "1 rows: 0 reproduced exactly, 0 within tolerance, 1 DRIFTED" in result.stdout


def test_nothing_registered_is_nothing_to_rerun(tmp_path):
    result = regbench("rerun", "quickstart", home=tmp_path, results=tmp_path / "none")
    assert result.returncode == 2
    assert "no row of the selection is registered" in result.stderr


def outcome(value, device="a", status="finished", n=1000, seed=0, loss=0.5):
    scores = (
        Score(threat="clean", split="test", metric="accuracy", value=value, n=n, examples=n),
        Score(threat="clean", split="test", metric="loss", value=loss, n=n, examples=n),
    )
    return Outcome(
        key="k",
        dataset="d",
        architecture="a",
        regularizer="r",
        strength=0.1,
        seed=seed,
        spec={"seed": seed},
        status=status,
        scores=scores,
        provenance={"device_name": device, "deterministic": True},
    )


SPREADS = _spreads(
    [outcome(0.90, seed=0), outcome(0.94, seed=1), outcome(0.92, seed=2)]
)  # 0.02 apart


@pytest.mark.parametrize(
    ("fresh", "verdict", "drift"),
    [
        (outcome(0.92), "exact", None),
        (outcome(0.93), "drifted", 0.5),  # the same device and versions: nothing excuses it
        (outcome(0.92, loss=0.4999), "drifted", 0.0),
        (outcome(0.95, device="b"), "tolerated", 1.5),
        (outcome(0.92, device="b", loss=0.4999), "tolerated", 0.0),
        (outcome(0.85, device="b"), "drifted", 3.5),
        (outcome(0.92, status="diverged"), "drifted", None),
    ],
)
def test_a_difference_is_judged_by_its_cause_and_by_the_spread_of_seeds(fresh, verdict, drift):
    found = compare(outcome(0.92), fresh, SPREADS)
    assert found.verdict == verdict
    assert found.drift == (drift if drift is None else pytest.approx(drift))
    assert bool(found.why) == (verdict != "exact")


def test_of_a_single_seed_the_chance_of_its_images_is_the_spread():
    found = compare(outcome(0.9, n=100), outcome(0.96, device="b", n=100), {})
    assert found.drift == pytest.approx(0.06 / 0.03)
    assert found.verdict == "tolerated"
    assert "device_name b instead of a" in found.why
