"""Transfer: the adversarial images of other models, beside answers that are known."""

import pytest
import torch
from torch import nn

from benchmark.attacks import misclassified
from benchmark.attacks.perturbation import drawn_unit_ball
from benchmark.evaluation.transfer import transfer
from registry.spec import InputError, Threat

THREAT = Threat(attack="transfer", norm="inf", epsilon=0.1)


def linear(weight):
    """Logits (0, w·x): the adversarial image of a right one is known."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.stack((torch.zeros(4), weight)))
    return net.eval()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, 1, 2, 2, generator=generator)
    return x, torch.randint(2, (400,), generator=generator)


def known(weight, x, y):
    """The corner of box and ball at which the source's logit of the other class is largest."""
    sign = torch.where(y == 1, -1.0, 1.0)[:, None, None, None]
    return (x + 0.1 * sign * weight.sign().view(1, 1, 2, 2)).clamp(0, 1)


def test_linear_sources_break_what_their_corners_break(images):
    x, y = images
    first, second = torch.tensor([1.0, -2.0, 0.5, 1.0]), torch.tensor([1.0, 1.0, 1.0, -0.3])
    victim = linear(torch.tensor([1.0, -1.0, 1.0, -1.0]))
    sources = {"none": linear(first), "adversarial_training": linear(second)}
    found = transfer(THREAT, sources, victim, x, y, seed=0)
    with torch.no_grad():
        clean = ~misclassified(victim(x), y)
        alone = [clean & ~misclassified(victim(known(w, x, y)), y) for w in (first, second)]
    assert torch.equal(found.columns["correct"], alone[0] & alone[1])
    shares = {name: float(value) for name, value in found.metrics.items()}
    assert shares == {
        "robust_accuracy": float((alone[0] & alone[1]).double().mean()),
        "robust_accuracy:none": float(alone[0].double().mean()),
        "robust_accuracy:adversarial_training": float(alone[1].double().mean()),
    }
    assert shares["robust_accuracy"] < float(clean.double().mean())


def test_every_image_is_moved_as_far_as_twenty_plain_steps_up_the_source_s_loss_take_it(images):
    x, y = (some.double() if some.is_floating_point() else some for some in images)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        source = nn.Sequential(nn.Flatten(), nn.Linear(4, 24), nn.Tanh(), nn.Linear(24, 2))
    source = source.double().eval()
    victim = linear(torch.tensor([-1.0, 1.0, -0.5, -1.0])).double()
    found = transfer(THREAT, {"none": source}, victim, x, y, seed=0)
    generator = torch.Generator().manual_seed(0)
    now = x + 0.1 * drawn_unit_ball(tuple(x.shape), "inf", generator, x.dtype)
    for _ in range(20):
        now = now.clamp(0, 1).requires_grad_()
        loss = nn.functional.cross_entropy(source(now), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, now)
        step = now.detach() + 0.0125 * gradient.sign()
        now = torch.minimum(torch.maximum(step, x - 0.1), x + 0.1).clamp(0, 1)
    with torch.no_grad():
        stands = ~misclassified(victim(x), y) & ~misclassified(victim(now), y)
    assert torch.equal(stands, found.columns["correct"])
    assert not torch.equal(stands, ~misclassified(victim(x), y))


def test_without_another_model_nothing_is_transferred(images):
    with pytest.raises(InputError, match="regbench transfer"):
        transfer(THREAT, {}, linear(torch.ones(4)), *images, seed=0)
