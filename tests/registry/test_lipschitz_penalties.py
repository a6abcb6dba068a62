"""Weight decay and the penalties on gradients, Jacobian and curvature, and their estimators,
against brute force in float64.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.regularizer import Noise, Step

from .brute_force import (
    NETS,
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
    spectral_norm,
)

DRAWS = 20_000


def test_weight_decay_is_the_sum_of_squared_weights_without_biases():
    net = net_of("conv", 3)
    expected = torch.stack(
        [(w * w).sum() for n, w in net.named_parameters() if "weight" in n]
    ).sum()
    assert_penalty(method("weight_decay"), net, data_of(3), expected)


@everywhere
@pytest.mark.parametrize("norm", [1, 2])
def test_input_gradient_is_the_norm_of_each_examples_own_gradient(kind, K, norm):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    gradients = torch.stack([loss_gradient(net, x, y).flatten() for x, y in each(*data)])
    expected = gradients.abs().sum(1) if norm == 1 else (gradients**2).sum(1)
    assert_penalty(method("input_gradient", norm=norm), net, data, expected)


@everywhere
def test_jacobian_is_the_sum_of_all_squared_partial_derivatives(kind, K):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    assert_penalty(method("jacobian"), net, data, (jacobians(net, data[0]) ** 2).sum((1, 2)))


@everywhere
def test_cross_lipschitz_is_the_mean_over_ordered_pairs(kind, K):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    V = jacobians(net, data[0])
    pairs = [((V[:, a] - V[:, b]) ** 2).sum(1) for a in range(K) for b in range(K)]
    assert_penalty(method("cross_lipschitz"), net, data, torch.stack(pairs).sum(0) / K**2)


def test_cross_lipschitz_of_two_classes_is_half_the_squared_distance_of_their_gradients():
    net, data = net_of("mlp", 2), data_of(2)
    V = jacobians(net, data[0])
    assert_penalty(method("cross_lipschitz"), net, data, ((V[:, 0] - V[:, 1]) ** 2).sum(1) / 2)


@everywhere
def test_curvature_is_the_spectral_norm_of_the_losses_full_hessian_on_relu_nets(kind, K):
    net, data = net_of(kind, K, nn.ReLU), data_of(K)
    H = [
        hessian(lambda image, y=y: F.cross_entropy(net(image), y), x, create_graph=True).reshape(
            16, 16
        )
        for x, y in each(*data)
    ]
    assert_penalty(
        method("curvature"), net, data, torch.stack([torch.linalg.eigvalsh(h)[-1] for h in H])
    )


def test_curvature_of_a_smooth_net_is_its_gauss_newton_part():
    net, data = net_of("conv", 4, nn.SiLU), data_of(4)
    V = jacobians(net, data[0])
    p = net(data[0]).softmax(1)
    H = torch.stack([v.T @ (torch.diag(q) - torch.outer(q, q)) @ v for v, q in zip(V, p)])
    assert_penalty(method("curvature"), net, data, spectral_norm(H))


def test_curvature_has_a_finite_gradient_where_probabilities_underflow():
    net = net_of("mlp", 3).float()
    with torch.no_grad():
        net[-1].weight.mul_(1e4)
    x, y = data_of(3)
    step = Step(net, x.float(), y)
    assert bool((step.logits.softmax(1) == 0).any())
    for gradient in torch.autograd.grad(
        method("curvature").penalty(step).sum(), list(net.parameters())
    ):
        assert bool(gradient.isfinite().all())


def test_the_input_gradient_of_a_saturated_float32_model_does_not_vanish():
    net = net_of("mlp", 3).float()
    with torch.no_grad():
        net[-1].bias.copy_(torch.tensor([30.0, 0.0, 0.0]))
    x, y = data_of(3)[0].float(), torch.zeros(B, dtype=torch.long)
    exact = Step(net.double(), x.double(), y).input_gradient
    assert_close(Step(net.float(), x, y).input_gradient.double(), exact, rtol=1e-3, atol=0)


@everywhere
@pytest.mark.parametrize(("progress", "h"), [(1.0, 1.5), (0.125, 0.75), (0.0, 0.0)])
def test_cure_is_the_squared_change_of_the_gradient_over_a_step_that_ramps(kind, K, progress, h):
    net, data = net_of(kind, K, nn.Softplus), data_of(K)
    values = []
    for x, y in each(*data):
        g = loss_gradient(net, x, y)
        z = g.detach().sign() / g.detach().sign().norm()
        values.append(((loss_gradient(net, x + h * z, y) - g) ** 2).sum())
    expected = torch.stack(values)
    regularizer = method("curvature_finite_difference")
    if h:
        assert_penalty(regularizer, net, data, expected, progress=progress)
    else:
        assert bool((regularizer.penalty(Step(net, *data, progress=progress)) == 0).all())


@pytest.mark.parametrize("name", ["jacobian", "cross_lipschitz"])
@pytest.mark.parametrize("K", [2, 3, 10])
@pytest.mark.parametrize("projections", [1, 3])
def test_the_projected_estimates_are_unbiased_with_the_variance_of_their_formula(
    name, K, projections, record_property
):
    """For u uniform on the unit sphere of d dimensions, Var(uᵀAu) = 2(d·tr A² − (tr A)²) / (d²(d +
    2)).
    """
    net, (x, _) = net_of("mlp", K, nn.Softplus), data_of(K)
    one = x[:1]
    J = jacobians(net, one)[0].detach()
    G = J @ J.T
    d, scale = K, 1.0
    if name == "cross_lipschitz":
        centre = torch.eye(K, dtype=torch.float64) - 1 / K
        G, d, scale = centre @ G @ centre, K - 1, 2 / K
    mean = scale * float(G.trace())
    variance = (
        scale**2 * 2 * (d * float((G @ G).trace()) - float(G.trace()) ** 2) / (d + 2) / projections
    )
    step = Step(
        net,
        one.expand(DRAWS, -1, -1, -1),
        torch.zeros(DRAWS, dtype=torch.long),
        noise=Noise(seeded()),
    )
    drawn = method(name, projections=projections).penalty(step).detach()
    record_property("relative standard deviation", float(drawn.std() / drawn.mean()))
    assert abs(float(drawn.mean()) - mean) <= 4 * (variance / DRAWS) ** 0.5 + 1e-12
    assert float(drawn.var()) == pytest.approx(variance, rel=0.1, abs=1e-12)


@pytest.mark.parametrize("kind", NETS)
def test_a_projected_estimate_has_the_gradient_of_its_own_directions(kind):
    net, (x, y) = net_of(kind, 4, nn.Softplus), data_of(4)
    u = noise(seeded(), 2, B, 4, normal=True)
    centred = u - u.mean(2, keepdim=True)
    for name, factor, direction in (("jacobian", 4.0, u), ("cross_lipschitz", 1.5, centred)):
        direction = direction / direction.norm(dim=2, keepdim=True)
        products = torch.einsum("mbk,bkn->mbn", direction, jacobians(net, x))
        assert_penalty(
            method(name, projections=2), net, (x, y), factor * products.square().sum(2).mean(0)
        )
