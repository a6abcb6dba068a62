"""What every registered and submitted regularizer must keep to: a new one is tested by existing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from benchmark.regularizer import Step
from benchmark.review.check import card_gaps
from benchmark.review.demands import DEMANDS
from benchmark.review.demands_of_the_card import DEMANDS_OF_THE_CARD
from benchmark.review.specimen import Subject, batch, losses_and_penalty, plain, variants
from registry.load import Registry

REGISTRY = Registry()
METHODS = [REGISTRY.regularizer(name) for name in sorted(REGISTRY.regularizer_folders)]
CONTROL = "none"
SUBJECTS = [Subject(method.card, method.folder) for method in METHODS]
VARIANTS = [subject for method in METHODS for subject in variants(method.card, method.folder)]


def named(subject):
    return subject.id


every_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=named)
every_variant = pytest.mark.parametrize("subject", VARIANTS, ids=named)


@every_subject
def test_every_method_has_eight_values_of_lambda_and_a_control_has_none(subject):
    grid = subject.card.grid
    assert (len(grid) == 8 and grid[0] > 0) or subject.is_control


@every_subject
def test_a_card_says_all_that_a_reader_compares(subject):
    card = subject.card
    assert card_gaps(card) == ""
    assert str(card.year) in card.paper or card.name == CONTROL


def test_the_cards_are_read_without_loading_torch():
    code = (
        "import sys; from registry.load import Registry; r = Registry(); "
        "[r.regularizer(n) for n in r.regularizer_folders]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_variant
@pytest.mark.parametrize("demand", DEMANDS)
def test_every_variant_keeps_to_the_demand(subject, demand):
    DEMANDS[demand](subject)


@every_subject
@pytest.mark.parametrize("demand", DEMANDS_OF_THE_CARD)
def test_every_method_keeps_to_the_demand(subject, demand):
    DEMANDS_OF_THE_CARD[demand](subject)


class DrawnOnTheCPU(Step):
    """A step whose noise is the same on every device."""

    _draws: torch.Generator

    def at(self, x):
        step = super().at(x)
        step.__class__, step._draws = DrawnOnTheCPU, self._draws
        return step

    def randn(self, shape):
        return torch.randn(shape, generator=self._draws, dtype=self.x.dtype).to(self.x.device)

    def rand(self, shape):
        return torch.rand(shape, generator=self._draws, dtype=self.x.dtype).to(self.x.device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_variant
def test_it_gives_the_same_on_cuda(subject):
    results = []
    for device in ("cpu", "cuda"):
        model, (x, y) = plain(subject).to(device), batch()
        step = DrawnOnTheCPU(model, x.to(device), y.to(device), strength=subject.strength)
        step._draws = torch.Generator().manual_seed(11)
        losses, penalty = losses_and_penalty(subject.load(), step)
        weights = list(model.parameters())
        gradients = torch.autograd.grad(losses.mean() + penalty.mean(), weights)
        results.append([losses, penalty, *gradients])
    for here, there in zip(*results):
        assert_close(there.cpu(), here, rtol=1e-6, atol=1e-9)
