"""A registered row is run again in other processes: bit-identical on the same machine, and judged
where it is not.
"""

import json

import pytest
import torch

from benchmark.execution.rounding import PERTURBATIONS
from benchmark.records import registered, rows
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
    assert (report["exact"], report["within rounding"], report["drifted"]) == (1, 0, 0)
    assert last_rerun(tmp_path).rows[0].verdict == "exact"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cache",
        RERUN,
    ]  # the scratch home is gone


def test_a_row_that_does_not_come_out_again_ends_with_1_and_says_what_moved(ran, tmp_path):
    _, results = ran
    path, other = results / "quickstart.jsonl", tmp_path / "results"
    found = []
    for row in registered.outcomes(path):
        scores = [
            s.model_copy(update={"value": 9 * s.value}) if s.metric == "relative_distance" else s
            for s in row.scores
        ]
        is_forged = row.regularizer == "jacobian"
        found.append(row.model_copy(update={"scores": tuple(scores)} if is_forged else {}))
    rows.write(other / path.name, found)
    result = regbench(
        "rerun", SELECTION, "--seeds", "1", "--device", "cpu", home=tmp_path / "home", results=other
    )
    assert result.returncode == 1
    assert "DRIFTED: relative_distance under deepfool-2" in result.stdout
    assert "though device and versions are the same" in result.stdout
    assert "1 rows: 0 reproduced exactly, 0 within rounding, 1 DRIFTED" in result.stdout


def test_a_row_of_another_processor_is_within_what_rounding_does_to_its_trial(
    ran, tmp_path, monkeypatch
):
    _, results = ran
    # None of those that a twin runs with.
    other = "avx2" if torch.backends.cpu.get_cpu_capability() != "AVX2" else "default"
    other_kernels = {"ATEN_CPU_CAPABILITY": other, "MKL_CBWR": "AVX2"}
    with monkeypatch.context() as patch:
        for name, value in other_kernels.items():
            patch.setenv(name, value)
        arguments = (SELECTION, "--seeds", "1", "--device", "cpu")
        first = regbench("rerun", *arguments, "--json", home=tmp_path, results=results)
        assert first.returncode == 0, first.stderr
    [row] = json.loads(first.stdout)["rows"]
    assert row["verdict"] == "within rounding"
    assert f"cpu_capability {other.upper()} instead of" in row["why"]
    assert row["spread"] > 0
    kept = tmp_path / "cache" / "rounding"
    assert len(list(kept.glob(f"*/{row['key']}/outcome.json"))) == len(PERTURBATIONS)


def test_nothing_registered_is_nothing_to_rerun(tmp_path):
    result = regbench("rerun", "quickstart", home=tmp_path, results=tmp_path / "none")
    assert result.returncode == 2
    assert "no row of the selection is registered" in result.stderr
