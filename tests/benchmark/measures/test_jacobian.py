"""Jacobian measures against autograd, one logit and one pair at a time, in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from benchmark.measures.distances import linearised_distance, linearised_distance_inf
from benchmark.measures.jacobian import (
    cross_lipschitz,
    cross_lipschitz_binary,
    gradient_norm,
    gram,
    hessian_norm,
    jacobian,
    lipschitz,
    spectral_norm,
)

from .problems import NETS, columns_by_autograd, problem


def loss_of(model: nn.Module, x: Tensor, y: Tensor):
    def loss(flat: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(flat.view_as(x)), y)

    return loss


CASES = pytest.mark.parametrize(
    ("net", "K"), [("mlp", 2), ("mlp", 3), ("mlp", 10), ("convolutional", 2), ("convolutional", 10)]
)


@CASES
@pytest.mark.parametrize("chunk", [2, 128])
def test_jacobian_rows_are_the_input_gradients_of_the_logits(net, K, chunk):
    model, x, _ = problem(K, net)
    expected = torch.stack([columns_by_autograd(model, image[None]).T for image in x])
    assert_close(jacobian(model, x, chunk), expected)
    assert_close(jacobian(lambda images: model(images), x, chunk), expected)


@pytest.mark.parametrize("net", NETS)
def test_jacobian_is_taken_in_evaluation_mode_and_leaves_the_model_as_it_was(net):
    model, x, _ = problem(3, net)
    expected = jacobian(model, x)
    model.train()
    model[-1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = jacobian(model, x)
    assert_close(result, expected)
    assert not result.requires_grad
    assert [layer.training for layer in model] == [True] * (len(model) - 1) + [False]
    assert_close(dict(model.state_dict()), before)


@pytest.mark.parametrize("channels", [1, 3])
def test_jacobian_of_larger_images_keeps_the_order_of_pixels(channels):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 16, 4),
    ).double()
    x = torch.rand(3, channels, 12, 12, dtype=torch.float64)
    assert_close(
        jacobian(model, x), torch.stack([columns_by_autograd(model, image[None]).T for image in x])
    )


@CASES
def test_lipschitz_constants_and_spectral_norm_follow_from_the_columns(net, K):
    model, x, _ = problem(K, net)
    G = gram(jacobian(model, x))
    for b in range(len(x)):
        V = columns_by_autograd(model, x[b : b + 1])
        pairs = [(V[:, i] - V[:, j]).square().sum() for i in range(K) for j in range(K)]
        assert_close(lipschitz(G)[b], torch.linalg.matrix_norm(V))
        assert_close(cross_lipschitz(G)[b], sum(pairs) / K**2)
        assert_close(spectral_norm(G)[b], torch.linalg.svdvals(V)[0])


def test_cross_lipschitz_is_half_the_squared_binary_constant():
    model, x, _ = problem(2)
    J = jacobian(model, x)
    nu = torch.stack([torch.linalg.vector_norm(v[0] - v[1]) for v in J])
    assert_close(cross_lipschitz_binary(gram(J)), nu)
    assert_close(cross_lipschitz(gram(J)), nu**2 / 2)


def test_binary_constant_refuses_more_classes():
    with pytest.raises(ValueError, match="2 classes, not 3"):
        cross_lipschitz_binary(torch.eye(3).expand(1, 3, 3))


@CASES
def test_gradient_and_hessian_norms_are_those_of_the_loss(net, K):
    model, x, y = problem(K, net)
    logits, G = model(x), gram(jacobian(model, x))
    for b in range(len(x)):
        loss, flat = loss_of(model, x[b : b + 1], y[b : b + 1]), x[b].flatten()
        gradient = torch.autograd.functional.jacobian(loss, flat)
        hessian = torch.autograd.functional.hessian(loss, flat)
        assert_close(gradient_norm(G, logits, y)[b], torch.linalg.vector_norm(gradient))
        assert_close(hessian_norm(G, logits)[b], torch.linalg.matrix_norm(hessian, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("margin", [0.0, 3.0, 40.0, 80.0])
def test_binary_norms_keep_their_precision_as_p_tends_to_1(margin, dtype):
    V = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]], dtype=dtype)[None]
    logits, y, nu = (
        torch.tensor([[margin, 0.0]], dtype=dtype),
        torch.tensor([0]),
        math.sqrt(0.25 + 9 + 16),
    )
    q = math.exp(-margin) / (1 + math.exp(-margin))
    assert gradient_norm(gram(V), logits, y).item() == pytest.approx(q * nu, rel=1e-5)
    assert hessian_norm(gram(V), logits).item() == pytest.approx(q * (1 - q) * nu**2, rel=1e-5)


def test_hessian_norm_of_many_classes_keeps_its_precision_as_p_tends_to_1():
    torch.manual_seed(0)
    V = torch.randn(1, 5, 7, dtype=torch.float64)
    logits = torch.tensor([[50.0, 1.0, 2.0, -3.0, 0.0]], dtype=torch.float64)
    # To first order in the others' probabilities H = Σ_j p_j (v_j − v_0)(v_j − v_0)ᵀ.
    D = (V[0, 1:] - V[0, 0]) * torch.exp(logits[0, 1:] - 50)[:, None].sqrt()
    assert_close(
        hessian_norm(gram(V), logits)[0], torch.linalg.svdvals(D)[0] ** 2, rtol=1e-12, atol=0
    )


@CASES
def test_linearised_distances_are_the_nearest_pairwise_boundary(net, K):
    model, x, y = problem(K, net)
    logits, J = model(x).detach(), jacobian(model, x)
    for b in range(len(x)):
        V = columns_by_autograd(model, x[b : b + 1])
        gap = {j: logits[b, y[b]] - logits[b, j] for j in range(K) if j != y[b]}
        for order, value in (
            (2, linearised_distance(logits, y, gram(J))),
            (1, linearised_distance_inf(logits, y, J)),
        ):
            expected = min(
                gap[j] / torch.linalg.vector_norm(V[:, y[b]] - V[:, j], order) for j in gap
            )
            assert_close(value[b], expected)


def test_linearised_step_reaches_a_linear_models_boundary_and_no_shorter_one_does():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 4)).double()
    x = torch.rand(20, 1, 2, 3, dtype=torch.float64)
    logits = model(x).detach()
    y, J = logits.argmax(1), jacobian(model, x)
    for b in range(len(x)):
        reached = []
        for j in set(range(4)) - {y[b].item()}:
            w = J[b, j] - J[b, y[b]]
            for order, radius, direction in (
                (2, linearised_distance(logits, y, gram(J))[b], w / w.norm()),
                (1, linearised_distance_inf(logits, y, J)[b], w.sign()),
            ):
                moved = model(x[b : b + 1] + (radius * direction).view(1, 1, 2, 3))[0]
                reached.append((order, (moved[y[b]] - moved[j]).item()))
        for order in (1, 2):
            left = min(gap for of, gap in reached if of == order)
            assert left == pytest.approx(
                0, abs=1e-12
            )  # the nearest boundary is met, none is crossed


def test_linearised_distances_of_flat_points_are_infinite_with_the_margins_sign():
    row = torch.rand(1, 50)
    J = row.expand(3, 50).expand(2, 3, 50)
    logits, y = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]), torch.tensor([0, 0])
    for distance in (
        linearised_distance(logits, y, gram(J)),
        linearised_distance_inf(logits, y, J),
    ):
        assert distance.tolist() == [math.inf, -math.inf]


def test_gradients_that_agree_to_within_rounding_count_as_coincident():
    torch.manual_seed(0)
    row = torch.randn(40, 1, 50, dtype=torch.float64)
    J = torch.cat([row, row / 3 * 3], dim=1)
    logits, y = (
        torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(40, 2),
        torch.zeros(40, dtype=torch.long),
    )
    assert (J[:, 0] != J[:, 1]).any(1).all()
    assert linearised_distance(logits, y, gram(J)).isposinf().all()


def test_differences_of_float32_gradients_keep_the_precision_of_the_gradients():
    torch.manual_seed(0)
    first = torch.randn(5, 1, 100)
    J = torch.cat([first, first + 1e-4 * torch.randn(5, 1, 100)], dim=1)
    exact = (J[:, 0].double() - J[:, 1].double()).norm(dim=1)
    assert_close(cross_lipschitz_binary(gram(J)).double(), exact, rtol=1e-6, atol=0)


def test_norms_of_an_infinite_jacobian_are_nan_and_leave_the_other_examples_alone():
    G = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    G[0, 1, 1] = torch.inf
    logits = torch.zeros(2, 3, dtype=torch.float64)
    for norm in (spectral_norm(G), hessian_norm(G, logits)):
        assert norm[0].isnan()
        assert norm[1].isfinite()
        assert norm[1] > 0


def test_linearised_distances_ignore_a_class_that_does_not_move_and_are_0_at_a_tie():
    J = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]]).expand(2, 3, 2)
    logits, y = torch.tensor([[2.0, 1.9, 0.0], [2.0, 2.0, 0.0]]), torch.tensor([0, 0])
    for distance in (
        linearised_distance(logits, y, gram(J)),
        linearised_distance_inf(logits, y, J),
    ):
        assert distance.tolist() == [2.0, 0.0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), K=st.integers(2, 12), scale=st.floats(0.01, 10))
def test_chain_of_norms_holds_where_the_label_is_the_likeliest_class(seed, K, scale):
    generator = torch.Generator().manual_seed(seed)
    V = torch.randn(4, K, 8, dtype=torch.float64, generator=generator)
    logits = scale * torch.randn(4, K, dtype=torch.float64, generator=generator)
    y, G = logits.argmax(1), gram(V)
    odds = logits.exp().amax(1) / logits.exp().sort(1).values[:, :-1].sum(1)
    hessian, slack = hessian_norm(G, logits), 1 + 1e-9
    left = odds * gradient_norm(G, logits, y) ** 2
    assert (left <= hessian * slack).all()
    assert (hessian <= spectral_norm(G) ** 2 / 2 * slack).all()
    assert (spectral_norm(G) <= lipschitz(G) * slack).all()
    if K == 2:
        assert_close(left, hessian)


def test_half_the_squared_gradient_norm_can_exceed_the_hessian_norm_below_p_of_a_half():
    torch.manual_seed(0)
    V, logits = (
        torch.randn(2000, 10, 8, dtype=torch.float64),
        torch.randn(2000, 10, dtype=torch.float64),
    )
    y, G = logits.argmax(1), gram(V)
    exceeds = gradient_norm(G, logits, y) ** 2 / 2 > hessian_norm(G, logits)
    likely = logits.softmax(1).amax(1) >= 0.5
    assert not exceeds[likely].any()
    assert exceeds[~likely].any()
