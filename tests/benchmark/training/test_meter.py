"""Epochs and divergence against means taken by hand."""

import math

import pytest
import torch

from benchmark.training import Phase
from benchmark.training.meter import EpochMeter
from registry.spec import Recipe

PHASE = Phase.of(
    Recipe(batch_size=10, learning_rate=0.1, fine_tune_iterations=5, schedule="constant"),
    "fine_tune",
    20,
)


def metered(steps, models):
    """The meter after these summaries, each [models, 3]."""
    meter = EpochMeter(PHASE, torch.device("cpu"), models)
    for done, summary in enumerate(steps, start=1):
        meter.add(torch.tensor(summary, dtype=torch.float64))
        if PHASE.ends_epoch(done):
            meter.close(done)
    return meter


def test_an_epoch_is_the_mean_of_its_steps_and_the_last_may_be_short():
    steps = [[[float(i), 2.0 * i, i / 10]] for i in range(5)]
    (epochs,) = metered(steps, 1).epochs
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2]
    assert [epoch.loss for epoch in epochs] == [0.5, 2.5, 4.0]
    assert [epoch.penalty for epoch in epochs] == [1.0, 5.0, 8.0]
    assert [epoch.accuracy for epoch in epochs] == pytest.approx([0.05, 0.25, 0.4])
    assert {epoch.learning_rate for epoch in epochs} == {0.1}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("column", [0, 1])
def test_a_model_ends_with_the_epoch_in_which_it_diverges_and_the_others_go_on(bad, column):
    steps = [[[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]] for _ in range(5)]
    steps[2][1][column] = bad
    meter = metered(steps, 2)
    assert [len(epochs) for epochs in meter.epochs] == [3, 2]
    assert meter.ended == {1: 4}
    assert not meter.all_diverged
