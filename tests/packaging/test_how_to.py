"""The how-tos run as they stand: a page's blocks marked `bash`, in one folder; the examples of
hooks.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.regularizer import Regularizer
from benchmark.review.demands import maps_over_stacked_models
from benchmark.review.specimen import Subject
from registry.load import Registry
from registry.places import HERE

PAGES = sorted((HERE.parent / "docs" / "how-to").glob("*.md"))
ELSEWHERE = "own-registry"  # test_wheel goes through it, from an installed wheel
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.M | re.S)
CODE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
HOOKS = CODE.findall((HERE.parent / "docs" / "how-to" / "hooks.md").read_text())
METHOD = re.compile(
    r"^@(?:regularizer|dataclass).*?(?=^\w*\b(?:assert|found|tried|state)\b|\Z)", re.M | re.S
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.stem != ELSEWHERE and BLOCK.search(page.read_text())],
    ids=lambda page: page.stem,
)
def test_a_pages_commands_run(page, tmp_path):
    commands = "\n".join(BLOCK.findall(page.read_text()))
    own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    places = {
        "REGBENCH_HOME": str(tmp_path / "runs"),
        "REGBENCH_SUBMISSIONS": str(tmp_path / "submissions"),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env=os.environ | own | places,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_example_of_every_hook_runs(home):
    """A page's `python` blocks are one program, whose assertions say what each example does."""
    program = "\n".join(HOOKS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "pgd-inf-0.1" in done.stdout
    hooks = {name for name in vars(Regularizer) if not name.startswith("_")}
    assert {name for name in hooks if f"def {name}(" in program} == hooks


@pytest.mark.parametrize("code", [found[0] for found in map(METHOD.search, HOOKS) if found])
def test_the_example_of_every_hook_trains_beside_others_as_one_model(code, tmp_path):
    imports = HOOKS[0].partition("torch.manual_seed")[0]
    (tmp_path / "regularizer.py").write_text(imports + code)
    card = Registry().regularizer("jacobian").card.model_copy(update={"params": {}})
    maps_over_stacked_models(Subject(card, tmp_path))
