"""What every attack promises, whatever the model: no dependence on the batch, balls and boxes kept,
nothing left behind.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from benchmark.attacks import attack, carlini_wagner, deepfool, fgsm, misclassified, pgd, unit_ball
from benchmark.attacks.fmn import fmn
from registry.spec import InputError, Threat

THREATS = [
    Threat(attack="fgsm", norm="inf", epsilon=0.05),
    Threat(attack="fgsm", norm="2", epsilon=0.3),
    Threat(attack="pgd", norm="inf", epsilon=0.04, steps=5, restarts=4),
    Threat(attack="pgd", norm="2", epsilon=0.3, steps=5, loss="margin"),
    Threat(attack="malt", norm="inf", epsilon=0.04, steps=5, restarts=3),
    Threat(attack="deepfool", steps=10),
    Threat(attack="carlini_wagner", steps=15),
    Threat(attack="fmn", steps=10),
    Threat(attack="fmn", norm="2", steps=10),
]


class Rows(nn.Module):
    """Two layers in which each example's sums are its own, so that its bits cannot depend on the
    batch's shape.
    """

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        generator = torch.Generator().manual_seed(classes)
        self.first = nn.Parameter(torch.randn(8, inputs, generator=generator, dtype=torch.float64))
        self.second = nn.Parameter(
            torch.randn(classes, 8, generator=generator, dtype=torch.float64)
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = (x.flatten(1)[:, None] * self.first).sum(2).tanh()
        return (hidden[:, None] * self.second).sum(2)


def convolutional(classes: int = 4) -> nn.Sequential:
    torch.manual_seed(classes)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, classes),
    ).double()


def images(n: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("classes", "shape"), [(2, (1, 5, 5)), (3, (3, 4, 6)), (10, (1, 7, 3))])
def test_permuting_or_splitting_a_batch_changes_no_bit_of_any_example(classes, shape):
    model, x = Rows(math.prod(shape), classes), images(13, *shape)
    y = model(x).argmax(1)
    y[::5] = (y[::5] + 1) % classes
    start = {
        norm: unit_ball(x.shape, norm, rand=torch.rand, randn=torch.randn).double()
        for norm in ("inf", "2")
    }
    radius = images(13, 1)[:, 0] / 5
    kernels = {
        "fgsm": lambda i: fgsm(model, x[i], y[i], radius[i], "2"),
        "pgd_inf": lambda i: pgd(
            model, x[i], y[i], radius[i], "inf", steps=6, start=start["inf"][i]
        ),
        "pgd_2": lambda i: pgd(
            model, x[i], y[i], radius[i], "2", steps=6, start=start["2"][i], loss="margin"
        ),
        "pgd_last": lambda i: pgd(
            model, x[i], y[i], radius[i], "2", steps=6, start=start["2"][i], keep="last"
        ),
        "deepfool": lambda i: deepfool(model, x[i], y[i], steps=8),
        "carlini_wagner": lambda i: carlini_wagner(model, x[i], y[i], steps=12, search_steps=3),
        "fmn_inf": lambda i: fmn(model, x[i], y[i], "inf", steps=12),
        "fmn_2": lambda i: fmn(model, x[i], y[i], "2", steps=12),
    }
    order = torch.randperm(13, generator=torch.Generator().manual_seed(1))
    for name, kernel in kernels.items():
        whole = kernel(torch.arange(13))
        assert torch.equal(kernel(order), whole[order]), name
        assert torch.equal(
            torch.cat([kernel(part) for part in torch.arange(13).split(5)]), whole
        ), name


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.id)
def test_the_batch_size_changes_no_bit_even_of_a_convolutional_network(threat):
    model, x = convolutional(), images(21, 1, 8, 8)
    y = torch.arange(21) % 4
    whole = attack(threat, model, x, y, seed=1)
    for batch_size in (1, 5, 16):
        parts = attack(threat, model, x, y, seed=1, batch_size=batch_size)
        assert torch.equal(parts.adversarial, whole.adversarial)
        assert torch.equal(parts.success, whole.success)
        assert torch.equal(parts.distance, whole.distance)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.id)
def test_the_model_is_left_as_it_was(threat):
    model, x = convolutional(), images(6, 1, 8, 8)
    model[0].weight.requires_grad_(False)
    model[1].eval()
    modes = [module.training for module in model.modules()]
    asking = [parameter.requires_grad for parameter in model.parameters()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    attack(threat, model, x, torch.zeros(6, dtype=torch.long), seed=0)
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == asking
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_the_model_is_put_back_when_the_attack_fails():
    model = convolutional()
    with pytest.raises(RuntimeError):
        fgsm(model, images(2, 3, 8, 8), torch.zeros(2, dtype=torch.long), 0.1)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.id)
def test_what_is_reported_holds_of_the_adversarial_image(threat):
    model, x = convolutional().eval(), images(21, 1, 8, 8)
    y = torch.arange(21) % 4
    found = attack(threat, model, x, y, seed=3)
    with torch.no_grad():
        assert torch.equal(found.success, model(found.adversarial).argmax(1) != y)
        already = model(x).argmax(1) != y
    assert already.any()
    assert not already.all()
    assert torch.equal(found.adversarial[already], x[already])
    assert (found.distance[already] == 0).all()
    assert found.adversarial.min() >= 0
    assert found.adversarial.max() <= 1
    delta = (found.adversarial - x).flatten(1)
    length = delta.abs().amax(1) if threat.norm == "inf" else delta.square().sum(1).sqrt()
    reached = found.distance.isfinite()
    torch.testing.assert_close(found.distance[reached], length[reached])
    if threat.epsilon is None:
        assert torch.equal(reached, found.success)
    else:
        assert (length <= threat.epsilon * (1 + 1e-12)).all()


def test_one_call_gives_the_whole_curve_of_accuracy_against_epsilon():
    model, x = Rows(25, 3), images(9, 1, 5, 5)
    y, epsilons = model(x).argmax(1), torch.tensor([0.01, 0.05, 0.2], dtype=torch.float64)
    curve = pgd(
        model, x.repeat(3, 1, 1, 1), y.repeat(3), epsilons.repeat_interleave(9), "2", steps=5
    )
    single = [pgd(model, x, y, float(epsilon), "2", steps=5) for epsilon in epsilons]
    assert torch.equal(curve, torch.cat(single))


def test_an_epsilon_for_another_number_of_images_is_refused():
    with pytest.raises(ValueError, match="one for each of the 4 images"):
        fgsm(Rows(25, 3), images(4, 1, 5, 5), torch.zeros(4, dtype=torch.long), torch.ones(3))


def test_pgd_keeps_the_first_misclassified_iterate_and_else_the_one_of_highest_loss():
    model, x = Rows(25, 3), images(30, 1, 5, 5)
    y = model(x).argmax(1)
    iterates = [x] + [
        pgd(model, x, y, 0.06, "inf", steps=n, step_size=0.03, keep="last") for n in range(1, 7)
    ]
    logits = torch.stack([model(iterate) for iterate in iterates])
    wrong = logits.argmax(2) != y
    losses = torch.stack([nn.functional.cross_entropy(z, y, reduction="none") for z in logits])
    expected = [
        wrong[:, n].int().argmax() if wrong[:, n].any() else losses[:, n].argmax()
        for n in range(30)
    ]
    assert wrong.any()
    assert not wrong.any(0).all()
    kept = pgd(model, x, y, 0.06, "inf", steps=6, step_size=0.03)
    assert torch.equal(kept, torch.stack([iterates[i][n] for n, i in enumerate(expected)]))


def test_more_restarts_never_give_a_weaker_attack():
    model, x = Rows(25, 10), images(40, 1, 5, 5)
    y = model(x).argmax(1)
    losses, broken = [], []
    for restarts in (1, 4):
        found = attack(
            Threat(attack="pgd", norm="inf", epsilon=0.05, steps=2, restarts=restarts),
            model,
            x,
            y,
            seed=0,
        )
        losses.append(
            nn.functional.cross_entropy(model(found.adversarial), y, reduction="none").detach()
        )
        broken.append(found.success)
    assert (broken[1] | ~broken[0]).all()
    robust = ~broken[1]
    assert (losses[1][robust] >= losses[0][robust]).all()
    assert (losses[1][robust] > losses[0][robust]).any()


def test_restarts_at_once_give_what_they_give_one_after_another():
    """A batch of one example has no room for two starts."""
    model, x = Rows(25, 10), images(40, 1, 5, 5)
    y = model(x).argmax(1)
    threat = Threat(attack="pgd", norm="inf", epsilon=0.05, steps=1, restarts=7)
    one, many = (attack(threat, model, x, y, seed=0, batch_size=size) for size in (1, 100))
    first = attack(threat.model_copy(update={"restarts": 1}), model, x, y, seed=0)
    assert (first.success.sum() < many.success.sum() < 40).item()
    assert torch.equal(one.adversarial, many.adversarial)


def test_the_seed_decides_the_random_starts():
    model, x = Rows(25, 10), images(20, 1, 5, 5)
    y, threat = model(x).argmax(1), Threat(attack="pgd", norm="2", epsilon=0.05, steps=2)
    first, again, other = (attack(threat, model, x, y, seed=seed).adversarial for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pgd_for_training_can_be_mapped_over_stacked_models():
    models = [Rows(25, 3) for _ in range(2)]
    with torch.no_grad():
        models[1].first += 0.1
    x, stacked = (
        images(6, 1, 5, 5),
        {
            "first": torch.stack([m.first for m in models]).detach(),
            "second": torch.stack([m.second for m in models]).detach(),
        },
    )
    y = torch.arange(6) % 3
    mapped = torch.func.vmap(
        lambda parameters: pgd(
            lambda images: torch.func.functional_call(models[0], parameters, (images,)),
            x,
            y,
            0.1,
            "2",
            steps=3,
            keep="last",
        )
    )(stacked)
    alone = torch.stack([pgd(model, x, y, 0.1, "2", steps=3, keep="last") for model in models])
    torch.testing.assert_close(mapped, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.id)
def test_logits_that_are_not_finite_count_as_misclassified(threat):
    def explodes(x: Tensor) -> Tensor:  # beyond the pixel sum of 4.6 there is no answer
        total = x.flatten(1).sum(1, keepdim=True)
        return torch.cat([1 + 5 * (4.6 - total).log(), 0 * total], 1)

    x = images(12, 1, 3, 3)
    found = attack(threat, explodes, x, torch.zeros(12, dtype=torch.long), seed=0)
    clean = explodes(x)
    assert (~clean.isfinite().all(1)).any()
    assert found.success[~clean.isfinite().all(1)].all()
    assert torch.equal(
        found.success, misclassified(explodes(found.adversarial), torch.zeros(12, dtype=torch.long))
    )
    assert found.adversarial.isfinite().all()


def test_bounds_other_than_the_unit_interval_are_kept():
    model, x = Rows(25, 3), 2 * images(10, 1, 5, 5) - 1
    y, bounds = model(x).argmax(1), (-1.0, 1.0)
    for found in (
        fgsm(model, x, y, 0.5, bounds=bounds),
        pgd(model, x, y, 0.5, steps=3, bounds=bounds),
        deepfool(model, x, y, bounds=bounds),
        carlini_wagner(model, x, y, steps=10, bounds=bounds),
        fmn(model, x, y, steps=10, bounds=bounds),
    ):
        assert found.min() >= -1
        assert found.max() <= 1
        assert (found < 0).any()


def test_images_outside_the_unit_interval_are_refused():
    with pytest.raises(InputError, match=r"pgd-inf-0.1: images must lie in \[0, 1\]"):
        attack(
            Threat(attack="pgd"),
            Rows(25, 3),
            255 * images(2, 1, 5, 5),
            torch.zeros(2, dtype=torch.long),
            seed=0,
        )


def test_a_minimal_attack_in_another_norm_is_refused():
    with pytest.raises(ValueError, match='deepfool measures ℓ2 perturbations; set norm = "2"'):
        Threat(attack="deepfool", norm="inf")
