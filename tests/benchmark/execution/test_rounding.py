"""Spreads of runs that differ in their last bits, by hand; the runs themselves; and their order."""

import os
import subprocess
import sys

import numpy as np
import pytest

from benchmark.execution.rounding import PERTURBATIONS, Spread, Twins, references_first
from benchmark.records.home import TrialFolder
from benchmark.records.outcome import Outcome, Score
from registry.load import Registry

TRIALS = [trial for _, trial in Registry().select(["quickstart"])]
SUM = """
import torch
torch.manual_seed(0)
a, b = torch.randn(64, 64), torch.randn(64, 300)
print((a @ b).numpy().tobytes().hex(), torch.log_softmax(a, 1).numpy().tobytes().hex())
"""


def run(accuracy, robust, distance, trial=TRIALS[0], n=(100, 400)):
    def score(threat, metric, value, n):
        return Score(threat=threat, split="test", metric=metric, value=value, n=n, examples=n)

    scores = (
        score("clean", "accuracy", accuracy, n[0]),
        score("pgd-inf-0.1", "robust_accuracy", robust, n[1]),
        score("deepfool-2", "relative_distance", distance, 50),
    )
    return Outcome.of(trial, status="finished", scores=scores)


def test_shares_are_pooled_by_their_number_of_images_and_distances_are_not():
    first = [run(0.90, 0.50, 1.0), run(0.92, 0.52, 1.1), run(0.91, 0.48, 0.9)]
    second = [run(0.80, 0.40, 2.0), run(0.84, 0.40, 2.0)]
    found = Spread.of([first, second])
    variances = [
        (100 * np.var([0.90, 0.92, 0.91], ddof=1), 2),
        (400 * np.var([0.50, 0.52, 0.48], ddof=1), 2),
        (100 * np.var([0.80, 0.84], ddof=1), 1),
        (0.0, 1),
    ]
    pooled = sum(variance * freedom for variance, freedom in variances) / 6
    clean, robust, distance = first[0].scores
    assert found.at(clean) == pytest.approx(np.sqrt(pooled / 100))
    assert found.at(robust) == pytest.approx(np.sqrt(pooled / 400))
    relative = (np.var([1.0, 1.1, 0.9], ddof=1) * 2 / 1.1**2 + 0.0) / 3
    assert found.at(distance) == pytest.approx(np.sqrt(relative) * 1.0)


def test_no_spread_is_below_what_a_score_resolves():
    clean, _, distance = run(0.9, 0.5, 2.0).scores
    same = Spread.of([[run(0.9, 0.5, 2.0)] * 3])
    for spread in (same, Spread.of([]), Spread.of([[run(0.9, 0.5, float("inf"))] * 2])):
        assert spread.at(clean) == 0.005
        assert spread.at(distance) == pytest.approx(2e-6)


def test_a_trial_of_which_one_twin_is_missing_or_lacks_a_part_is_not_known(tmp_path):
    trial = TRIALS[0].model_copy(update={"evaluation": ()})
    twins = Twins(tmp_path)
    homes = [tmp_path / "cache" / "rounding" / str(i) for i in range(len(PERTURBATIONS))]
    for home in homes:
        assert twins.known(trial) == []
        TrialFolder(home, trial.key).finish(run(0.9, 0.5, 1.0, trial))
    assert len(twins.known(trial)) == len(PERTURBATIONS)
    assert twins.known(TRIALS[0]) == []


def test_a_reference_is_run_before_what_starts_from_it_and_evaluated_only_where_asked_for():
    some = [trial for trial in TRIALS if trial.seed == 0 and trial.reference is not None][:3]
    order = references_first(some)
    place = {trial.key: i for i, trial in enumerate(order)}
    assert all(place[trial.reference.key] < place[trial.key] for trial in some)
    references = {trial.reference.key for trial in some}
    unasked = [trial for trial in order if trial.key in references - {t.key for t in some}]
    assert unasked and all(trial.evaluation == () for trial in unasked)
    assert {trial.key for trial in order} == references | {trial.key for trial in some}


def test_each_perturbation_changes_the_last_bits_and_no_more():
    def sums(environment):
        text = subprocess.run(
            [sys.executable, "-c", SUM],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [np.frombuffer(bytes.fromhex(part), np.float32) for part in text.split()]

    plain = sums({})
    for perturbation in PERTURBATIONS:
        other = sums(perturbation)
        assert any((one != two).any() for one, two in zip(plain, other))
        for one, two in zip(plain, other):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
