"""The measures of an image: those of each function, in every chunk and however confident."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from benchmark.evaluation.examples import example_measures

from ..measures.problems import NETS, columns_by_autograd, problem


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("K", [2, 4])
def test_example_measures_do_not_depend_on_the_chunk(net, K):
    model, x, y = problem(K, net)
    whole = example_measures(model, x, y)
    of_two_classes = {"quadratic_distance_2", "quadratic_distance_inf", "nu_gamma"}
    assert set(whole) & of_two_classes == (of_two_classes if K == 2 else set())
    assert all(column.shape == (5,) and column.dtype == torch.float32 for column in whole.values())
    assert_close(example_measures(model, x, y, chunk=2), whole)


def test_example_measures_are_those_of_each_function():
    model, x, y = problem(2)
    columns, V = (
        example_measures(model, x, y),
        [columns_by_autograd(model, image[None]) for image in x],
    )
    difference = torch.stack([v[:, 0] - v[:, 1] for v in V])
    p = model(x).detach().softmax(1)[torch.arange(5), y]
    xi = (math.log(2) + p.log()).clamp_min(0)
    nu, speed = difference.norm(dim=1), difference.abs().sum(1)
    expected = {
        "probability": p,
        "loss": -p.log(),
        "lipschitz": torch.stack([v.norm() for v in V]),
        "nu_gamma": (difference * x.flatten(1)).sum(1).abs(),
        "quadratic_distance_2": ((1 + 2 * p * xi / (1 - p)).sqrt() - 1) / (p * nu),
        "quadratic_distance_inf": ((1 + 2 * p * xi / (1 - p)).sqrt() - 1) / (p * speed),
    }
    for name, value in expected.items():
        assert_close(columns[name], value.float(), rtol=1e-5, atol=1e-7)


def test_an_example_whose_logits_diverged_is_nan_and_the_others_are_not():
    model, x, y = problem(3)
    expected = example_measures(model, x, y)
    x[2, 0, 0, 0] = torch.nan
    for name, column in example_measures(model, x, y).items():
        assert column[2].isnan(), name
        assert_close(column[[0, 1, 3, 4]], expected[name][[0, 1, 3, 4]])


def test_example_measures_of_very_confident_examples_neither_vanish_nor_overflow():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
    model[1].weight.data = torch.tensor([[60.0, 60.0], [0.0, 0.0]])
    columns = example_measures(
        model, torch.ones(1, 1, 1, 2), torch.tensor([0])
    )  # margin 120, 1 − p_y = e⁻¹²⁰
    nu = 60 * math.sqrt(2)
    assert columns["quadratic_distance_2"].item() == pytest.approx(
        math.exp(60) * math.sqrt(2 * math.log(2)) / nu, rel=1e-5
    )
    assert columns["linearised_distance_2"].item() == pytest.approx(120 / nu, rel=1e-6)


def test_measures_of_a_thousand_classes_are_finite_and_consistent():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 1000))
    x, y = torch.rand(2, 1, 3, 4), torch.tensor([0, 999])
    columns = example_measures(model, x, y)
    W = model[1].weight.detach().double()
    assert_close(
        columns["spectral_norm"].double(), torch.linalg.svdvals(W)[0].expand(2), rtol=1e-6, atol=0
    )
    assert all(column.isfinite().all() for column in columns.values())
