"""What is said in more than one place of the package is said alike."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import benchmark
from registry.places import HERE

ROOT = HERE.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REGBENCH = Path(sys.executable).with_name("regbench")


def requirements(lines):
    """Name → the bound, of lines such as `duckdb>=1.4`."""
    found = [re.fullmatch(r"([\w-]+)(?:\[\w+\])?(>=[\d.]+)?", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_the_board_alone_asks_for_nothing_that_the_package_does_not():
    lines = (ROOT / "leaderboard_app" / "requirements.txt").read_text().splitlines()
    board = requirements(line for line in lines if not line.startswith("#"))
    assert board
    assert board.items() <= requirements(PROJECT["dependencies"]).items()


def test_everything_asked_for_is_pinned():
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    extras = PROJECT["optional-dependencies"].values()
    asked = requirements(PROJECT["dependencies"])
    for extra in extras:
        asked |= requirements(extra)
    assert set(asked) <= pinned


def test_the_version_is_the_package_s():
    said = subprocess.run([REGBENCH, "--version"], capture_output=True, text=True, check=False)
    assert said.stdout == f"regbench {benchmark.__version__}\n"
    assert benchmark.__version__ == PROJECT["version"]


def test_the_citation_and_the_archive_say_what_the_package_says():
    citation = (ROOT / "CITATION.cff").read_text()
    archive = json.loads((ROOT / ".zenodo.json").read_text())
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    assert f'\ntitle: "{archive["title"]}"\n' in citation
    assert archive["license"] == PROJECT["license"]
    assert archive["keywords"] == PROJECT["keywords"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [("regbench ra", "rank"), ("regbench rank --js", "--json"), ("regbench --inst", "completion")],
)
def test_the_shell_completes_commands_and_options(words, offered):
    asked = {
        "_REGBENCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    said = subprocess.run(
        [REGBENCH], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert offered in said.stdout


def test_completion_is_installed_for_the_shell_that_asks(tmp_path):
    """In a home of its own: the shell's start-up file is written."""
    home = os.environ | {"HOME": str(tmp_path)}
    said = subprocess.run(
        ["bash", "-c", f"{REGBENCH} --install-completion; true"],
        env=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "completion installed" in said.stdout, said.stdout + said.stderr
    assert "regbench" in (tmp_path / ".bashrc").read_text()
