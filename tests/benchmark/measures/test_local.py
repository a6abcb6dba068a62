"""Alignment, linearity and loss variation against explicit maps, cells and corners."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.measures.alignment import alignment, random_of_same_norm, top_right_singular_vector
from benchmark.measures.linearity import deviation_from_linearity, penultimate, shared_activations
from benchmark.measures.loss_variation import maximal_loss_variation


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return (
        nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 10),
            nn.ReLU(),
            nn.Linear(10, 4),
        )
        .double()
        .eval()
    )


@pytest.fixture
def x() -> Tensor:
    return torch.rand(5, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_top_right_singular_vector_is_that_of_the_svd():
    torch.manual_seed(0)
    J = torch.randn(6, 4, 9, dtype=torch.float64)
    expected = torch.linalg.svd(J).Vh[:, 0]
    found = top_right_singular_vector(J)
    assert_close(found * (found * expected).sum(1, keepdim=True).sign(), expected)


def test_alignment_is_the_absolute_cosine_whatever_the_size():
    torch.manual_seed(0)
    J = torch.randn(6, 4, 12, dtype=torch.float64)
    delta = torch.randn(6, 1, 3, 4, dtype=torch.float64)
    v = torch.linalg.svd(J).Vh[:, 0]
    expected = torch.stack(
        [abs(torch.dot(d.flatten(), w)) / d.norm() for d, w in zip(delta, v, strict=True)]
    )
    assert_close(alignment(delta, J), expected)
    assert_close(alignment(-1e-3 * delta, J), expected)
    assert_close(alignment(v.view(6, 1, 3, 4), J), torch.ones(6, dtype=torch.float64))


def test_alignment_is_nan_where_nothing_can_align():
    J, delta = torch.ones(2, 3, 4), torch.ones(2, 1, 2, 2)
    J[0], delta[1] = 0, 0
    assert alignment(delta, J).isnan().all()


def test_random_perturbations_keep_the_norm_and_are_hardly_aligned_in_many_dimensions():
    torch.manual_seed(0)
    delta = torch.randn(200, 1, 20, 20, dtype=torch.float64)
    random = random_of_same_norm(delta, torch.Generator().manual_seed(0))
    assert_close(random.flatten(1).norm(dim=1), delta.flatten(1).norm(dim=1))
    assert_close(random, random_of_same_norm(delta, torch.Generator().manual_seed(0)))
    cosines = alignment(random, torch.randn(200, 3, 400, dtype=torch.float64))
    assert cosines.mean().item() == pytest.approx(
        math.sqrt(2 / (math.pi * 400)), rel=0.2
    )  # mean |cos| of random directions


def test_deviation_from_linearity_is_the_remainder_of_the_first_order_expansion(net, x):
    features = net[:-1]
    z = torch.randn_like(x)
    for b in range(5):
        image, step = x[b : b + 1], z[b : b + 1]
        J = torch.autograd.functional.jacobian(lambda v: features(v)[0], image).flatten(1)
        expected = (features(image + step)[0] - features(image)[0] - J @ step.flatten()).norm()
        assert_close(deviation_from_linearity(features, x, z)[b], expected.detach())


def test_deviation_from_linearity_vanishes_within_the_cell_and_not_beyond(net, x):
    z = torch.randn_like(x)
    assert (deviation_from_linearity(penultimate(net), x, 1e-6 * z) < 1e-14).all()
    assert (shared_activations(net, x, 1e-6 * z) == 1).all()
    assert (deviation_from_linearity(penultimate(net), x, z) > 1e-3).all()
    assert (shared_activations(net, x, z) < 1).all()


def test_penultimate_features_are_what_the_last_linear_layer_receives(net, x):
    features = penultimate(net)
    assert_close(features(x), net[:-1](x))
    assert_close(net[-1](features(x)), net(x))
    assert not net[-1]._forward_pre_hooks


def test_penultimate_refuses_a_model_without_linear_layer():
    with pytest.raises(ValueError, match="no linear layer"):
        penultimate(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()))


def test_shared_activations_counts_units_with_the_same_sign(net, x):
    z = torch.randn_like(x)

    def signs(images: Tensor) -> Tensor:
        first = net[:2](images)
        return torch.cat([(first > 0).flatten(1), (net[:6](images) > 0)], dim=1)

    expected = (signs(x) == signs(x + z)).double().mean(1)
    assert_close(shared_activations(net, x, z), expected)


@pytest.mark.parametrize(
    "relu", [torch.relu, F.relu, Tensor.relu, lambda v: F.relu(v, inplace=True), Tensor.relu_]
)
def test_shared_activations_sees_relus_that_are_functions(relu):
    def model(images: Tensor) -> Tensor:
        return relu(images.flatten(1) - 0.5)

    x, z = torch.tensor([[[[0.2, 0.4, 0.6, 0.8]]]]), torch.tensor([[[[0.0, 0.2, 0.0, -0.4]]]])
    assert shared_activations(model, x, z).tolist() == [0.5]


def test_shared_activations_refuses_a_model_without_relu():
    with pytest.raises(ValueError, match="no ReLU"):
        shared_activations(
            nn.Sequential(nn.Flatten(), nn.SiLU()), torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 2)
        )


def test_loss_variation_of_a_linear_model_is_the_greatest_over_the_balls_corners():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    x, y = torch.rand(8, 1, 2, 3, dtype=torch.float64), torch.randint(2, (8,))
    found = maximal_loss_variation(model, x, y, epsilon=0.3)
    corners = 0.3 * torch.cartesian_prod(
        *[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 6
    ).view(64, 1, 1, 2, 3)
    inside = (x + corners).clamp(0, 1)
    losses = torch.stack([F.cross_entropy(model(images), y, reduction="none") for images in inside])
    assert_close(found, (losses.amax(0) - F.cross_entropy(model(x), y, reduction="none")).detach())


def test_loss_variation_is_never_negative_grows_with_the_ball_and_leaves_the_model_alone(net, x):
    net.train()
    y = torch.tensor([0, 1, 2, 3, 0])
    small, large = (maximal_loss_variation(net, x, y, epsilon) for epsilon in (0.01, 0.1))
    assert (small >= 0).all()
    assert (large > small).all()
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())
    assert_close(maximal_loss_variation(net, x, y, 0.0), torch.zeros(5, dtype=torch.float64))


def test_loss_variation_counts_the_best_point_visited_not_the_last():
    def model(
        images: Tensor,
    ) -> Tensor:  # the label's logit is least at .57: a step of .1 passes it, the next one returns
        return torch.cat(
            [
                100 * (images.flatten(1) - 0.57).square(),
                torch.zeros(len(images), 1, dtype=images.dtype),
            ],
            dim=1,
        )

    x, y = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64), torch.tensor([0])
    expected = math.log1p(math.exp(-0.09)) - math.log1p(math.exp(-0.49))
    assert maximal_loss_variation(model, x, y, epsilon=0.1, steps=2).item() == pytest.approx(
        expected
    )
