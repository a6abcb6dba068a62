"""MALT against a linear model's distances, an order found class by class, and Foolbox's targeted
attack.
"""

import warnings

import pytest
import torch

from benchmark.attacks import attack, malt
from benchmark.attacks.deepfool import boundary_distances
from registry.spec import InputError, Threat

from .linear import Linear

with warnings.catch_warnings():
    # Foolbox imports SciPy's filter by its former name.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox


@pytest.mark.parametrize("norm", ["inf", "2"])
@pytest.mark.parametrize("classes", [2, 3, 10, 40])
def test_its_first_class_breaks_a_linear_model_exactly_beyond_its_distance(classes, norm):
    model = Linear(classes)
    shortest = model.distance(1 if norm == "inf" else 2)
    within = malt(model, model.x, model.y, 0.999 * shortest, norm, steps=20, restarts=classes)
    beyond = malt(model, model.x, model.y, 1.001 * shortest, norm, steps=20, restarts=1)
    assert torch.equal(within, model.x)
    assert (model(beyond).argmax(1) != model.y).all()
    moved = (beyond - model.x).flatten(1).norm(p=float(norm), dim=1)
    assert (moved <= 1.001 * shortest + 1e-12).all()


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_the_distances_are_those_of_one_gradient_after_another(digits, norm):
    model, x, y = digits[0].double(), digits[1][:8].double(), digits[2][:8]
    found = boundary_distances(model, x, y, norm)
    for n, own in enumerate(y.tolist()):
        for other in range(10):
            image = x[n : n + 1].clone().requires_grad_()
            logits = model(image)[0]
            gap = logits[own] - logits[other]
            if other == own:
                assert found[n, other] == torch.inf
                continue
            (gradient,) = torch.autograd.grad(gap, image)
            length = gradient.abs().sum() if norm == "inf" else gradient.square().sum().sqrt()
            torch.testing.assert_close(found[n, other], gap / length)
    digits[0].float()


@pytest.mark.parametrize(("norm", "epsilon"), [("inf", 0.05), ("inf", 0.1), ("2", 0.3), ("2", 0.6)])
def test_what_foolbox_breaks_towards_any_class_falls(digits, norm, epsilon):
    """On two logits, an image's own and the class it goes to, Foolbox's cross-entropy has the sign
    of z_t − z_y.
    """
    model, x, y = digits[0], digits[1][:200], digits[2][:200]
    kind = foolbox.attacks.LinfPGD if norm == "inf" else foolbox.attacks.L2PGD
    reference = kind(rel_stepsize=2.5 / 20, steps=20, random_start=False)
    theirs = model(x).argmax(1) != y
    for target in range(10):
        others = y != target
        pair = torch.stack((y, torch.full_like(y, target)), 1)[others]
        view = torch.nn.Module()
        view.forward = lambda images, pair=pair: model(images).gather(1, pair)
        _, found, _ = reference(
            foolbox.PyTorchModel(view.eval(), bounds=(0, 1), device="cpu"),
            x[others],
            torch.zeros_like(pair[:, 0]),
            epsilons=epsilon,
        )
        theirs[others] |= model(found).argmax(1) != y[others]
    ours = attack(Threat(attack="malt", norm=norm, epsilon=epsilon), model, x, y, seed=0).success
    plain = attack(Threat(attack="pgd", norm=norm, epsilon=epsilon), model, x, y, seed=0).success
    assert (ours | ~theirs).float().mean() >= 0.995  # the last bits of a step may differ
    assert ours.sum() >= plain.sum()


def test_the_union_of_attacks_is_no_single_one():
    model = Linear(3)
    with pytest.raises(InputError, match="is no attack on one model"):
        attack(Threat(attack="union"), model, model.x, model.y, seed=0)
