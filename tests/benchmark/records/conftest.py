"""Rows of a small selection that ran, and were exported."""

import json
import shutil

import pytest

from ..command import regbench

SELECTION = ["digits/lenet_300_100/none/0", "digits/lenet_300_100/jacobian/0.1"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home in which a small selection ran, and the folder that it was exported to."""
    home, results = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("results")
    assert (
        regbench(
            "run", *SELECTION, "--seeds", "1", "--workers", "1", home=home, results=results
        ).returncode
        == 0
    )
    result = regbench("export", "quickstart", "--json", home=home, results=results)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [{"track": "quickstart", "rows": 3, "changed": 3}]
    return home, results


@pytest.fixture
def registered_rows(ran, tmp_path, monkeypatch):
    """A copy of the exported folder in use, and an empty home."""
    results = tmp_path / "results"
    shutil.copytree(ran[1], results)
    monkeypatch.setenv("REGBENCH_RESULTS", str(results))
    monkeypatch.setenv("REGBENCH_HOME", str(tmp_path / "home"))
    return results
