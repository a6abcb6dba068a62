"""FAB against the package's: the same ways onto planes, and the same examples fall."""

import pytest
import torch
from pyautoattack.fab_projections import projection_l2, projection_linf
from torch.testing import assert_close

from benchmark.attacks.autoattack import assemble, autoattack
from benchmark.attacks.fab import fab, to_plane
from benchmark.attacks.perturbation import size

BOX = (0.0, 1.0)
both_norms = pytest.mark.parametrize("norm", ["inf", "2"])


def planes(count=200, dimensions=60):
    """Points of the box, many on its edges; slopes, some 0; and rises from tiny to out of reach."""
    generator = torch.Generator().manual_seed(0)
    draw = {"generator": generator, "dtype": torch.float64}
    point = (2 * torch.rand(count, dimensions, **draw) - 0.5).clamp(*BOX)
    slope = torch.randn(count, dimensions, **draw)
    slope[:, ::7] = 0
    rise = torch.randn(count, **draw) * torch.logspace(-3, 2, count, dtype=torch.float64)
    return point, slope, rise


@both_norms
def test_the_way_onto_a_plane_is_the_packages_and_stays_in_the_box(norm):
    point, slope, rise = planes()
    way = to_plane(point, slope, rise, norm, BOX)
    moved = point + way
    assert (moved >= 0).all() and (moved <= 1).all()
    farthest = torch.where(slope * rise.sign()[:, None] > 0, 1 - point, -point)
    reachable = (slope * farthest).sum(1).abs() >= rise.abs()
    assert reachable.any() and not reachable.all()
    assert_close((slope * way).sum(1)[reachable], rise[reachable], rtol=1e-5, atol=0)
    theirs = {"inf": projection_linf, "2": projection_l2}[norm]
    expected = theirs(point, slope, (slope * point).sum(1) + rise)
    assert_close(way[reachable], expected[reachable], rtol=0, atol=1e-4)
    out_of_reach = way.where(slope != 0, farthest)[~reachable]
    assert_close(out_of_reach, farthest[~reachable], rtol=0, atol=1e-12)


@both_norms
def test_no_other_way_onto_a_plane_is_shorter(norm):
    """Against random feasible ways: none from a point of the plane within the box is nearer."""
    point, slope, rise = planes(count=30, dimensions=6)
    way = to_plane(point, slope, rise, norm, BOX)
    generator = torch.Generator().manual_seed(1)
    others = torch.rand(4000, 1, 6, generator=generator, dtype=torch.float64)
    values = (slope * (others - point)).sum(2)
    beyond = torch.where(rise > 0, values >= rise, values <= rise)
    lengths = size((others - point).flatten(0, 1), norm).view(4000, 30)
    nearest = lengths.where(beyond, torch.inf).amin(0)
    assert nearest.isfinite().sum() > 10
    assert (size(way, norm) <= nearest + 1e-6)[nearest.isfinite()].all()


@both_norms
@pytest.mark.parametrize("share", [0.5, 1.0, 1.5])
def test_the_same_examples_fall_as_to_the_package(digits, norm, share):
    model, x, y = digits
    right = (model(x).argmax(1) == y).nonzero()[:150, 0]
    x, y, epsilon = x[right], y[right], share * {"inf": 0.1, "2": 0.6}[norm]
    package = assemble(model, 10, epsilon, norm, 0, x.device).fab
    package.targeted, package.n_restarts = True, 1
    theirs = model(package.perturb(x, y)).argmax(1) != y
    found = fab(model, x, y, epsilon, norm, targets=9)
    fallen = model(found).argmax(1) != y
    assert fallen.any() and not fallen.all()
    assert (fallen == theirs).double().mean() >= 0.99
    assert (size(found - x, norm)[fallen] <= epsilon * (1 + 1e-6)).all()
    assert torch.equal(found[~fallen], x[~fallen])
    assert found.min() >= 0 and found.max() <= 1


def test_an_example_falls_alike_whichever_others_are_beside_it(digits):
    model, x, y = digits
    right = (model(x).argmax(1) == y).nonzero()[:70, 0]
    x, y = x[right], y[right]
    together = fab(model, x, y, 0.1, targets=9)
    assert torch.equal(fab(model, x[40:41], y[40:41], 0.1, targets=9), together[40:41])
    assert torch.equal(fab(model, x[:0], y[:0], 0.1, targets=9), x[:0])


def test_autoattack_with_it_leaves_as_many_as_the_package(digits):
    model, x, y = digits
    settings = {"seed": 0, "only": ("apgd-ce", "fab-t")}
    _, theirs, package = autoattack(model, x[:100], y[:100], 0.1, **settings)
    _, ours, info = autoattack(model, x[:100], y[:100], 0.1, own=True, **settings)
    assert (package["own"], info["own"]) == (False, True)
    assert package["robust"].keys() == info["robust"].keys()
    assert (ours == theirs).double().mean() >= 0.99
