"""What several test files need."""

import os
import shutil
from pathlib import Path

import pytest


def pytest_configure():
    # Two test processes on few cores hinder each other; one thread also makes CPU results repeat
    # bit by bit.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What the repository registers must decide no test; one that is about registered results names
    # a folder of its own.
    os.environ["REGBENCH_RESULTS"] = str(Path(__file__).parent / "no-results")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty $REGBENCH_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("REGBENCH_HOME", str(folder))
    monkeypatch.delenv("REGBENCH_DATA", raising=False)
    return folder


@pytest.fixture
def registry_copy(tmp_path) -> Path:
    """A copy of the registry that a test may spoil."""
    import registry

    source = Path(registry.__file__).parent
    target = tmp_path / "registry"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py", "results"))
    for path in source.glob("regularizers/*/regularizer.py"):
        shutil.copy(path, target / "regularizers" / path.parent.name / "regularizer.py")
    return target
