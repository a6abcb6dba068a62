"""The user's own data, in a folder of the test's."""

import pytest


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
