"""What a wheel gives to a user who has no clone: every command, in an empty folder."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path

import pytest

from benchmark import sandbox
from registry.places import HERE

pytestmark = pytest.mark.slow

ROOT = HERE.parent
PACKAGES = ("benchmark", "registry", "leaderboard_app")
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")
COLOUR = re.compile(r"\b(3[0-8]|4[0-8]|9\d|10[0-7])\b")  # of the foreground and the background
PATIENCE = 60  # seconds for the app to answer


class Installed:
    """An environment that holds the wheel, and a user's empty folder.

    What the wheel depends on is the test environment's, named by a .pth file: that environment's
    own .pth files, by which it knows the clone, are not read.
    """

    def __init__(self, folder):
        self.environment, self.folder = folder / "environment", folder / "work"
        self.folder.mkdir()
        venv.create(self.environment)
        self.bin = self.environment / "bin"
        python = ("--python", str(self.bin / "python"))
        pip(*python, "install", "--no-index", "--no-deps", str(wheel(folder)))
        packages = [place for place in sys.path if Path(place).name.endswith("-packages")]
        (self.site_packages / "dependencies.pth").write_text("\n".join(packages))

    @property
    def site_packages(self):
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found

    def variables(self, **more):
        hidden = ("PYTHONPATH", "REGBENCH_RESULTS", "REGBENCH_SUBMISSIONS")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return kept | {"REGBENCH_HOME": str(self.folder / "runs")} | more

    def type(self, command, **variables):
        return subprocess.run(
            [self.bin / command.split()[0], *command.split()[1:]],
            cwd=self.folder,
            env=self.variables(**variables),
            capture_output=True,
            text=True,
            check=False,
        )


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def wheel(folder):
    """Built from a copy: what an earlier build left in the clone must not come along."""
    source = folder / "source"
    for name in PACKAGES:
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "runs")
        )
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (found,) = folder.glob("regbench-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"))


def test_it_is_the_wheel_that_runs(installed):
    code = "import benchmark, registry, leaderboard_app as app; print(benchmark, registry, app)"
    (installed.folder / "where.py").write_text(code)
    said = installed.type("python -I where.py").stdout
    places = re.findall(r"from '(.*?)'", said)
    assert len(places) == 3
    assert all(Path(place).is_relative_to(installed.site_packages) for place in places), places


def test_every_file_of_the_packages_is_in_the_wheel(installed):
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("no git checkout")
    missing = {
        name
        for name in tracked.stdout.splitlines()
        if (ROOT / name).exists() and not (installed.site_packages / name).exists()
    }
    assert missing == {"leaderboard_app/screenshot.png"}  # a picture for the README


def test_quickstart_runs_and_rank_tells_of_it(installed):
    """And its progress, drawn as on a terminal, keeps to NO_COLOR."""
    fresh = {"REGBENCH_RESULTS": str(installed.folder / "none")}
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1"}
    ran = installed.type("regbench run quickstart --seeds 1", **fresh, **terminal)
    assert ran.returncode == 0, ran.stderr
    drawn = re.findall(r"\x1b\[([\d;]*)m", ran.stderr)
    assert "\x1b[" in ran.stderr
    assert [style for style in drawn if COLOUR.search(style)] == []
    ranked = installed.type("regbench rank quickstart --json", **fresh)
    rows = json.loads(ranked.stdout)
    assert len(rows) == 6
    assert all(row["seeds"] == 1 and row["clean"] > 0.8 for row in rows)


def test_the_registered_rows_come_along(installed):
    rows = json.loads(installed.type("regbench rank guo-fashion-binary --json").stdout)
    assert {row["source"] for row in rows} == {"registered"}


def test_a_new_method_is_made_in_the_working_folder_and_checked(installed):
    made = installed.type("regbench new my_method")
    assert made.returncode == 0, made.stderr
    assert "regbench check submissions/my_method" in made.stdout
    card = installed.folder / "submissions" / "my_method" / "card.toml"
    card.write_text(
        card.read_text()
        .replace("TODO your name", "Me")
        .replace("TODO authors, title, venue 2026; or: unp", "Unp")
    )
    trust = "" if sandbox.refusal() is None else " --trust"
    checked = installed.type(f"regbench check submissions/my_method{trust}")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = json.loads(installed.type("regbench list regularizers --json").stdout)
    assert {"my_method"} == {row["name"] for row in listed if row["source"] == "submitted"}


def test_submissions_may_lie_in_a_folder_that_the_environment_names(installed):
    place = installed.folder / "elsewhere"
    made = installed.type("regbench new another_method", REGBENCH_SUBMISSIONS=str(place))
    assert made.returncode == 0, made.stderr
    assert (place / "another_method" / "card.toml").exists()


def test_an_export_into_the_installed_package_is_refused(installed):
    said = installed.type("regbench export quickstart")
    assert said.returncode == 2
    assert "set REGBENCH_RESULTS" in said.stderr


def test_the_documents_example_of_a_registry_of_one_s_own_gives_ranked_rows(installed):
    """Its blocks with a title are files, its commands are typed as they stand; the network that it
    shows beside is built.
    """
    folder = installed.folder / "own"
    page = (ROOT / "docs" / "how-to" / "own-registry.md").read_text()
    blocks = re.findall(r'```(\w+)(?: title="([^"]+)")?\n(.*?)```', page, re.DOTALL)
    for _, title, text in blocks:
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(text)
    (typed,) = [text for language, _, text in blocks if language == "bash"]
    environment = installed.variables(REGBENCH_HOME=str(folder / "runs"))
    environment |= {"PATH": f"{installed.bin}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["bash", "-ec", typed + "regbench rank shapes --json > rows.json; regbench show narrow"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    rows = json.loads((folder / "rows.json").read_text())
    assert {row["regularizer"] for row in rows} == {"none", "jacobian", "my_penalty"}
    assert all(row["rank"] and row["seeds"] == 3 and row["clean"] > 0.9 for row in rows), rows
    exported = (folder / "mine" / "results" / "shapes.jsonl").read_text().splitlines()
    assert len(exported) == 24
    assert "timm: narrow_net" in said.stdout


def test_the_app_starts_and_answers(installed):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    app = subprocess.Popen(
        [installed.bin / "regbench", "app", "--port", str(port)],
        cwd=installed.folder,
        env=installed.variables(),
        stdout=subprocess.DEVNULL,
    )
    try:
        assert answer(f"http://localhost:{port}/_stcore/health", app) == "ok"
        assert "<title>" in answer(f"http://localhost:{port}/submit", app)
    finally:
        app.terminate()
        app.wait()


def answer(address, server):
    """What a server that may still be starting says."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as response:
                return response.read().decode()
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)


def test_every_page_loads(installed):
    """As Streamlit's own harness runs a page, from the installed files."""
    (installed.folder / "pages.py").write_text(PAGES)
    said = installed.type("python pages.py")
    assert said.returncode == 0, said.stdout + said.stderr


PAGES = """
from importlib.util import find_spec
from pathlib import Path
from streamlit.testing.v1 import AppTest

folder = Path(find_spec("leaderboard_app").origin).parent
app = AppTest.from_file(folder / "app.py", default_timeout=120).run()
for page in sorted(folder.glob("app_pages/*.py")):
    app.switch_page(f"app_pages/{page.name}").run()
    assert not app.exception, (page.name, app.exception[0].message)
"""
