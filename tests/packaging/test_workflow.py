"""The steps by which a pull request is checked, run as the workflow has them on a repository of
their own.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from registry.places import HERE, TEMPLATE

from ..files import write

WORKFLOW = HERE.parent / ".github" / "workflows" / "submissions.yml"
STEPS = {
    step["name"]: step["run"]
    for step in yaml.safe_load(WORKFLOW.read_text())["jobs"]["check"]["steps"]
    if "run" in step
}
BROKEN = 'name = "no card"\n'  # told before anything heavy starts


class Repository:
    """With two methods and a challenge, each of which can be broken."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.write("README.md", "Ours.\n")
        for name in ("first_method", "second_method"):
            shutil.copytree(TEMPLATE, folder / "submissions" / name)
        self.write("submissions/challenges/one/challenge.toml", 'author = "Ada"\n')
        self.git("init", "--quiet")
        self.commit()
        self.base = self.git("rev-parse", "HEAD").strip()

    def write(self, path: str, text: str) -> None:
        write(self.folder, path, text)

    def commit(self) -> None:
        self.git("add", "--all")
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        self.git(*who, "commit", "--quiet", "--message", "A change")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def run(self, step: str) -> subprocess.CompletedProcess[str]:
        """As the runner does: bash that stops at the first error."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        places = {"REGBENCH_SUBMISSIONS": str(self.folder / "submissions")}
        return subprocess.run(
            ["bash", "-e", "-c", STEPS[step]],
            cwd=self.folder,
            env=os.environ | {"PATH": path, "BASE": self.base} | places,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def repository(tmp_path, home):
    return Repository(tmp_path / "repository")


@pytest.mark.parametrize("step", [name for name in STEPS if name.startswith("Check")])
def test_where_no_submission_changed_nothing_is_checked(repository, step):
    repository.write("submissions/README.md", "How to.\n")
    repository.commit()
    done = repository.run(step)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_changed_submission_alone_is_checked(repository):
    repository.write("submissions/second_method/card.toml", BROKEN)
    repository.commit()
    done = repository.run("Check what changed")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "second_method/card.toml" in told and "first_method" not in told


def test_a_change_of_the_benchmark_has_every_submission_checked(repository):
    repository.write("README.md", "Ours, changed.\n")
    for name in ("first_method", "second_method"):
        repository.write(f"submissions/{name}/card.toml", BROKEN)
    repository.git("add", "--all")
    repository.commit()
    done = repository.run("Check what changed")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "first_method" in told and "second_method" in told


def test_a_changed_challenge_is_checked(repository):
    repository.write("submissions/challenges/one/challenge.toml", 'author = "Eve"\n')
    repository.commit()
    done = repository.run("Check the challenges that changed")
    assert done.returncode != 0
    assert "challenges/one" in done.stderr


def test_the_checks_are_commands_that_the_repository_has():
    jobs = yaml.safe_load((WORKFLOW.parent / "checks.yml").read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert os.access(HERE.parent / commands[0], os.X_OK)
    targets = [row["target"] for row in jobs["versions"]["strategy"]["matrix"]["include"]]
    asked = ["make", "--dry-run", *dict.fromkeys(targets)]
    subprocess.run(asked, cwd=HERE.parent, capture_output=True, check=True)
    supported = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    named = {line.rpartition(" ")[2] for line in supported["classifiers"] if "3." in line}
    images = str(jobs)
    assert {version for version in named if f"python:{version}-" in images} == named
