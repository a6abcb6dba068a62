"""The fast minimum-norm attack against Foolbox's, linear models' distances and PGD."""

import warnings

import pytest
import torch
from torch import Tensor

from benchmark.attacks import pgd
from benchmark.attacks.fmn import fmn

with warnings.catch_warnings():
    # Foolbox imports SciPy's filter by its former name.
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox


class ProjectedL2FMN(foolbox.attacks.L2FMNAttack):
    """Foolbox's in ℓ2 with its projection: as released, that divides the norm by itself, not the
    radius by the norm, and leaves every point where it is.
    """

    def project(self, x, x0, epsilon):
        delta = (x - x0).flatten(1)
        share = (epsilon / delta.norms.l2(axis=-1).maximum(1e-12)).minimum(1)
        return x0 + (delta * share.expand_dims(1)).reshape(x.shape)


def length(adversarial: Tensor, x: Tensor, norm: str) -> Tensor:
    return (adversarial - x).flatten(1).norm(p=float(norm), dim=1)


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_the_mean_norm_is_foolboxs(digits, norm):
    model, x, y = digits[0], digits[1][:300], digits[2][:300]
    found = fmn(model, x, y, norm)
    net = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    if norm == "inf":
        theirs = foolbox.attacks.LInfFMNAttack(steps=100).run(net, x, y)
    else:  # from inside a boundary theirs may never cross it: it begins where the released one ends
        outside = foolbox.attacks.L2FMNAttack(steps=100).run(net, x, y)
        theirs = ProjectedL2FMN(steps=100).run(net, x, y, starting_points=outside)
    broken = model(theirs).argmax(1) != y
    assert broken.float().mean() > 0.99
    assert (model(found).argmax(1) != y).all()
    assert found.min() >= 0 and found.max() <= 1
    ours, reference = (length(images, x, norm)[broken].mean() for images in (found, theirs))
    torch.testing.assert_close(ours, reference, rtol=0.01, atol=0)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("norm", ["inf", "2"])
def test_a_linear_models_distance_is_reached(norm, classes):
    generator = torch.Generator().manual_seed(classes)
    weight = torch.randn(classes, 16, generator=generator, dtype=torch.float64)
    x = 0.45 + 0.1 * torch.rand(20, 1, 4, 4, generator=generator, dtype=torch.float64)

    def model(x: Tensor) -> Tensor:
        return (x.flatten(1) - 0.5) @ weight.T

    y = model(x).argmax(1)
    gaps = model(x).gather(1, y[:, None]) - model(x)
    slopes = (weight[y][:, None] - weight).norm(p=1 if norm == "inf" else 2, dim=2)
    distance = (gaps / slopes).nan_to_num(nan=torch.inf).amin(1)
    found = fmn(model, x, y, norm)
    assert (model(found).argmax(1) != y).all()
    reached = length(found, x, norm)
    assert (reached >= distance - 1e-12).all()
    assert (reached - distance).mean() < 0.02 * distance.mean() + 1e-3


@pytest.mark.parametrize(("norm", "radii"), [("inf", (0.02, 0.05, 0.1)), ("2", (0.1, 0.3, 0.6))])
def test_one_run_gives_pgds_accuracy_at_every_radius(digits, norm, radii):
    model, x, y = digits[0], digits[1][:300], digits[2][:300]
    distance = length(fmn(model, x, y, norm), x, norm)
    for epsilon in radii:
        found = pgd(model, x, y, epsilon, norm, steps=100, loss="margin")
        standing = (model(found).argmax(1) == y).float().mean()
        assert abs((distance > epsilon).float().mean() - standing) <= 0.02


def test_images_wrong_already_stay_and_an_images_result_is_its_own(digits):
    model, x, y = digits[0], digits[1][:300], digits[2][:300]
    assert torch.equal(fmn(model, x[:40], (model(x[:40]).argmax(1) + 1) % 10), x[:40])
    together = fmn(model, x[:40], y[:40], steps=20)
    alone = torch.cat([fmn(model, x[n : n + 1], y[n : n + 1], steps=20) for n in (0, 17, 39)])
    assert torch.equal(together[[0, 17, 39]], alone)


def test_a_flat_model_is_left_alone():
    x = torch.rand(3, 1, 4, 4)
    found = fmn(
        lambda x: 0 * x.flatten(1)[:, :3] + torch.tensor([0.0, 1.0, 0.0]), x, torch.ones(3).long()
    )
    assert torch.equal(found, x)
