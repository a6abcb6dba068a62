"""Cross-Hölder and the operator and spectral norms against brute force in float64."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.projection import clip_singular_values
from benchmark.regularizer import Noise, Step
from benchmark.training import networks
from registry.load import Registry
from registry.spec import InputError

from .brute_force import (
    NETS,
    assert_penalty,
    data_of,
    each,
    everywhere,
    jacobians,
    method,
    net_of,
    noise,
    seeded,
    spectral_norm,
)


def margin_hessians(net, x, label, K) -> torch.Tensor:
    """[K − 1, n, n] of one image's margins f_y − f_j, differentiable."""

    def margin(image, j):
        return net(image)[0, label] - net(image)[0, j]

    n = x.numel()
    return torch.stack(
        [
            hessian(lambda image, j=j: margin(image, j), x, create_graph=True).reshape(n, n)
            for j in range(K)
            if j != label
        ]
    )


def margin_slopes(net, x, labels, K) -> torch.Tensor:
    """[B, K − 1, n]."""
    V = jacobians(net, x)
    return torch.stack(
        [torch.stack([v[y] - v[j] for j in range(K) if j != y]) for v, y in zip(V, labels.tolist())]
    )


@pytest.mark.parametrize(("kind", "K"), [("mlp", 2), ("mlp", 4), ("conv", 3)])
def test_cross_hoelder_adds_each_margins_slope_and_hessian_norm(kind, K):
    net, (x, y) = net_of(kind, K, nn.SiLU), data_of(K)
    slopes = torch.linalg.vector_norm(margin_slopes(net, x, y, K), dim=2).sum(1)
    curvatures = torch.stack(
        [
            spectral_norm(margin_hessians(net, image, int(label), K)).sum()
            for image, label in each(x, y)
        ]
    )
    regularizer = method("cross_hoelder", hessian_weight=0.7, iterations=150)
    assert_penalty(regularizer, net, (x, y), slopes + 0.7 * curvatures, rtol=1e-6, atol=1e-9)


def test_cross_hoelder_without_curvature_is_the_sum_of_slopes():
    net, (x, y) = net_of("conv", 3, nn.SiLU), data_of(3)
    expected = margin_slopes(net, x, y, 3).abs().sum((1, 2))
    assert_penalty(method("cross_hoelder", hessian_weight=0.0, q="1"), net, (x, y), expected)


def corners(n: int) -> torch.Tensor:
    """[2^n, n]: where a convex function attains its maximum over the ℓ∞ ball."""
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=n)), dtype=torch.float64)


def test_cross_hoelder_of_linf_perturbations_finds_the_best_corner_and_never_more():
    net, (x, y) = net_of("mlp", 2, nn.SiLU, side=3), data_of(2, side=3)
    slopes = margin_slopes(net, x, y, 2).abs().sum((1, 2))
    H = torch.stack([margin_hessians(net, image, int(label), 2)[0] for image, label in each(x, y)])
    best = (corners(9) @ H).abs().sum(2).amax(1)
    generator, regularizer = seeded(), method("cross_hoelder", hessian_weight=1.0, p="inf", q="1")
    found = torch.stack(
        [regularizer.penalty(Step(net, x, y, noise=Noise(generator))) - slopes for _ in range(10)]
    )
    assert bool((found <= best * (1 + 1e-9)).all())
    assert_close(found.amax(0), best)  # a start may end in a lower corner


def test_the_papers_ascent_underestimates_small_curvatures_and_power_iteration_does_not():
    net, (x, y) = net_of("mlp", 2, nn.SiLU), data_of(2)
    with torch.no_grad():
        net[-1].weight.mul_(0.1)
    true = torch.stack(
        [
            spectral_norm(margin_hessians(net, image, int(label), 2)[0])
            for image, label in each(x, y)
        ]
    )

    def estimate(update):
        step = [Step(net, x, y, noise=Noise(seeded())) for _ in range(2)]
        both = method("cross_hoelder", hessian_weight=1.0, update=update).penalty(step[0])
        return both - method("cross_hoelder", hessian_weight=0.0).penalty(step[1])

    assert bool((estimate("ascent") < 0.7 * true).all())
    assert bool((estimate("power") > 0.98 * true).all())


@everywhere
@pytest.mark.parametrize("iterations", [None, 200])
def test_the_data_dependent_spectral_norm_is_the_jacobians_largest_singular_value_squared(
    kind, K, iterations
):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    params = {} if iterations is None else {"iterations": iterations}
    expected = spectral_norm(jacobians(net, data[0])) ** 2
    assert_penalty(
        method("data_dependent_operator_norm", **params), net, data, expected, rtol=1e-6, atol=1e-9
    )


def test_the_linf_operator_norm_finds_the_best_corner_and_never_more():
    net, (x, y) = net_of("mlp", 3, nn.Softplus, side=3), data_of(3, side=3)
    V = jacobians(net, x)
    best = (corners(9) @ V.transpose(1, 2)).square().sum(2).amax(1)
    generator, regularizer = (
        seeded(),
        method("data_dependent_operator_norm", norm="inf", iterations=10),
    )
    found = torch.stack(
        [regularizer.penalty(Step(net, x, y, noise=Noise(generator))) for _ in range(10)]
    )
    assert bool((found <= best * (1 + 1e-9)).all())
    assert_close(found.amax(0), best)  # a start may end in a lower corner


def test_the_linf_operator_norm_without_iterations_is_refused_with_the_fix():
    with pytest.raises(InputError, match="add iterations=10"):
        method("data_dependent_operator_norm", norm="inf")


@pytest.mark.parametrize("kind", NETS)
def test_global_spectral_norm_reaches_the_sum_of_squared_norms_from_its_warm_start(kind):
    net, data, state = net_of(kind, 3), data_of(3), {}
    regularizer, generator = method("global_spectral_norm"), seeded()
    values = torch.stack(
        [
            regularizer.penalty(Step(net, *data, state=state, noise=Noise(generator)))
            for _ in range(300)
        ]
    )
    expected = torch.stack(
        [spectral_norm(w.flatten(1)) ** 2 for w in net.parameters() if w.ndim > 1]
    ).sum()
    assert values[0] < 0.99 * expected and bool(
        (values.diff() > -1e-12).all()
    )  # each step improves on the last
    assert_penalty(regularizer, net, data, expected, state=state)


def test_clipping_a_linear_layer_gives_the_nearest_matrix_with_the_bound():
    W = noise(seeded(), 5, 8, normal=True)
    U, S, Vh = torch.linalg.svd(W, full_matrices=False)
    assert_close(
        clip_singular_values(W, 1.5),
        sum(min(s.item(), 1.5) * torch.outer(u, v) for u, s, v in zip(U.T, S, Vh)),
    )


def circulant(kernel: torch.Tensor, n: int) -> torch.Tensor:
    """The matrix of a circular convolution on n×n maps, column by column: [out·n·n, in·n·n]."""
    into, h, w = kernel.shape[1:]
    columns = []
    for one in torch.eye(into * n * n, dtype=kernel.dtype):
        image = F.pad(one.view(1, into, n, n), (0, w - 1, 0, h - 1), mode="circular")
        columns.append(F.conv2d(image, kernel).flatten())
    return torch.stack(columns, 1)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_a_clipped_convolution_stays_within_the_bound_on_maps_of_every_power_of_two(bound):
    kernel = noise(seeded(), 3, 2, 3, 3, normal=True)
    assert spectral_norm(circulant(kernel, 8)) > bound
    clipped = clip_singular_values(kernel, bound)
    for n in (4, 8):
        assert spectral_norm(circulant(clipped, n)) <= bound * (1 + 1e-9)
    assert spectral_norm(circulant(clipped, 8)) > 0.7 * bound  # clipped, not flattened


@pytest.mark.parametrize(("side", "excess"), [(3, 0.01), (5, 0.04)])
def test_a_clipped_convolution_exceeds_the_bound_by_little_on_maps_of_other_sizes(side, excess):
    kernel = noise(seeded(), 3, 2, side, side, normal=True)
    clipped = clip_singular_values(kernel, 2.0)
    for n in (7, 10, 11):
        assert spectral_norm(circulant(kernel, n)) > 2.1
        assert spectral_norm(circulant(clipped, n)) <= 2.0 * (1 + excess)


def test_a_layer_within_the_bound_is_not_touched():
    kernel = noise(seeded(), 3, 2, 3, 3, normal=True)
    bound = float(spectral_norm(circulant(kernel, 32 // 4))) * 1.2
    assert clip_singular_values(kernel, bound) is kernel
    assert clip_singular_values(kernel[:, :, 0, 0], 100.0).equal(kernel[:, :, 0, 0])


def test_each_group_of_a_grouped_convolution_is_clipped_as_a_convolution_of_its_own():
    kernel = noise(seeded(), 4, 2, 3, 3, normal=True)
    halves = [clip_singular_values(half, 1.0) for half in kernel.split(2)]
    together = clip_singular_values(kernel, 1.0, groups=2)
    for half, mine in zip(halves, together.split(2)):  # the last scaling is common to the groups
        ratio = mine / half
        assert_close(ratio, ratio.flatten()[0].expand_as(ratio))


def test_spectral_normalization_clips_every_layer_to_the_inverse_of_lambda():
    net = net_of("conv", 3)
    method("spectral_normalization").after_epoch(net, 4.0)
    assert spectral_norm(net[-1].weight) <= 0.25 + 1e-9
    for layer in (net[0], net[2]):
        assert spectral_norm(circulant(layer.weight.detach(), 4)) <= 0.25 + 1e-9


def test_a_layer_that_begins_at_zero_has_no_spectral_norm_penalty():
    net, (x, y) = net_of("mlp", 3), data_of(3)
    regularizer, state = method("global_spectral_norm"), {}
    weight = net[1].weight
    with torch.no_grad():
        weight.zero_()
        regularizer.penalty(Step(net, x, y, noise=Noise(seeded()), state=state))
        weight.fill_(1)
    penalty = regularizer.penalty(Step(net, x, y, noise=Noise(seeded()), state=state))
    assert not torch.autograd.grad(penalty, weight)[0].any()


PENALISED = sorted(
    {
        (entry.dataset, entry.architecture)
        for track in Registry().track_names
        for entry in Registry().entries(track)
        if entry.regularizer.startswith("global_spectral_norm")
    }
)


@pytest.mark.parametrize(("dataset", "architecture"), PENALISED)
def test_no_layer_that_a_track_penalises_by_its_spectral_norm_begins_at_zero(dataset, architecture):
    known = Registry()
    net = networks.create(known.architecture(architecture), known.dataset(dataset), seed=0)
    matrices = {name: weight for name, weight in net.named_parameters() if weight.ndim > 1}
    assert matrices and [name for name, weight in matrices.items() if not weight.any()] == []
