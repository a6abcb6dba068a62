"""Square by what a query changes takes the steps that the package's takes."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from benchmark.attacks.autoattack import assemble, autoattack
from benchmark.attacks.incremental_square import covered, incremental_square
from benchmark.evaluation.entrance import entrance_of
from benchmark.training.networks import Normalize


def dense(classes=10, shape=(2, 9, 7)):
    """A net of dense layers behind a normalisation, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        count = shape[0] * shape[1] * shape[2]
        net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(count, 30),
            nn.ReLU(),
            nn.Linear(30, 20),
            nn.SiLU(),
            nn.Linear(20, classes),
        )
        x = torch.rand(60, *shape, dtype=torch.float64)
    model = nn.Sequential(Normalize((0.4, 0.6), (0.3, 0.2)), net).double().eval()
    return model, x, model(x).argmax(1)


def test_a_network_in_two_parts_is_the_network():
    model, x, _ = dense()
    entrance = entrance_of(model, x)
    assert entrance is not None
    assert_close(entrance.rest(entrance(x)), model(x))
    single = entrance_of(model.float(), x.float())
    assert single.weight.dtype == single.rest(single(x.float())).dtype == torch.float32


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(105, 4)),
        nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(126, 4)),
        nn.Sequential(nn.Flatten(), nn.Linear(126, 4), nn.Tanh()),
    ],
    ids=["convolution", "activation", "unknown"],
)
def test_other_networks_have_no_entrance(net):
    assert entrance_of(net, torch.zeros(1, 2, 9, 7)) is None


@pytest.mark.parametrize("epsilon", [0.02, 0.05])
def test_the_same_images_are_found_as_by_the_package(epsilon):
    model, x, y = dense()
    package = assemble(model, 10, epsilon, "inf", 3, x.device).square
    package.n_queries, package.seed = 700, 3
    theirs = package.perturb(x, y)
    entrance = entrance_of(model, x)
    found = incremental_square(model, entrance, x, y, epsilon, seed=3, queries=700)
    assert_close(found, theirs, rtol=0, atol=1e-8)  # it rounds ε to float32
    fallen = model(found).argmax(1) != y
    assert 0 < fallen.double().mean() < 1
    assert torch.equal(found[~fallen], x[~fallen])
    assert (found - x).abs().max() <= epsilon + 1e-8
    assert found.min() >= 0 and found.max() <= 1


def test_squares_shrink_as_the_packages_do():
    package = assemble(nn.Flatten(), 10, 0.1, "inf", 0, torch.device("cpu")).square
    for query in (0, 10, 11, 50, 51, 1000, 1001, 4999, 9000):
        assert covered(query) == package.p_selection(query)


def test_each_batch_draws_afresh_and_no_image_is_no_work():
    model, x, y = dense()
    entrance = entrance_of(model, x)
    given = {"seed": 0, "queries": 40}
    together = incremental_square(model, entrance, x, y, 0.05, batch_size=20, **given)
    alone = incremental_square(model, entrance, x[20:40], y[20:40], 0.05, **given)
    assert_close(together[20:40], alone)
    assert len(incremental_square(model, entrance, x[:0], y[:0], 0.05, **given)) == 0


def test_autoattack_with_it_leaves_as_many_as_the_package():
    model, x, y = dense()
    model, x = model.float(), x.float()
    settings = {"seed": 0, "only": ("square",)}
    _, theirs, _ = autoattack(model, x, y, 0.03, **settings)
    _, ours, _ = autoattack(model, x, y, 0.03, own=True, entrance=entrance_of(model, x), **settings)
    assert (ours == theirs).double().mean() >= 0.98
    assert 0 < ours.double().mean() < 1
