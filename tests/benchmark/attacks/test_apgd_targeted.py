"""APGD-T towards all targets at once against the package's, target after target."""

import pytest
import torch

from benchmark.attacks import apgd_targeted as module
from benchmark.attacks.apgd_targeted import apgd_targeted, worthwhile
from benchmark.attacks.autoattack import assemble, autoattack
from benchmark.attacks.perturbation import size

both_norms = pytest.mark.parametrize("norm", ["inf", "2"])


@pytest.fixture
def right(digits):
    model, x, y = digits
    some = (model(x).argmax(1) == y).nonzero()[:100, 0]
    return model, x[some], y[some]


@both_norms
def test_toward_one_target_it_is_the_package_bit_for_bit(right, norm):
    model, x, y = right
    package = assemble(model, 10, {"inf": 0.1, "2": 0.6}[norm], norm, 3, x.device).apgd_targeted
    package.n_target_classes, package.seed = 1, 3
    theirs = package.perturb(x, y)
    found = apgd_targeted(package, model, x, y, seed=3)
    fallen = model(found).argmax(1) != y
    assert fallen.any() and not fallen.all()
    assert torch.equal(found, theirs)


@both_norms
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_same_examples_fall_as_to_the_package(right, norm, share):
    model, x, y = right
    epsilon = share * {"inf": 0.1, "2": 0.6}[norm]
    package = assemble(model, 10, epsilon, norm, 0, x.device).apgd_targeted
    theirs = model(package.perturb(x, y)).argmax(1) != y
    found = apgd_targeted(package, model, x, y, seed=0)
    fallen = model(found).argmax(1) != y
    assert fallen.any() and not fallen.all()
    assert (fallen == theirs).double().mean() >= 0.99
    assert (size(found - x, norm) <= epsilon * (1 + 1e-5)).all()
    assert torch.equal(found[~fallen], x[~fallen])
    assert found.min() >= 0 and found.max() <= 1


def test_autoattack_takes_it_where_few_are_left(right, monkeypatch):
    model, x, y = right
    settings = {"seed": 0, "only": ("apgd-t",)}
    assert worthwhile(x, 9) and not worthwhile(torch.zeros(134, 1), 9)
    _, package, _ = autoattack(model, x, y, 0.1, **settings)
    _, ours, _ = autoattack(model, x, y, 0.1, own=True, **settings)
    assert (ours == package).double().mean() >= 0.98
    monkeypatch.setattr(module, "ROWS", 0)
    adversarial, beyond, _ = autoattack(model, x, y, 0.1, own=True, **settings)
    expected, *_ = autoattack(model, x, y, 0.1, **settings)
    assert torch.equal(beyond, package)
    assert torch.equal(adversarial, expected)
