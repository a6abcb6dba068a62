"""Methods that linearise the net at each image: a finite difference of the loss, and hinges on the
linearised distances to decision boundaries and to the walls of the ReLU cell.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.regularizer import Step

from .brute_force import (
    B,
    assert_penalty,
    data_of,
    each,
    everywhere,
    jacobians,
    loss_gradient,
    method,
    net_of,
    noise,
    seeded,
)

norms = pytest.mark.parametrize("norm", ["inf", "2"])


def dual_norm(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    return gradient.abs().sum() if norm == "inf" else (gradient**2).sum().sqrt()


# --- the gradient penalty by a finite difference


@everywhere
@norms
def test_gradient_finite_difference_is_half_the_squared_slope_along_the_gradient(kind, K, norm):
    net, data = net_of(kind, K), data_of(K)
    values = []
    for image, label in each(*data):
        g = loss_gradient(net, image, label).detach()
        v = g.sign() / g.numel() ** 0.5 if norm == "inf" else g / g.norm()
        rise = F.cross_entropy(net(image + 0.2 * v), label) - F.cross_entropy(net(image), label)
        values.append((rise / 0.2) ** 2 / 2)
    found = method("gradient_finite_difference", norm=norm, h=0.2)
    assert_penalty(found, net, data, torch.stack(values), rtol=1e-6)


def test_gradient_finite_difference_tends_to_half_of_the_input_gradient_penalty():
    net, data = net_of("mlp", 3, nn.Softplus), data_of(3)
    near = method("gradient_finite_difference", h=1e-4).penalty(Step(net, *data))
    assert_close(2 * near, method("input_gradient").penalty(Step(net, *data)), rtol=1e-3, atol=0)


# --- hinges on distances


@everywhere
@norms
@pytest.mark.parametrize("aggregate", ["max", "sum"])
def test_large_margin_is_the_hinge_on_distances_with_constant_denominators(
    kind, K, norm, aggregate
):
    net, (x, y) = net_of(kind, K), data_of(K)
    values = []
    for logits, V, label in zip(net(x), jacobians(net, x).detach(), y.tolist()):
        hinges = [
            (2.0 + (logits[j] - logits[label]) / dual_norm(V[label] - V[j], norm)).clamp(min=0)
            for j in range(K)
            if j != label
        ]
        values.append(max(hinges) if aggregate == "max" else sum(hinges))
    found = method("large_margin", norm=norm, gamma=2.0, aggregate=aggregate)
    assert_penalty(found, net, (x, y), torch.stack(values))


def relu_inputs(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """[B, M], what the net's ReLUs are given, layer by layer."""
    found = []
    for layer in net.children():
        if isinstance(layer, nn.ReLU):
            found.append(x.flatten(1))
        x = layer(x)
    return torch.cat(found, 1)


def hinge(value: torch.Tensor, gradient: torch.Tensor, norm: str, gamma: float) -> torch.Tensor:
    if float(gradient.detach().abs().sum()) == 0:  # flat: no zero anywhere
        return 0 * value
    return (1 - value / dual_norm(gradient, norm) / gamma).clamp(min=0)


def boundary_hinges(net, x, y, norm: str, gamma: float) -> torch.Tensor:
    """[B], the mean of the hinges on the distances to the other classes."""
    values = []
    for logits, V, label in zip(net(x), jacobians(net, x), y.tolist()):
        others = [j for j in range(len(logits)) if j != label]
        hinges = [hinge(logits[label] - logits[j], V[label] - V[j], norm, gamma) for j in others]
        values.append(sum(hinges) / len(hinges))
    return torch.stack(values)


@everywhere
@norms
def test_mmr_is_the_mean_hinge_on_boundaries_and_on_the_walls_that_its_probes_find(kind, K, norm):
    net, (x, y) = net_of(kind, K), data_of(K)
    probes = noise(seeded(), 6, *x.shape, normal=True)
    walls = []
    for i in range(B):
        V = jacobians(lambda image: relu_inputs(net, image), x[i : i + 1])[0]  # [M, n]
        a = relu_inputs(net, x[i : i + 1])[0]
        slopes = V.detach() @ probes[:, i].flatten(1).T  # [M, 6]
        estimated = a.detach().abs() / (slopes**2).mean(1).sqrt().clamp(min=1e-6)
        nearest = estimated.argsort()[:4].tolist()
        walls.append(sum(hinge(a[u].abs(), V[u], norm, 0.7) for u in nearest) / 4)
    expected = torch.stack(walls) + boundary_hinges(net, x, y, norm, 0.7)
    found = method("mmr", norm=norm, gamma=0.7, units=4, probes=6)
    assert_penalty(found, net, (x, y), expected)


def test_mmr_with_all_units_needs_no_luck_in_its_probes():
    net, (x, y) = net_of("mlp", 3), data_of(3)
    a, V = relu_inputs(net, x), jacobians(lambda image: relu_inputs(net, image), x)
    walls = [
        sum(hinge(a[i, u].abs(), V[i, u], "inf", 0.2) for u in range(13)) / 13 for i in range(B)
    ]
    expected = torch.stack(walls) + boundary_hinges(net, x, y, "inf", 0.2)
    assert_penalty(method("mmr", units=1000, probes=1), net, (x, y), expected)


def test_mmr_on_a_network_without_relu_has_its_boundaries_only():
    net, data = net_of("conv", 3, nn.Softplus), data_of(3)
    assert_penalty(method("mmr", gamma=0.5), net, data, boundary_hinges(net, *data, "inf", 0.5))


def test_mmr_and_linearised_distance_agree_for_two_classes_where_the_image_is_right():
    net, (x, _) = net_of("mlp", 2, nn.Softplus), data_of(2)
    y = net(x).argmax(1)
    mmr = method("mmr", norm="2", gamma=100.0).penalty(Step(net, x, y))
    distance = method("linearised_distance", radius=100.0).penalty(Step(net, x, y))
    assert float(mmr.detach().max()) > 0
    assert_close(mmr, distance, rtol=1e-6, atol=0)
