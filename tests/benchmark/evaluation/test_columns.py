"""Measures that single tracks ask for, against autograd's whole Hessian and Jacobian in float64."""

import math

import pytest
import torch
from torch import nn

from benchmark.evaluation.columns import RADII, further_measures
from benchmark.measures.curvature import margin_curvature


def smooth_net(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 4)).double()


def relu_net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4)).double()


def images(count=5):
    generator = torch.Generator().manual_seed(0)
    return torch.rand((count, 1, 3, 4), dtype=torch.float64, generator=generator), torch.arange(
        count
    ) % 4


def margin_of(net, x, y):
    """f of one image as a function of its pixels."""
    logits = net(x[None])[0]
    others = logits.clone()
    others[y] = -math.inf
    j = int(others.argmax())
    return lambda pixels: net(pixels[None])[0][y] - net(pixels[None])[0][j]


def test_margin_curvature_equals_the_whole_hessian():
    net, (x, y) = smooth_net(), images()
    along, norm = margin_curvature(net, x, y, torch.randn(x.shape, dtype=x.dtype), iterations=500)
    for i in range(len(x)):
        f = margin_of(net, x[i], y[i])
        H = torch.autograd.functional.hessian(f, x[i]).reshape(12, 12)
        g = torch.autograd.functional.jacobian(f, x[i]).flatten()
        assert float(norm[i]) == pytest.approx(float(torch.linalg.matrix_norm(H, 2)), rel=1e-6)
        assert float(along[i]) == pytest.approx(float((H @ g / g.norm()).norm()), rel=1e-9)
        assert along[i] <= norm[i] * (1 + 1e-12)


def test_the_curvature_of_a_piecewise_linear_margin_is_zero():
    x, y = images()
    along, norm = margin_curvature(relu_net(), x, y, torch.randn(x.shape, dtype=x.dtype))
    assert along.abs().max() == 0
    assert norm.abs().max() == 0


def test_perturbations_are_measured_as_their_definitions_say():
    net, (x, y) = relu_net(), images()
    columns = further_measures("perturbed", net, x, y, seed=0)
    assert all(
        values.shape == (len(x),) and values.dtype == torch.float32 for values in columns.values()
    )
    for prefix in ("", "random_"):
        for radius in RADII:
            assert (
                (columns[f"{prefix}alignment_{radius:g}"] >= 0)
                & (columns[f"{prefix}alignment_{radius:g}"] <= 1)
            ).all()
            shared = columns[f"{prefix}shared_{radius:g}"]
            assert torch.allclose(shared * 9, (shared * 9).round(), atol=1e-5)  # of nine ReLUs
            # Where no ReLU switches the features are affine, and the Jacobian the same at both
            # ends.
            same = shared == 1
            assert (columns[f"{prefix}deviation_{radius:g}"][same] < 1e-6).all()
            assert torch.allclose(
                columns[f"{prefix}stretch_{radius:g}"][same], torch.ones(int(same.sum()))
            )


def test_pgd_aligns_with_the_first_singular_vector_better_than_chance():
    x, y = images(40)
    columns = further_measures("perturbed", relu_net(), x, y, seed=0)
    assert columns["alignment_0.25"].mean() > columns["random_alignment_0.25"].mean() + 0.2


def test_margins_are_those_of_the_logits():
    net, (x, y) = smooth_net(), images()
    columns = further_measures("margins", net, x, y, seed=0)
    logits = net(x).detach()
    for i in range(len(x)):
        others = [float(logits[i, k]) for k in range(4) if k != y[i]]
        p = logits[i].exp() / logits[i].exp().sum()
        assert float(columns["margin"][i]) == pytest.approx(
            float(logits[i, y[i]]) - max(others), rel=1e-6
        )
        assert float(columns["probability"][i]) == pytest.approx(float(p[y[i]]), rel=1e-6)
        assert float(columns["loss"][i]) == pytest.approx(-math.log(float(p[y[i]])), rel=1e-6)
        assert float(columns["probability_margin"][i]) == pytest.approx(
            float(p[y[i]] - max(p[k] for k in range(4) if k != y[i])), rel=1e-5
        )


def test_the_loss_varies_more_within_a_larger_ball():
    net, (x, y) = smooth_net(), images()
    columns = further_measures("loss_variation", net, x, y, seed=0)
    assert (columns["loss_variation_1"] < columns["loss_variation_2"]).all()
    assert (columns["loss_variation_2"] < columns["loss_variation_4"]).all()
