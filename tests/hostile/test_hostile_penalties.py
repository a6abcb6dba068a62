"""Code that does harm in a step: found by the check, or without effect on what is measured."""

import re
import resource
import subprocess
import sys

import pytest
import torch

from benchmark.review.check import examine
from benchmark.sandbox.process import MIB, Limits

pytestmark = pytest.mark.slow

CASES = {
    "replaces the model's forward": (
        "vars(step.model)['forward'] = lambda x: x.flatten(1)[:, :4]",
        "leaves the model changed",
    ),
    "returns NaN": ("return step.losses * float('nan')", "not finite"),
    "returns a constant": (
        "return step.losses.detach() * 0 + 1",
        "it changes nothing that is trained",
    ),
    "replaces a function of torch": (
        "import torch\ntorch.softmax = None",
        "it replaces torch.softmax",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_penalty_that_does_harm_ends_in_a_verdict_of_one_line(submission, case):
    code, expected = CASES[case]
    report = examine(
        submission(in_penalty=code),
        limits=Limits(wall_seconds=120, cpu_seconds=60, memory=2048 * MIB),
    )
    assert not report.ok
    assert any(re.search(expected, finding.detail) for finding in report.findings if not finding.ok)
    assert len(report.verdict.splitlines()) == 1
    assert torch.softmax is not None


def test_a_mistake_that_fails_every_check_is_told_once(submission):
    report = examine(submission(in_penalty="return step.losses * undefined"))
    failed = [finding for finding in report.findings if not finding.ok]
    assert [finding.detail for finding in failed] == ["NameError: name 'undefined' is not defined"]
    assert len(report.findings) > 5


def test_a_mistake_in_a_text_file_is_told_before_anything_heavy_starts(submission):
    folder = submission("while True: pass")
    card = folder / "card.toml"
    card.write_text(card.read_text().replace("formula = '", "formula = '{"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(
        [sys.executable, "-m", "benchmark.commands", "check", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert told.returncode == 1
    assert "hostile: fails: card.toml has all that a reader compares: " in told.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
