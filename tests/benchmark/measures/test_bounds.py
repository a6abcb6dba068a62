"""The quadratic model's distance against a numerical search of that model."""

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
from benchmark.measures.jacobian import cross_lipschitz_binary, gram

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
        lambda logits, y, speed: bounds.nu_gamma(logits[..., None], speed),
    ],
)
def test_binary_measures_refuse_more_classes(function):
    with pytest.raises(ValueError, match="2 classes, not 3"):
        function(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long), torch.ones(1))


def test_nu_gamma_is_the_linear_part_of_the_margin():
    J, _, _ = draw(5, K=2, B=4, n=6)
    x = torch.rand(4, 1, 2, 3, dtype=torch.float64)
    logits = torch.einsum("bkn,bn->bk", J, x.flatten(1))
    assert_close(bounds.nu_gamma(J, x), (logits[:, 0] - logits[:, 1]).abs())
