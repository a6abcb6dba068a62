"""Bounds against a numerical search of the quadratic model, an explicit function of known
curvature, and each other.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from torch import Tensor
from torch.testing import assert_close

from benchmark.measures import bounds
from benchmark.measures.distances import linearised_distance
from benchmark.measures.jacobian import (
    cross_lipschitz,
    cross_lipschitz_binary,
    gradient_norm,
    gram,
    lipschitz,
)

seeds = st.integers(0, 2**31)


def draw(
    seed: int, K: int, B: int, scale: float = 1.0, n: int = 5
) -> tuple[Tensor, Tensor, Tensor]:
    """Jacobians [B, K, n], logits [B, K] and the likeliest classes [B] as labels."""
    generator = torch.Generator().manual_seed(seed)
    J = scale * torch.randn(B, K, n, dtype=torch.float64, generator=generator)
    logits = 2 * torch.randn(B, K, dtype=torch.float64, generator=generator)
    return J, logits, logits.argmax(1)


def quadratic_model(J: Tensor, logits: Tensor, y: Tensor) -> tuple[float, Tensor, Tensor]:
    """Loss, gradient and Hessian in the input of the cross-entropy of the linearised model, by
    autograd.
    """

    def loss(r: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy((logits + J @ r)[None], y[None])

    zero = torch.zeros(J.shape[1], dtype=J.dtype)
    return (
        loss(zero).item(),
        torch.autograd.functional.jacobian(loss, zero),
        torch.autograd.functional.hessian(loss, zero),
    )


def greatest_in_ball(gradient: Tensor, hessian: Tensor, radius: float, starts: int = 12) -> float:
    """Maximum of gᵀr + ½rᵀHr over ‖r‖₂ = radius. H is positive semi-definite, so that conditional
    gradient steps ascend.
    """
    r = torch.randn(
        starts, len(gradient), dtype=gradient.dtype, generator=torch.Generator().manual_seed(0)
    )
    r[0], r[1] = (
        gradient,
        torch.linalg.eigh(hessian).eigenvectors[:, -1] * (1 if gradient.sum() > 0 else -1),
    )
    for _ in range(300):
        r = radius * r / r.norm(dim=1, keepdim=True)
        r = gradient + r @ hessian
    r = radius * r / r.norm(dim=1, keepdim=True)
    return (r @ gradient + ((r @ hessian) * r).sum(1) / 2).max().item()


def searched_distance(J: Tensor, logits: Tensor, y: Tensor) -> float:
    """Smallest ‖r‖₂ at which the quadratic model reaches log K."""
    loss, gradient, hessian = quadratic_model(J, logits, y)
    lack = math.log(len(logits)) - loss
    high = 1.0
    while greatest_in_ball(gradient, hessian, high) < lack:
        high *= 2
    root = optimize.brentq(
        lambda R: greatest_in_ball(gradient, hessian, R) - lack, 1e-12, high, xtol=1e-13
    )
    assert isinstance(root, float)
    return root


def test_quadratic_distance_is_the_models_smallest_perturbation():
    J, logits, y = draw(0, K=2, B=6)
    distance = bounds.quadratic_distance(logits, y, cross_lipschitz_binary(gram(J)))
    for b in range(6):
        assert distance[b].item() == pytest.approx(
            searched_distance(J[b], logits[b], y[b]), rel=1e-8
        )


def test_quadratic_distance_in_the_maximum_norm_is_the_models_smallest_box():
    J, logits, y = draw(1, K=2, B=6)
    speed = (J[:, 0] - J[:, 1]).abs().sum(1)
    distance = bounds.quadratic_distance(logits, y, speed)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 5)
    for b in range(6):
        loss, gradient, hessian = quadratic_model(J[b], logits[b], y[b])

        def greatest(
            R, gradient=gradient, hessian=hessian
        ):  # a convex function's maximum over a box is at a corner
            r = R * corners
            return (r @ gradient + ((r @ hessian) * r).sum(1) / 2).max().item()

        root = optimize.brentq(
            lambda R, loss=loss, greatest=greatest: loss + greatest(R) - math.log(2),
            0,
            1e6,
            xtol=1e-13,
        )
        assert distance[b].item() == pytest.approx(root, rel=1e-8)
        assert bounds.quadratic_worst_loss(logits, y, speed, 0.3)[b].item() == pytest.approx(
            loss + greatest(0.3), rel=1e-10
        )


@settings(max_examples=50, deadline=None)
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_binary_worst_loss_in_the_ball_of_the_quadratic_distance_is_log_2(seed, scale):
    J, logits, y = draw(seed, K=2, B=20, scale=scale)
    speed = (J[:, 0] - J[:, 1]).abs().sum(1)
    radius = bounds.quadratic_distance(logits, y, speed)
    worst = bounds.quadratic_worst_loss(logits, y, speed, radius)
    assert_close(worst, torch.full_like(worst, math.log(2)))


@settings(max_examples=50, deadline=None)
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_quadratic_distance_always_exceeds_the_linearised_one(seed, scale):
    J, logits, y = draw(seed, K=2, B=20, scale=scale)
    quadratic = bounds.quadratic_distance(logits, y, cross_lipschitz_binary(gram(J)))
    assert (quadratic >= linearised_distance(logits, y, gram(J)) * (1 - 1e-9)).all()


@pytest.mark.parametrize(("p", "ratio"), [(0.9, 0.823), (0.999, 0.19)])
def test_ratio_of_linearised_to_quadratic_distance_is_the_tabulated_one(p, ratio):
    logits, y = torch.tensor([[math.log(p / (1 - p)), 0.0]], dtype=torch.float64), torch.tensor([0])
    speed = torch.tensor([3.0], dtype=torch.float64)
    found = math.log(p / (1 - p)) / 3 / bounds.quadratic_distance(logits, y, speed).item()
    assert found == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("margin", [1e-9, 40.0, 600.0])
def test_quadratic_distance_is_precise_at_both_ends_of_p(margin):
    logits, y = torch.tensor([[margin, 0.0]], dtype=torch.float64), torch.tensor([0])
    found = bounds.quadratic_distance(logits, y, torch.ones(1, dtype=torch.float64)).item()
    # p → ½: the model is linear, ξ = margin/2 and ‖∇‖ = ½. p → 1: √(2ξ e^margin) − 1.
    expected = margin if margin < 1 else math.exp(margin / 2) * math.sqrt(2 * math.log(2)) - 1
    assert found == pytest.approx(expected, rel=1e-6)


def test_quadratic_distance_is_0_where_misclassified_and_infinite_where_flat():
    logits, y = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0])
    assert bounds.quadratic_distance(logits, y, torch.tensor([1.0, 0.0])).tolist() == [
        0.0,
        math.inf,
    ]


@pytest.mark.parametrize(
    "function",
    [
        bounds.quadratic_distance,
        lambda *a: bounds.quadratic_worst_loss(*a, 0.1),
        lambda logits, y, speed: bounds.nu_gamma(logits[..., None], speed),
    ],
)
def test_binary_measures_refuse_more_classes(function):
    with pytest.raises(ValueError, match="2 classes, not 3"):
        function(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), torch.ones(1))


@pytest.mark.parametrize("K", [2, 3, 6])
def test_multi_class_bounds_lie_below_the_quadratic_models_distance(K):
    J, logits, y = draw(K, K, B=12)
    G = gram(J)
    lower = [
        bounds.quadratic_distance_bound_lipschitz(logits, y, lipschitz(G)),
        bounds.quadratic_distance_bound_cross_lipschitz(
            logits, y, lipschitz(G), cross_lipschitz(G)
        ),
    ]
    for b in range(12):
        distance = searched_distance(J[b], logits[b], y[b])
        for bound in lower:
            assert 0 < bound[b].item() <= distance * (1 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, K=st.integers(2, 12), scale=st.floats(0.01, 100))
def test_multi_class_bounds_lie_below_the_bound_from_the_exact_gradient_and_hessian_norms(
    seed, K, scale
):
    J, logits, y = draw(seed, K, B=10, scale=scale)
    G, V = gram(J), J.transpose(1, 2)
    p = logits.softmax(1)
    H = torch.linalg.matrix_norm(V @ (torch.diag_embed(p) - p[:, :, None] * p[:, None]) @ J, 2)
    g = gradient_norm(G, logits, y)
    xi = math.log(K) + p.amax(1).log()
    exact = g / H * ((1 + 2 * H * xi / g**2).sqrt() - 1)  # the left of Guo et al., eq. 33
    mu, omega = lipschitz(G), cross_lipschitz(G)
    assert (bounds.quadratic_distance_bound_lipschitz(logits, y, mu) <= exact * (1 + 1e-6)).all()
    assert (
        bounds.quadratic_distance_bound_cross_lipschitz(logits, y, mu, omega) <= exact * (1 + 1e-6)
    ).all()


@settings(max_examples=30, deadline=None)
@given(seed=seeds, K=st.integers(2, 12))
def test_multi_class_bounds_are_the_corrected_printed_formulas(seed, K):
    J, logits, y = draw(seed, K, B=10)
    mu, omega, p = lipschitz(gram(J)), cross_lipschitz(gram(J)), logits.softmax(1).amax(1)
    odds, xi = p / (1 - p), math.log(K) + p.log()
    eq_17 = ((1 + odds * xi).sqrt() - 1) / (p * mu)
    eq_16 = 4 * mu / (K**2 * p * omega) * ((1 + K**2 * omega * odds * xi / (4 * mu**2)).sqrt() - 1)
    assert_close(bounds.quadratic_distance_bound_lipschitz(logits, y, mu), eq_17)
    assert_close(bounds.quadratic_distance_bound_cross_lipschitz(logits, y, mu, omega), eq_16)


def test_multi_class_bounds_do_exceed_the_true_distance_on_some_draws():
    J, logits, y = draw(0, K=10, B=2000)
    bound = bounds.quadratic_distance_bound_lipschitz(4 * logits, y, lipschitz(gram(J)))
    assert (bound > linearised_distance(4 * logits, y, gram(J))).any()


@settings(max_examples=50, deadline=None)
@given(seed=seeds, kappa=st.floats(0.01, 10))
def test_cross_hoelder_radius_is_met_by_functions_of_constant_curvature(seed, kappa):
    # z_y − z_j = f_j − s_jᵀδ − ½κ‖δ‖² attains the bound: its nearest zero is straight along s_j.
    generator = torch.Generator().manual_seed(seed)
    f = torch.rand(3, dtype=torch.float64, generator=generator) + 0.1
    s = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    logits = torch.cat([torch.zeros(1, dtype=torch.float64), -f])[None]
    speeds = torch.cat([torch.zeros(1, dtype=torch.float64), s.norm(dim=1)])[None]
    radius = bounds.cross_hoelder_radius(logits, torch.tensor([0]), speeds, kappa)[0]

    def gaps(delta: Tensor) -> Tensor:
        return f - delta @ s.T - kappa * delta.square().sum(1, keepdim=True) / 2

    ball = torch.randn(500, 4, dtype=torch.float64, generator=generator)
    ball = torch.cat([ball / ball.norm(dim=1, keepdim=True), s / s.norm(dim=1, keepdim=True)])
    assert (gaps(radius * ball) >= -1e-12).all()
    assert gaps(radius * ball).min().item() == pytest.approx(0, abs=1e-10)


def test_cross_hoelder_radius_certifies_a_swish_network_of_bounded_curvature():
    # One hidden layer: the Hessian of a logit gap is Wᵀdiag(a·swish″)W, and |swish″| ≤ 1/2.
    torch.manual_seed(0)
    W, A = torch.randn(8, 3, dtype=torch.float64) / 2, torch.randn(3, 8, dtype=torch.float64)

    def model(x):
        return torch.nn.functional.silu(x @ W.T) @ A.T

    x = torch.randn(10, 3, dtype=torch.float64)
    logits = model(x)
    y = logits.argmax(1)
    J = torch.stack(
        [torch.autograd.functional.jacobian(lambda v: model(v[None])[0], row) for row in x]
    )
    speeds = (J[torch.arange(10), y][:, None] - J).norm(dim=2)
    weights = (A[y][:, None] - A).abs().amax(2)  # [10, 3]
    kappa = weights / 2 * torch.linalg.matrix_norm(W, 2) ** 2
    radius = bounds.cross_hoelder_radius(logits, y, speeds, kappa)
    directions = torch.randn(4000, 3, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    for b in range(10):
        assert radius[b] > 0
        assert (model(x[b] + 0.999 * radius[b] * directions).argmax(1) == y[b]).all()


def test_cross_hoelder_radius_without_curvature_is_the_linearised_distance():
    J, logits, y = draw(3, K=5, B=10)
    speeds = (J[torch.arange(10), y][:, None] - J).norm(dim=2)
    assert_close(
        bounds.cross_hoelder_radius(logits, y, speeds, 0.0), linearised_distance(logits, y, gram(J))
    )


def test_cross_hoelder_radius_is_0_where_misclassified():
    logits, speeds = torch.tensor([[1.0, 2.0, 0.0]]), torch.ones(1, 3)
    assert bounds.cross_hoelder_radius(logits, torch.tensor([0]), speeds, 1.0).tolist() == [0.0]


@pytest.mark.parametrize(
    ("threshold", "penalty"),
    [
        (bounds.NU_GAMMA_GRADIENT, lambda t: t**2 / (1 + math.exp(t)) ** 2),
        (bounds.NU_GAMMA_HESSIAN, lambda t: t**2 * math.exp(t) / (1 + math.exp(t)) ** 2),
    ],
)
def test_penalties_rise_with_nu_up_to_the_threshold(threshold, penalty):
    # With γ = 1, ‖∇‖² = (1−p)²ν² and ‖H‖ = p(1−p)ν² as functions of ν = t.
    peak = optimize.minimize_scalar(
        lambda t: -penalty(t), bounds=(0.1, 5), method="bounded", options={"xatol": 1e-9}
    )
    assert peak.x == pytest.approx(threshold, abs=1e-3)


def test_nu_gamma_is_the_linear_part_of_the_margin():
    J, _, _ = draw(5, K=2, B=4, n=6)
    x = torch.rand(4, 1, 2, 3, dtype=torch.float64)
    logits = torch.einsum("bkn,bn->bk", J, x.flatten(1))
    assert_close(bounds.nu_gamma(J, x), (logits[:, 0] - logits[:, 1]).abs())
