"""A submission is attacked as those are that it stands beside, and `verify` repeats all of it."""

import shutil

import pytest

from benchmark.review import results, submit
from benchmark.review.repetition import differences
from registry.load import HERE, Registry

from ...files import write
from ..command import regbench

pytestmark = pytest.mark.slow

TRACK = """
name = "small"
title = "One method beside the control"
dataset = "digits"
architectures = ["lenet_300_100"]
seeds = 1
threats = [{ attack = "pgd", norm = "inf", epsilon = 0.1, steps = 5 }]
headline = "pgd-inf-0.1-steps=5"
clean_floor = 0.5
test_examples = 60
tier_examples = 20
measure_examples = 20

[recipe]
batch_size = 64
learning_rate = 0.05
reference_epochs = 5
fine_tune_epochs = 5

[[entry]]
regularizer = "none"

[[entry]]
regularizer = "weight_decay"
lambda = [1e-3]
"""
ENTRIES = """
[[entry]]
track = "small"
lambda = [0.2]
"""


def test_what_a_row_rests_on_is_run_at_the_tier_that_ranks_and_all_of_it_is_repeated(
    home, tmp_path, monkeypatch
):
    write(tmp_path, "own/tracks/small.toml", TRACK)
    monkeypatch.setenv("REGBENCH_REGISTRY", str(tmp_path / "own"))
    others = regbench("run", "small", "--tier", "standard", "--device", "cpu")
    assert others.returncode == 0, others.stderr
    submissions = tmp_path / "submissions"
    shutil.copytree(HERE / "template", submissions / "my_method")
    card = (HERE / "template" / "card.toml").read_text().replace("NAME", "my_method")
    write(submissions, "my_method/card.toml", card)
    write(submissions, "my_method/entries.toml", ENTRIES)
    registry = Registry(HERE, submissions, "my_method")
    outcomes = submit.run(registry, "my_method", seeds=None, workers=1, trusted=True)
    standard = registry.track("small").tier_parts("standard", 360)
    assert outcomes[0].parts >= {part.id for part in standard}
    results.write(registry, "my_method", outcomes, "claimed")
    claimed = results.read(results.path_of(registry, "my_method"))
    found, untrue = submit.repeat(registry, "my_method", claimed, workers=1, trusted=True)
    assert untrue == differences(claimed, found) == []
    assert found[0].parts == claimed[0].parts
