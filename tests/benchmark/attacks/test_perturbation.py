"""Balls, boxes and directions: what is reached is inside, nearest, and evenly spread."""

import math

import pytest
import torch

from benchmark.attacks.perturbation import per_example, project, steepest, unit_ball

from .test_run import images


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_projection_lands_in_ball_and_box_and_moves_nothing_that_is_inside(norm):
    x, far = images(50, 3, 4, 4), 3 * images(50, 3, 4, 4, seed=1) - 1
    epsilon = per_example(images(50, 1)[:, 0], x)
    inside = project(far, x, epsilon, norm, (0.0, 1.0))
    delta = (inside - x).flatten(1)
    length = delta.abs().amax(1) if norm == "inf" else delta.square().sum(1).sqrt()
    assert (length <= epsilon.flatten() * (1 + 1e-12)).all()
    assert inside.min() >= 0
    assert inside.max() <= 1
    torch.testing.assert_close(
        project(inside, x, epsilon, norm, (0.0, 1.0)), inside, rtol=0, atol=1e-15
    )


def test_projection_is_the_nearest_point_where_the_box_does_not_bind():
    x = 0.4 + 0.2 * images(40, 1, 3, 3)
    far = x + images(40, 1, 3, 3, seed=1) - 0.5
    ball = project(far, x, per_example(0.2, x), "2", (0.0, 1.0)) - x
    others = torch.randn(200, 40, 9, dtype=torch.float64)
    others = 0.2 * others / others.norm(dim=2, keepdim=True)
    to_ball = (far - x - ball).flatten(1).norm(dim=1)
    to_others = (others - (far - x).flatten(1)).norm(dim=2).amin(0)
    outside = (far - x).flatten(1).norm(dim=1) > 0.2
    assert outside.any()
    assert (to_ball[outside] <= to_others[outside]).all()


def test_the_steepest_direction_survives_gradients_whose_squares_underflow():
    gradient = torch.zeros(2, 1, 2, 2)
    gradient[0, 0, 0] = torch.tensor([3e-30, 4e-30])
    direction = steepest(gradient, "2")
    torch.testing.assert_close(direction[0, 0, 0], torch.tensor([0.6, 0.8]))
    assert (direction[1] == 0).all()


@pytest.mark.parametrize("norm", ["inf", "2"])
def test_random_starts_are_uniform_in_the_unit_ball(norm):
    torch.manual_seed(0)
    points = unit_ball((20_000, 1, 2, 2), norm, rand=torch.rand, randn=torch.randn).flatten(1)
    radius = points.abs().amax(1) if norm == "inf" else points.norm(dim=1)
    # The share of the ball's volume within radius r is r⁴ in four dimensions, in either norm.
    share = (radius**4).sort().values
    even = (torch.arange(20_000) + 0.5) / 20_000
    assert (share - even).abs().max() < 1.63 / math.sqrt(20_000)  # Kolmogorov-Smirnov at 1 %
    assert points.mean(0).abs().max() < 0.02
