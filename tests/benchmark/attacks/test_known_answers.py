"""Attacks where the answer is known: linear and degenerate models in closed form, a trained network
by Foolbox.
"""

import warnings

import pytest
import torch
from torch import Tensor

from benchmark.attacks import attack, carlini_wagner, deepfool, fgsm, pgd, unit_ball
from registry.spec import Threat

from .linear import Linear

with warnings.catch_warnings():
    # Foolbox imports SciPy's filter by its former name.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox


def length(adversarial: Tensor, x: Tensor) -> Tensor:
    return (adversarial - x).flatten(1).norm(dim=1)


@pytest.mark.parametrize("classes", [2, 3, 10, 40])
def test_deepfool_meets_a_linear_models_distance_times_its_overshoot(classes):
    model = Linear(classes)
    for overshoot in (0.02, 1e-4):
        found = deepfool(model, model.x, model.y, overshoot=overshoot)
        assert (model(found).argmax(1) != model.y).all()
        torch.testing.assert_close(
            length(found, model.x), (1 + overshoot) * model.distance(2), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_carlini_wagner_reaches_a_linear_models_distance(classes):
    model = Linear(classes)
    found = carlini_wagner(model, model.x, model.y, steps=200)
    assert (model(found).argmax(1) != model.y).all()
    shortest = model.distance(2)
    assert (length(found, model.x) >= shortest - 1e-12).all()
    assert (length(found, model.x) - shortest).max() < 1e-3


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_one_fgsm_step_breaks_a_binary_linear_model_exactly_beyond_its_distance(norm):
    model = Linear(2)
    shortest = model.distance(1 if norm == "inf" else 2)
    within, beyond = (
        fgsm(model, model.x, model.y, share * shortest, norm) for share in (0.999, 1.001)
    )
    assert (model(within).argmax(1) == model.y).all()
    assert (model(beyond).argmax(1) != model.y).all()


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_pgd_breaks_a_linear_model_exactly_beyond_its_distance(norm):
    model = Linear(2)
    shortest = model.distance(1 if norm == "inf" else 2)
    start = unit_ball(model.x.shape, norm, rand=torch.rand, randn=torch.randn).double()
    within, beyond = (
        pgd(
            model,
            model.x,
            model.y,
            share * shortest,
            norm,
            steps=20,
            step_size=shortest,
            start=start,
        )
        for share in (0.999, 1.001)
    )
    assert (model(within).argmax(1) == model.y).all()
    assert (model(beyond).argmax(1) != model.y).all()


ALL = [
    Threat(attack="fgsm"),
    Threat(attack="fgsm", norm="2", epsilon=1.0),
    Threat(attack="pgd", steps=3),
    Threat(attack="pgd", norm="2", epsilon=1.0, steps=3, loss="margin"),
    Threat(attack="malt", steps=3),
    Threat(attack="malt", norm="2", epsilon=1.0, steps=3),
    Threat(attack="deepfool", steps=3),
    Threat(attack="carlini_wagner", steps=5),
    Threat(attack="fmn", steps=5),
    Threat(attack="fmn", norm="2", steps=5),
]


@pytest.mark.parametrize("threat", ALL, ids=lambda threat: threat.id)
def test_a_constant_model_cannot_be_attacked(threat):
    def constant(x: Tensor) -> Tensor:
        return torch.tensor([1.0, 2.0, 0.0]).expand(len(x), 3)

    x = torch.rand(5, 1, 4, 4)
    found = attack(threat, constant, x, torch.tensor([1, 1, 0, 1, 2]), seed=0)
    assert found.success.tolist() == [False, False, True, False, True]
    if threat.epsilon is None:
        assert found.distance.tolist() == [torch.inf, torch.inf, 0, torch.inf, 0]


@pytest.mark.parametrize("scale", [1e4, 1e30])
@pytest.mark.parametrize("threat", ALL, ids=lambda threat: threat.id)
def test_saturated_logits_do_not_break_an_attack(threat, scale):
    linear = Linear(3)
    found = attack(
        threat, lambda x: scale * linear(x.double()).float(), linear.x.float(), linear.y, seed=0
    )
    assert found.adversarial.isfinite().all()
    assert not found.distance.isnan().any()
    if (
        threat.attack == "deepfool" or threat.loss == "margin"
    ):  # they don't go through the saturated softmax
        assert found.success.all()


@pytest.mark.parametrize("threat", ALL, ids=lambda threat: threat.id)
def test_images_that_are_all_misclassified_already_are_left_alone(threat):
    model = Linear(3)
    found = attack(threat, model, model.x, (model.y + 1) % 3, seed=0)
    assert found.success.all()
    assert torch.equal(found.adversarial, model.x)
    assert (found.distance == 0).all()


def test_deepfool_crosses_an_exact_tie():
    model = Linear(2)
    weight = model.weight[0] - model.weight[1]
    x = model.x - ((model(model.x)[:, 0] - model(model.x)[:, 1]) / weight.square().sum()).view(
        -1, 1, 1, 1
    ) * weight.view(4, 4)
    y = model(x).argmax(1)
    found = deepfool(model, x, y)
    assert (model(found).argmax(1) != y).all()
    assert length(found, x).max() < 1e-4


@pytest.mark.parametrize(("norm", "epsilon"), [("inf", 0.05), ("inf", 0.1), ("2", 0.3), ("2", 0.6)])
def test_fgsm_is_foolboxs(digits, norm, epsilon):
    model, x, y = digits
    reference = (
        foolbox.attacks.LinfFastGradientAttack()
        if norm == "inf"
        else foolbox.attacks.L2FastGradientAttack()
    )
    _, theirs, broken = reference(
        foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=epsilon
    )
    torch.testing.assert_close(fgsm(model, x, y, epsilon, norm), theirs, rtol=0, atol=1e-6)
    ours = attack(Threat(attack="fgsm", norm=norm, epsilon=epsilon), model, x, y, seed=0)
    assert abs(ours.success.float().mean() - broken.float().mean()) <= 0.002


@pytest.mark.parametrize("start", [False, True], ids=["from_the_image", "from_a_random_start"])
@pytest.mark.parametrize(("norm", "epsilon"), [("inf", 0.05), ("inf", 0.1), ("2", 0.3), ("2", 0.6)])
def test_pgd_accuracy_is_foolboxs(digits, norm, epsilon, start):
    model, x, y = digits
    kind = foolbox.attacks.LinfPGD if norm == "inf" else foolbox.attacks.L2PGD
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        reference = kind(rel_stepsize=2.5 / 40, steps=40, random_start=start)
        _, _, broken = reference(
            foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=epsilon
        )
    if start:
        ours = attack(
            Threat(attack="pgd", norm=norm, epsilon=epsilon, steps=40), model, x, y, seed=0
        ).success
    else:
        ours = model(pgd(model, x, y, epsilon, norm, steps=40)).argmax(1) != y
    assert abs(ours.float().mean() - broken.float().mean()) <= 0.002 + 1e-6


def test_deepfools_mean_norm_is_foolboxs(digits):
    model, x, y = digits
    _, theirs, broken = foolbox.attacks.L2DeepFoolAttack()(
        foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=None
    )
    ours = attack(Threat(attack="deepfool"), model, x, y, seed=0)
    assert broken.all()
    assert ours.success.all()
    torch.testing.assert_close(ours.distance.mean(), length(theirs, x).mean(), rtol=0.01, atol=0)


def test_carlini_wagners_mean_norm_is_no_worse_than_foolboxs(digits):
    model, x, y = digits[0], digits[1][:60], digits[2][:60]
    # Foolbox's own step size, 0.01, gives norms a third larger in so few steps: it is given its
    # best.
    reference = foolbox.attacks.L2CarliniWagnerAttack(steps=150, stepsize=0.05)
    _, theirs, broken = reference(
        foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=None
    )
    ours = attack(Threat(attack="carlini_wagner", steps=150), model, x, y, seed=0)
    assert broken.all()
    assert ours.success.all()
    assert ours.distance.mean() <= length(theirs, x).mean()
