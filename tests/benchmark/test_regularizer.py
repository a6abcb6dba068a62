"""The objective: the loss plus λ times the penalty, and what is refused."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.regularizer import Diverged, Noise, Regularizer, Step, objective

X, Y = torch.rand(5, 1, 2, 2, dtype=torch.float64), torch.arange(5) % 3


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).double()


@dataclass(frozen=True)
class Darker(Regularizer):
    """Trains on darker images and penalises their logits."""

    def training_input(self, step):
        return step.x / 2

    def penalty(self, step):
        return step.logits.square().sum(1)


@dataclass(frozen=True)
class Decomposing(Regularizer):
    def penalty(self, step):
        return torch.linalg.cholesky(-torch.eye(2, dtype=step.x.dtype)).sum()


def test_the_objective_is_the_mean_loss_plus_lambda_times_the_mean_penalty_at_the_methods_images():
    model = net()
    found = objective(Darker(), Step(model, X, Y), 0.3)
    logits = model(X / 2)
    losses, penalties = F.cross_entropy(logits, Y, reduction="none"), logits.square().sum(1)
    torch.testing.assert_close(found.total, losses.mean() + 0.3 * penalties.mean())
    torch.testing.assert_close(found.losses, losses)
    torch.testing.assert_close(found.penalties, penalties)
    accuracy = (logits.argmax(1) == Y).double().mean()
    expected = torch.stack([losses.mean(), penalties.mean(), accuracy])
    torch.testing.assert_close(found.summary(Y), expected)


def test_the_loss_may_be_taken_on_other_logits_than_the_penalty_at_the_same_images():
    model, seen = net(), []

    def forward(images):
        seen.append(images)
        return 2 * model(images)

    found = objective(Darker(), Step(model, X, Y), 1.0, forward)
    assert [torch.equal(images, X / 2) for images in seen] == [True]
    torch.testing.assert_close(found.losses, F.cross_entropy(2 * model(X / 2), Y, reduction="none"))
    torch.testing.assert_close(found.penalties, model(X / 2).square().sum(1))


def test_without_a_method_there_is_no_penalty():
    found = objective(None, Step(net(), X, Y), 0.5)
    assert found.penalty == 0
    assert found.total == found.loss


def test_a_decomposition_that_fails_is_divergence_only_where_the_logits_are_not_finite():
    with pytest.raises(torch.linalg.LinAlgError):
        objective(Decomposing(), Step(net(), X, Y), 1.0)
    with pytest.raises(Diverged):
        objective(Decomposing(), Step(net(), X / 0, Y), 1.0)


def test_a_penalty_that_is_no_tensor_is_refused():
    class Number(Regularizer):
        def penalty(self, step):
            return 1.0

    with pytest.raises(TypeError, match="must return a tensor, not float"):
        objective(Number(), Step(net(), X, Y), 1.0)


def test_a_step_draws_from_its_noise_and_so_does_the_step_at_other_images():
    def drawn(seed, at):
        step = Step(net(), X, Y, noise=Noise(torch.Generator().manual_seed(seed)))
        return (step.at(X / 2) if at else step).randn((4,))

    assert torch.equal(drawn(1, False), drawn(1, True))
    assert not torch.equal(drawn(1, False), drawn(2, False))
    assert drawn(1, False).dtype == torch.float64
