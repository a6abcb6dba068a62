"""PGD ends an image whose iterate comes again, and finds what it would have found by going on."""

import pytest
import torch
from torch import nn

from benchmark.attacks import misclassified, pgd, unit_ball


@pytest.fixture(scope="module")
def attacked():
    """A network, images that it classifies as y, and random starts."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 5))
        x = torch.rand(96, 1, 8, 8)
        start = unit_ball(x.shape, "inf", rand=torch.rand, randn=torch.randn)
    model.requires_grad_(False)
    return model, x, model(x).argmax(1), start


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize(("epsilon", "step_size"), [(0.02, 0.005), (0.05, 0.02), (0.03, 0.05)])
def test_the_result_is_that_of_going_on_to_the_end(attacked, epsilon, step_size, loss):
    model, x, y, start = attacked
    passed = []

    def counted(images):
        passed.append(len(images))
        return model(images)

    settings = {"steps": 60, "step_size": step_size, "start": start, "loss": loss}
    found = pgd(counted, x, y, epsilon, **settings)
    few, passed[:] = sum(passed), []
    # what can be mapped over models cannot stop early
    whole = pgd(counted, x, y, epsilon, mapped=True, **settings)
    assert torch.equal(found, whole)
    stands = ~misclassified(model(found), y)
    assert stands.any() and not stands.all()
    assert few < int(stands.sum()) * 60 * 0.8  # fewer passes than those that stood alone would take


def test_an_image_with_a_flat_loss_ends_after_its_first_step():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    model[1].weight.data.zero_()
    passed = []

    def counted(images):
        passed.append(len(images))
        return model(images)

    x = torch.rand(5, 1, 2, 2)
    y = model(x).argmax(1)
    assert torch.equal(pgd(counted, x, y, 0.1, steps=50), x)
    assert sum(passed) == len(x)
