"""What every registered and submitted regularizer must keep to: a new one is tested by existing."""
from __future__ import annotations

import copy
import subprocess
import sys
from dataclasses import fields
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from benchmark import models
from benchmark.data import Split
from benchmark.regularizer import Regularizer, Step, load_regularizer
from benchmark.train import Phase, train
from registry.load import Registry
from registry.spec import Card, InputError, Recipe

REGISTRY = Registry()
NAMES = sorted(REGISTRY.regularizer_folders)
DIGITS = REGISTRY.dataset("digits")
CONTROL = "none"
B = 7  # no other size in these tests is 7


def card_of(name: str) -> Card:
    return REGISTRY.regularizer(name).card


def load(name: str, **params: Any) -> Regularizer:
    return load_regularizer(REGISTRY.regularizer(name).folder, params)


def variants() -> list[tuple[str, dict[str, Any]]]:
    """Each method as its card has it, and with every single option that the card offers."""
    cases: list[tuple[str, dict[str, Any]]] = []
    for name in NAMES:
        params = card_of(name).params
        cases.append((name, {}))
        for field, param in params.items():
            values = {"bool": (True, False)}.get(param.type) or param.choices or ((param.min,) if param.default is None else ())
            for value in values:
                if value == param.default:
                    continue
                given: dict[str, Any] = {field: 0.5 if value == 0 and param.type == "float" else value}
                try:
                    load(name, **given)
                except InputError:  # an option that needs another one beside it
                    given |= {other: p.min for other, p in params.items() if p.default is None and other != field}
                cases.append((name, given))
    return cases


VARIANTS = variants()
every_name = pytest.mark.parametrize("name", NAMES)
every_variant = pytest.mark.parametrize(("name", "params"), VARIANTS,
                                        ids=[":".join([n, *(f"{k}={v}" for k, v in p.items())]) for n, p in VARIANTS])


class Plain(nn.Module):
    """One convolution and two linear layers without BatchNorm: small enough to be trained and stacked."""

    def __init__(self, activation: type[nn.Module]):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), activation(), nn.Flatten(), nn.Linear(36, 8), activation(),
                                 nn.Linear(8, 4))

    def forward(self, x):
        return self.net(x)


def plain(name: str, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Plain(nn.SiLU if card_of(name).smooth_activation else nn.ReLU).double()


def batch(size: int = B, classes: int = 4, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand((size, 1, 8, 8), generator=generator, dtype=dtype), torch.arange(size) % classes


def strength(name: str) -> float:
    grid = card_of(name).grid
    return grid[len(grid) // 2]


def step_of(name: str, model, x, y, **options: Any) -> Step:
    generator = torch.Generator(x.device).manual_seed(11)
    return Step(model, x, y, **({"strength": strength(name), "generator": generator} | options))


def parts(regularizer: Regularizer, step: Step) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses and penalty as the trainer takes them."""
    images = regularizer.training_input(step)
    if images is not step.x:
        step = step.at(images)
    penalty = regularizer.penalty(step)
    return step.losses, penalty


@every_name
def test_a_card_names_exactly_its_plugins_fields_with_their_defaults(name):
    card, regularizer = card_of(name), load(name)
    assert {f.name: f.default for f in fields(regularizer)} == {key: param.default for key, param in card.params.items()}
    for field, param in card.params.items():
        assert param.doc.endswith(".")
        if param.default is not None:
            assert param.parse(str(param.default).lower()) == param.default, field


@every_name
def test_every_method_has_eight_values_of_lambda_and_a_control_has_none(name):
    grid = card_of(name).grid
    assert (len(grid) == 8 and grid[0] > 0) or grid == (0.0,)


@every_name
def test_a_card_says_all_that_a_reader_compares(name):
    card = card_of(name)
    for field in ("title", "authors", "paper", "licence", "formula", "lambda_means", "batch_norm", "extra_forwards",
                  "extra_backwards"):
        assert getattr(card, field).strip(), field
    assert card.formula.count("{") == card.formula.count("}")
    assert str(card.year) in card.paper or name == CONTROL


def test_the_cards_are_read_without_loading_torch():
    code = "import sys; from registry.load import Registry; r = Registry(); " \
           "[r.regularizer(n) for n in r.regularizer_folders]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_penalty_is_finite_one_value_an_example_or_a_scalar(name, params, dtype):
    model, (x, y) = plain(name).to(dtype), batch(dtype=dtype)
    regularizer = load(name, **params)
    step = step_of(name, model, x, y)
    images = regularizer.training_input(step)
    assert images.shape == x.shape and images.dtype == dtype and not images.requires_grad
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    losses, penalty = parts(regularizer, step_of(name, model, x, y))
    assert penalty.shape in ((B,), ()) and penalty.dtype == dtype
    assert bool(penalty.isfinite().all()) and bool(losses.isfinite().all())


@every_variant
def test_it_changes_what_is_trained_and_its_gradient_is_finite(name, params):
    if name == CONTROL:
        pytest.skip("the control changes nothing")
    model, (x, y) = plain(name), batch()
    regularizer = load(name, **params)
    weights = list(model.parameters())
    plain_gradient = torch.autograd.grad(Step(model, x, y).losses.mean(), weights)
    losses, penalty = parts(regularizer, step_of(name, model, x, y))
    gradient = torch.autograd.grad(losses.mean() + penalty.mean(), weights)
    assert all(bool(g.isfinite().all()) for g in gradient)
    changed = [not torch.equal(*pair) for weight, *pair in zip(weights, gradient, plain_gradient) if weight.ndim > 1]
    if not any(changed):
        before = [w.detach().clone() for w in weights]
        regularizer.after_epoch(model, 4.0)
        changed = [not torch.equal(*pair) for weight, *pair in zip(weights, before, weights) if weight.ndim > 1]
    assert all(changed)


class Reordered(Step):
    """A step whose examples come in another order, each with the noise that it had in the first."""
    order = torch.randperm(B, generator=torch.Generator().manual_seed(1))

    def _reordered(self, noise: torch.Tensor) -> torch.Tensor:
        for dim, size in enumerate(noise.shape):
            if size == B:
                noise = noise.index_select(dim, self.order)
        return noise

    def at(self, x):
        step = super().at(x)
        step.__class__ = Reordered
        return step

    def randn(self, shape):
        return self._reordered(super().randn(shape))

    def rand(self, shape):
        return self._reordered(super().rand(shape))


@every_variant
def test_the_batchs_order_does_not_matter(name, params):
    model, (x, y) = plain(name), batch()
    losses, penalty = parts(load(name, **params), step_of(name, model, x, y))
    step = Reordered(model, x[Reordered.order], y[Reordered.order], strength=strength(name),
                     generator=torch.Generator().manual_seed(11))
    losses_after, penalty_after = parts(load(name, **params), step)
    if penalty.ndim:
        penalty = penalty[Reordered.order]
    assert_close(penalty_after, penalty, rtol=1e-6, atol=1e-12)
    assert_close(losses_after, losses[Reordered.order], rtol=1e-6, atol=1e-12)


@every_variant
def test_the_same_generator_gives_the_same_values_and_everything_is_left_as_it_was(name, params):
    smooth = card_of(name).smooth_activation
    model = models.create(REGISTRY.architecture(f"conv4_bn:activation={'swish' if smooth else 'relu'}"), DIGITS, seed=0)
    model.eval()
    model.net.features.train()  # a mixture of modes, which must come back as it is
    model.net.features.apply(lambda m: m.eval() if isinstance(m, nn.BatchNorm2d) else None)
    x, y = batch(4, dtype=torch.float32)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    inputs, state = (x.clone(), y.clone()), torch.get_rng_state()
    values = [parts(load(name, **params), step_of(name, model, x, y)) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*values))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert torch.equal(x, inputs[0]) and torch.equal(y, inputs[1])


@cache
def trained(name: str, weight: float) -> dict[str, torch.Tensor]:
    model = plain(CONTROL).float()
    images, labels = batch(40)
    split = Split(images=(images * 255).byte(), labels=labels, white=255)
    phase = Phase.of(Recipe(batch_size=10, learning_rate=0.05, fine_tune_epochs=2), "fine_tune", 40)
    training = train(model, split, phase, seed=0, regularizer=load(name), strength=weight)
    assert training.status == "finished"
    return model.state_dict()


@every_name
def test_lambda_zero_trains_bit_for_bit_as_the_control_does(name):
    control, other = trained(CONTROL, 0.0), trained(name, 0.0)
    assert all(torch.equal(other[key], value) for key, value in control.items())


@every_name
def test_a_positive_lambda_trains_to_other_weights(name):
    if name == CONTROL:
        pytest.skip("the control takes no λ")
    control, other = trained(CONTROL, 0.0), trained(name, card_of(name).grid[-1])
    assert not all(torch.equal(other[key], value) for key, value in control.items())


@every_variant
@pytest.mark.parametrize("case", ["one example", "one class", "black images"])
def test_unusual_batches_do_no_harm(name, params, case):
    model, (x, y) = plain(name), batch()
    x, y = {"one example": (x[:1], y[:1]), "one class": (x, y * 0), "black images": (x * 0, y)}[case]
    losses, penalty = parts(load(name, **params), step_of(name, model, x, y))
    assert bool(penalty.isfinite().all())
    for gradient in torch.autograd.grad(losses.mean() + penalty.mean(), list(model.parameters()), allow_unused=True,
                                        materialize_grads=True):
        assert bool(gradient.isfinite().all())


@every_variant
def test_a_model_whose_every_derivative_vanishes_does_no_harm(name, params):
    model, (x, y) = plain(name), batch()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    losses, penalty = parts(load(name, **params), step_of(name, model, x, y))
    for gradient in torch.autograd.grad(losses.mean() + penalty.mean(), list(model.parameters()), allow_unused=True,
                                        materialize_grads=True):
        assert bool(gradient.isfinite().all())


@every_variant
def test_it_maps_over_stacked_models(name, params):
    if not card_of(name).stackable:
        pytest.skip("its card says that it does not")
    nets, (x, y), regularizer = [plain(name, seed) for seed in range(3)], batch(), load(name, **params)
    stacked, buffers = torch.func.stack_module_state(nets)
    strengths = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64) * strength(name)

    def values(weights, weight, state):
        state = dict(state)
        step = step_of(name, lambda images: torch.func.functional_call(nets[0], weights, (images,)), x, y,
                       parameters=weights, strength=weight, state=state)
        losses, penalty = parts(regularizer, step)
        return losses.mean() + penalty.mean(), state

    def gradient_and_value(weights, weight, state):
        return torch.func.grad_and_value(values, has_aux=True)(weights, weight, state)

    mapped = torch.func.vmap(gradient_and_value, randomness="same")
    gradients, (loss, state) = mapped(stacked, strengths, {})
    if state:  # a second step, from the state that the first left
        gradients, (loss, state) = mapped(stacked, strengths, state)
    assert not buffers
    for i, net in enumerate(nets):
        own_state: dict[str, torch.Tensor] = {}
        for _ in range(2 if state else 1):
            step = step_of(name, net, x, y, strength=float(strengths[i]), state=own_state)
            losses, penalty = parts(regularizer, step)
        total = losses.mean() + penalty.mean()
        assert_close(loss[i], total, rtol=1e-7, atol=1e-10)
        own = torch.autograd.grad(total, list(net.parameters()), allow_unused=True, materialize_grads=True)
        for (key, _), gradient in zip(net.named_parameters(), own):
            assert_close(gradients[key][i], gradient, rtol=1e-5, atol=1e-9)


def allowed_networks(name: str) -> list[str]:
    """The registered networks of which a step on a blank digit costs little, with an activation that the method allows."""
    heavy = ("wrn", "vgg", "cnn7", "resnet_110", "resnet_56", "preact")
    small = [n for n in REGISTRY.architectures if not n.startswith(heavy)]
    suffix = ":activation=swish" if card_of(name).smooth_activation else ""
    return [n + ("" if REGISTRY.architecture(n).activation == "swish" else suffix) for n in small]


@every_name
def test_it_works_on_every_light_network_it_allows(name):
    x, y = batch(2, classes=10, dtype=torch.float32)
    for network in allowed_networks(name):
        model = models.create(REGISTRY.architecture(network), DIGITS, seed=0).eval()
        losses, penalty = parts(load(name), step_of(name, model, x, y))
        gradients = torch.autograd.grad(losses.mean() + penalty.mean(), list(model.parameters()), allow_unused=True,
                                        materialize_grads=True)
        assert all(bool(g.isfinite().all()) for g in gradients), network


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
def test_it_gives_the_same_on_cuda(name, params):
    results = []
    for device in ("cpu", "cuda"):
        model, (x, y) = plain(name).to(device), batch()
        step = DrawnOnTheCPU(model, x.to(device), y.to(device), strength=strength(name))
        step._draws = torch.Generator().manual_seed(11)
        losses, penalty = parts(load(name, **params), step)
        weights = list(model.parameters())
        gradients = torch.autograd.grad(losses.mean() + penalty.mean(), weights)
        results.append([losses, penalty, *gradients])
    for here, there in zip(*results):
        assert_close(there.cpu(), here, rtol=1e-6, atol=1e-9)
