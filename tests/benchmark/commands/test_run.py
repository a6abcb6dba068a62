"""`regbench run` on part of a track."""

import json

import pytest

from benchmark.records.home import trial_folders

from ..command import regbench

pytestmark = pytest.mark.slow


def test_a_tier_takes_the_entries_that_are_named_and_no_others(home):
    named = ["quickstart/lenet_300_100/none/*", "quickstart/lenet_300_100/weight_decay/*"]
    ran = regbench("run", *named, "--seeds", "1", home=home)
    assert ran.returncode == 0, ran.stderr
    looked = regbench("run", named[0], "--seeds", "1", "--tier", "standard", "--json", home=home)
    assert looked.returncode == 0, looked.stderr
    assert json.loads(looked.stdout.splitlines()[-1])
    outcomes = [folder.sound_outcome() for folder in trial_folders(home)]
    attacked = [
        outcome.entry_id
        for outcome in outcomes
        if any(score.threat == "apgd-inf-0.1" for score in outcome.scores)
    ]
    assert {outcome.regularizer for outcome in outcomes} == {"none", "weight_decay"}
    assert set(attacked) == {"digits/lenet_300_100/none/0"}  # and the reference
