"""The stacked engine gives every model the parameters that the sequential one gives it."""

import pytest
import torch
from torch import nn

from benchmark.data.splits import Split
from benchmark.regularizer import load_regularizer
from benchmark.training.loop import Phase, train
from benchmark.training.stack import Stack
from benchmark.training.stacked import WARM_UP, stackable, train_stacked
from registry.load import Registry
from registry.spec import Recipe

pytestmark = pytest.mark.slow

REGISTRY = Registry()
METHODS = [
    name
    for name in sorted(REGISTRY.regularizer_folders)
    if name != "none" and REGISTRY.regularizer(name).card.stackable
]
SEEDS = [0, 0, 3]
RECIPE = Recipe(
    batch_size=6,
    learning_rate=0.05,
    weight_decay=1e-3,
    fine_tune_iterations=25,
    ramp=0.2,
    warmup_epochs=1.0,
)


class Double(Split):
    def pixels(self, index=None):
        return super().pixels(index).double()


def images(count=24):
    """Dithered: ties in a pooling window would be broken differently by different engines."""
    generator = torch.Generator().manual_seed(0)
    return Double(
        torch.randint(256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator),
        torch.arange(count) % 3,
        255,
    )


def net(seed, smooth):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        activation = nn.SiLU if smooth else nn.ReLU
        return nn.Sequential(
            nn.Conv2d(1, 3, 3),
            activation(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(27, 8),
            activation(),
            nn.Linear(8, 3),
        ).double()


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", METHODS)
def test_stacked_training_equals_sequential_training_after_25_steps(name):
    method = REGISTRY.regularizer(name)
    grid = method.card.grid
    strengths = [grid[len(grid) // 4], grid[len(grid) // 2], grid[len(grid) // 2]]
    regularizer = load_regularizer(method.folder, {})
    phase = Phase.of(RECIPE, "fine_tune", 24)
    alone = [net(seed, method.card.smooth_activation) for seed in SEEDS]
    stacked = [net(seed, method.card.smooth_activation) for seed in SEEDS]
    expected = [
        train(model, images(), phase, seed=seed, regularizer=regularizer, strength=strength)
        for model, seed, strength in zip(alone, SEEDS, strengths)
    ]
    results = train_stacked(
        stacked, images(), phase, seeds=SEEDS, strengths=strengths, regularizer=regularizer
    )
    for one, other, wanted, result in zip(alone, stacked, expected, results):
        assert (wanted.status, wanted.iterations) == (result.status, result.iterations)
        torch.testing.assert_close(weights(other), weights(one), rtol=0, atol=1e-9)
        assert [e.epoch for e in result.epochs] == [e.epoch for e in wanted.epochs]
        assert result.epochs[-1].penalty == pytest.approx(
            wanted.epochs[-1].penalty, rel=1e-6, abs=1e-9
        )
        assert result.state.keys() == wanted.state.keys()


def test_controls_stack_without_a_regularizer():
    phase = Phase.of(RECIPE, "fine_tune", 24)
    alone, stacked = [net(s, False) for s in SEEDS], [net(s, False) for s in SEEDS]
    for model, seed in zip(alone, SEEDS):
        train(model, images(), phase, seed=seed)
    train_stacked(stacked, images(), phase, seeds=SEEDS, strengths=[0.0] * 3)
    for one, other in zip(alone, stacked):
        torch.testing.assert_close(weights(other), weights(one), rtol=0, atol=1e-9)


def normalising(seed):
    """With BatchNorm: the batch's statistics in the loss, the running ones elsewhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 3),
        ).double()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("none", {}),
        ("input_gradient", {}),
        ("jacobian", {"projections": 1}),
        ("adversarial_training", {}),
        ("spectral_normalization", {}),
        ("global_spectral_norm", {}),
    ],
)
def test_batch_norm_keeps_each_model_s_statistics(name, params):
    regularizer = None
    if name != "none":
        regularizer = load_regularizer(REGISTRY.regularizer(name).folder, params)
    phase = Phase.of(RECIPE, "fine_tune", 24)
    strengths = [0.0] * 3 if regularizer is None else [0.05, 0.1, 0.1]
    alone, stacked = [normalising(s) for s in SEEDS], [normalising(s) for s in SEEDS]
    for model, seed, strength in zip(alone, SEEDS, strengths):
        train(model, images(), phase, seed=seed, regularizer=regularizer, strength=strength)
    train_stacked(
        stacked, images(), phase, seeds=SEEDS, strengths=strengths, regularizer=regularizer
    )
    for one, other in zip(alone, stacked):
        assert not other.training
        there = other.state_dict()
        for name, value in one.state_dict().items():
            torch.testing.assert_close(there[name], value, rtol=0, atol=1e-9)


def test_networks_that_draw_are_trained_one_by_one():
    assert stackable(normalising(0))
    assert not stackable(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)))
    assert not stackable(nn.Sequential(nn.BatchNorm2d(2, momentum=None)))
    frozen = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    assert not stackable(frozen)


def test_a_model_that_diverges_leaves_the_others_alone():
    phase = Phase.of(RECIPE, "fine_tune", 24)
    regularizer = load_regularizer(REGISTRY.regularizer("jacobian").folder, {})
    alone, stacked = net(1, False), [net(0, False), net(1, False)]
    train(alone, images(), phase, seed=1, regularizer=regularizer, strength=0.01)
    results = train_stacked(
        stacked, images(), phase, seeds=[0, 1], strengths=[1e200, 0.01], regularizer=regularizer
    )
    assert [result.status for result in results] == ["diverged", "finished"]
    torch.testing.assert_close(weights(stacked[1]), weights(alone), rtol=0, atol=1e-9)


def taken(name, params, told):
    """The weights of three models after a pass of whose steps, the first ones aside, the device is
    told or not.
    """
    regularizer = load_regularizer(REGISTRY.regularizer(name).folder, params)
    nets = [net(seed, smooth=False) for seed in SEEDS]
    phase = Phase.of(RECIPE, "fine_tune", 24)
    stack = Stack(nets, images(), phase, SEEDS, [0.1, 0.2, 0.2], regularizer)
    for at in range(stack.begin_pass(0)):
        stack.step(at if told or at < WARM_UP else None)
    for m, model in enumerate(nets):
        stack.put(model, m)
    return torch.stack([weights(model) for model in nets])


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("jacobian", {"projections": 1}),
        ("adversarial_training", {}),
        ("global_spectral_norm", {}),
        ("curvature_finite_difference", {}),
    ],
)
def test_a_step_of_which_the_device_is_told_nothing_is_the_same_step(name, params):
    torch.testing.assert_close(
        taken(name, params, told=False), taken(name, params, told=True), rtol=0, atol=1e-12
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_captured_steps_are_those_that_python_tells_one_by_one(name):
    method = REGISTRY.regularizer(name)
    regularizer = load_regularizer(method.folder, {})
    phase = Phase.of(RECIPE, "fine_tune", 24)
    split = Double(images().images.cuda(), images().labels.cuda(), 255)
    both = []
    for capture in (True, False):
        nets = [net(seed, method.card.smooth_activation).cuda() for seed in SEEDS]
        strengths = [method.card.grid[2]] * len(nets)
        train_stacked(
            nets,
            split,
            phase,
            seeds=SEEDS,
            strengths=strengths,
            regularizer=regularizer,
            capture=capture,
        )
        both.append(torch.stack([weights(model) for model in nets]))
    torch.testing.assert_close(*both, rtol=0, atol=1e-9)
