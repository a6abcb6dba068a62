"""The training loop against plain PyTorch written out, and the promises that make methods
comparable.
"""

import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.data.splits import Split
from benchmark.regularizer import Regularizer
from benchmark.training import Phase, train
from benchmark.training.batches import batches, crop_and_flip, seeded
from registry.spec import Recipe


def split(n=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 1, 4, 4), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(3, (n,), generator=generator), 255)


def net(*extra):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), *extra, nn.ReLU(), nn.Linear(8, 3))


def recipe(**fields):
    return Recipe(
        **{"batch_size": 10, "learning_rate": 0.1, "reference_epochs": 2, "fine_tune_epochs": 3}
        | fields
    )


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@dataclass(frozen=True)
class Recorder(Regularizer):
    """Penalises nothing and notes what it is given."""

    seen: list

    def penalty(self, step):
        self.seen.append((step.x.clone(), step.strength, step.progress, step.randn((2,))))
        return 0 * step.logits.sum(1)

    def after_epoch(self, model, strength):
        self.seen.append("epoch")


@dataclass(frozen=True)
class Weights(Regularizer):
    def penalty(self, step):
        return sum(p.square().sum() for p in step.parameters.values())


@dataclass(frozen=True)
class Exploding(Regularizer):
    def penalty(self, step):
        return step.logits.sum(1) / 0.0


def test_training_is_sgd_on_cross_entropy_plus_lambda_times_the_mean_penalty():
    data, plan = split(), Phase.of(recipe(weight_decay=0.01), "fine_tune", 40)
    model = net()
    result = train(model, data, plan, seed=5, regularizer=Weights(), strength=0.3)

    twin = net()
    velocity = [torch.zeros_like(p) for p in twin.parameters()]
    order = batches(40, 10, seeded(5, "fine_tune order"))
    for iteration in range(12):
        index = next(order)
        loss = F.cross_entropy(twin(data.pixels(index)), data.labels[index])
        loss = loss + 0.3 * sum(p.square().sum() for p in twin.parameters())
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        rate = 0.1 * (1 + math.cos(math.pi * iteration / 12)) / 2
        with torch.no_grad():
            for p, v, g in zip(twin.parameters(), velocity, gradients):
                v.mul_(0.9).add_(g + 0.01 * p)
                p.sub_(rate * v)
    assert result.status == "finished"
    assert result.iterations == 12
    torch.testing.assert_close(weights(model), weights(twin))


def test_at_lambda_zero_a_method_trains_bit_by_bit_like_the_control():
    one, other = net(), net()
    plan = Phase.of(recipe(), "fine_tune", 40)
    train(one, split(), plan, seed=1)
    train(other, split(), plan, seed=1, regularizer=Exploding(), strength=0.0)
    assert torch.equal(weights(one), weights(other))


def test_a_penalty_of_zero_trains_bit_by_bit_like_the_control():
    one, other = net(), net()
    plan = Phase.of(recipe(), "fine_tune", 40)
    train(one, split(), plan, seed=1)
    train(other, split(), plan, seed=1, regularizer=Recorder([]), strength=0.7)
    assert torch.equal(weights(one), weights(other))


def test_every_method_sees_the_same_batches_and_chance_for_the_same_seed():
    seen = [], [], []
    for record, seed in zip(seen, (3, 3, 4)):
        train(
            net(),
            split(),
            Phase.of(recipe(), "fine_tune", 40),
            seed=seed,
            regularizer=Recorder(record),
            strength=1.0,
        )
    steps = [[entry for entry in record if entry != "epoch"] for record in seen]
    assert all(
        torch.equal(a[0], b[0]) and torch.equal(a[3], b[3]) for a, b in zip(steps[0], steps[1])
    )
    assert not torch.equal(steps[0][0][0], steps[2][0][0])


def test_lambda_rises_over_the_ramp_and_progress_from_0_to_1():
    record = []
    train(
        net(),
        split(),
        Phase.of(recipe(ramp=0.25), "fine_tune", 40),
        seed=0,
        regularizer=Recorder(record),
        strength=0.8,
    )
    steps = [entry for entry in record if entry != "epoch"]
    assert [s[1] for s in steps] == pytest.approx([0.2, 0.4, 0.6] + [0.8] * 9)
    assert (steps[0][2], steps[-1][2]) == (0, 1)
    assert record.count("epoch") == 3


def test_an_epoch_is_a_pass_without_repeats_of_full_batches():
    order = batches(23, 10, seeded(0, "order"))
    first = torch.cat([next(order), next(order)])
    assert len(first.unique()) == 20


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "constant"}, [0.1] * 12),
        ({"schedule": "step", "milestones": (0.5, 0.75)}, [0.1] * 6 + [0.01] * 3 + [0.001] * 3),
        (
            {"schedule": "inverse", "gamma": 0.5, "power": 0.75},
            [0.1 * (1 + 0.5 * i) ** -0.75 for i in range(12)],
        ),
        ({"schedule": "constant", "warmup_epochs": 1.0}, [0.025, 0.05, 0.075] + [0.1] * 9),
        ({"schedule": "constant", "fine_tune_learning_rate": 0.3}, [0.3] * 12),
    ],
)
def test_the_learning_rate_follows_the_schedule(fields, expected):
    phase = Phase.of(recipe(**fields), "fine_tune", 40)
    assert [phase.rate(i) for i in range(phase.iterations)] == pytest.approx(expected)


def test_divergence_is_an_outcome():
    result = train(
        net(),
        split(),
        Phase.of(recipe(), "fine_tune", 40),
        seed=0,
        regularizer=Exploding(),
        strength=1.0,
    )
    assert result.status == "diverged"
    assert len(result.epochs) == 1
    assert not math.isfinite(result.epochs[0].penalty)


def test_with_batchnorm_the_penalty_sees_running_statistics_and_training_updates_them():
    model = net(nn.BatchNorm1d(8))
    before = model[2].running_mean.clone()

    @dataclass(frozen=True)
    class Alone(Regularizer):
        """An example's logits must not depend on its batch."""

        def penalty(self, step):
            alone = torch.cat([step.model(x[None]) for x in step.x])
            torch.testing.assert_close(alone, step.logits)
            return step.input_gradient.flatten(1).square().sum(1)

    result = train(
        model,
        split(),
        Phase.of(recipe(), "fine_tune", 40),
        seed=0,
        regularizer=Alone(),
        strength=0.1,
    )
    assert result.status == "finished"
    assert not torch.equal(before, model[2].running_mean)


def test_the_batchnorm_path_equals_the_shared_path_where_there_is_no_batchnorm():
    @dataclass(frozen=True)
    class Gradient(Regularizer):
        def penalty(self, step):
            return step.input_gradient.flatten(1).square().sum(1)

    one, other = (
        net(),
        net(nn.Dropout(1e-12)),
    )  # a dropout that never drops still takes the path of two forward passes
    plan = Phase.of(recipe(), "fine_tune", 40)
    for model in (one, other):
        train(model, split(), plan, seed=0, regularizer=Gradient(), strength=0.5)
    torch.testing.assert_close(weights(one), weights(other))


def test_augmentation_crops_and_mirrors_each_image():
    x = torch.rand(50, 2, 6, 6)
    out = crop_and_flip(x, seeded(0, "augmentation"))
    padded = F.pad(x, (4, 4, 4, 4))
    for image, given in zip(out, padded):
        candidates = [given[:, t : t + 6, left : left + 6] for t in range(9) for left in range(9)]
        assert any(torch.equal(image, c) or torch.equal(image, c.flip(2)) for c in candidates)
    assert (
        len(
            {
                tuple(image.flatten().tolist())
                for image in crop_and_flip(x[:1].expand(50, -1, -1, -1), seeded(0, "a"))
            }
        )
        > 20
    )
