"""Submissions that mean harm: the template with a line of code more."""

import shutil

import pytest

from benchmark import sandbox
from registry.places import TEMPLATE


@pytest.fixture(autouse=True)
def _needs_a_sandbox():
    reason = sandbox.refusal()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def submission(tmp_path, home):
    """Makes a submission that does `at_import` when it is loaded and `in_penalty` in every step."""

    def make(at_import: str = "", in_penalty: str = "pass"):
        folder = tmp_path / "submissions" / "hostile"
        shutil.copytree(TEMPLATE, folder)
        card = folder / "card.toml"
        card.write_text(card.read_text().replace('"NAME"', '"hostile"').replace("TODO", "by"))
        code = folder / "regularizer.py"
        first = "        squared ="
        text = code.read_text()
        assert first in text
        body = "".join(f"        {line}\n" for line in in_penalty.splitlines())
        code.write_text(f"{at_import}\n".join(["", text.replace(first, f"{body}{first}")]))
        return folder

    return make
