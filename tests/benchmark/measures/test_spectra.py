"""Singular values against explicit matrices of the linear maps, built column by column."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from benchmark.measures.spectra import (
    convolution_singular_values,
    dense_singular_values,
    layer_measures,
    reshaped_singular_values,
)


def matrix_of(linear_map, shape: tuple[int, ...]) -> Tensor:
    n = torch.Size(shape).numel()
    return torch.stack(
        [linear_map(unit.view(1, *shape)).flatten() for unit in torch.eye(n, dtype=torch.float64)],
        dim=1,
    )


def circular_convolution(
    kernel: Tensor, size: tuple[int, int], dilation: tuple[int, int], groups: int
):
    """Sums shifted images tap by tap."""

    def apply(x: Tensor) -> Tensor:
        out = torch.zeros(1, kernel.shape[0], *size, dtype=x.dtype)
        for a in range(kernel.shape[2]):
            for b in range(kernel.shape[3]):
                shifted = x.roll((-a * dilation[0], -b * dilation[1]), (2, 3))
                out += F.conv2d(shifted, kernel[:, :, a : a + 1, b : b + 1], groups=groups)
        return out

    return apply


@pytest.mark.parametrize(
    ("out", "into", "taps", "size", "dilation", "groups"),
    [
        (3, 2, (3, 3), (6, 6), (1, 1), 1),
        (2, 4, (3, 2), (5, 4), (1, 1), 1),
        (2, 2, (5, 5), (4, 3), (1, 1), 1),  # the kernel wraps around
        (3, 3, (3, 3), (1, 1), (1, 1), 1),
        (3, 2, (1, 1), (4, 3), (1, 1), 1),
        (3, 2, (1, 3), (4, 5), (1, 1), 1),
        (2, 3, (3, 3), (7, 6), (2, 3), 1),
        (4, 6, (3, 3), (4, 5), (1, 1), 2),
    ],
)
def test_convolutions_singular_values_are_those_of_its_matrix(
    out, into, taps, size, dilation, groups
):
    torch.manual_seed(0)
    kernel = torch.randn(out, into // groups, *taps, dtype=torch.float64)
    matrix = matrix_of(circular_convolution(kernel, size, dilation, groups), (into, *size))
    found = convolution_singular_values(kernel, size, dilation, groups)
    assert_close(found.sort(descending=True).values, torch.linalg.svdvals(matrix))


def test_circular_conv2d_is_the_map_that_is_measured():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False).double()
    matrix = matrix_of(layer, (2, 5, 5)).detach()
    found = convolution_singular_values(layer.weight, (5, 5))
    assert_close(found.sort(descending=True).values, torch.linalg.svdvals(matrix))


def test_zero_padded_convolution_stretches_no_image_more_than_its_circular_twin_on_a_padded_image():
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False).double()
    matrix = matrix_of(layer, (2, 5, 5)).detach()
    assert torch.linalg.svdvals(matrix)[0] <= convolution_singular_values(
        layer.weight, (7, 7)
    ).max() * (1 + 1e-12)


def test_layer_measures_has_a_row_for_every_map_in_order():
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("normalise", nn.BatchNorm2d(1))
    net.add_module("conv", nn.Conv2d(1, 4, 3, stride=2))
    net.add_module("block", nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, groups=2)))
    net.add_module("flatten", nn.Flatten())
    net.add_module("logits", nn.Linear(4 * 9, 3))
    net.double()
    image = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    plain, rows = layer_measures(net), layer_measures(net, image)
    assert [(row["name"], row["kind"]) for row in plain] == [
        ("conv", "conv_reshaped"),
        ("block.1", "conv_reshaped"),
        ("logits", "linear"),
    ]
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("conv", "conv_reshaped"),
        ("conv", "conv_fft"),
        ("block.1", "conv_reshaped"),
        ("block.1", "conv_fft"),
        ("logits", "linear"),
    ]
    conv, block, logits = (
        net.get_submodule("conv"),
        net.get_submodule("block.1"),
        net.get_submodule("logits"),
    )
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(block, nn.Conv2d)
    values = [
        torch.linalg.svdvals(conv.weight.detach().reshape(4, 9)),
        torch.linalg.svdvals(
            matrix_of(circular_convolution(conv.weight.detach(), (8, 8), (1, 1), 1), (1, 8, 8))
        ),
        torch.linalg.svdvals(block.weight.detach().reshape(4, 18)),
        torch.linalg.svdvals(
            matrix_of(circular_convolution(block.weight.detach(), (3, 3), (1, 1), 2), (4, 3, 3))
        ),
        torch.linalg.svdvals(logits.weight.detach()),
    ]
    for row, sigma in zip(rows, values, strict=True):
        found = [row["sigma_max"], row["sigma_min"], row["sigma_std"]]
        assert found == pytest.approx(
            [sigma.max().item(), sigma.min().item(), sigma.std(correction=0).item()], rel=1e-9
        )
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert net.training


def test_matrices_and_kernels_have_the_singular_values_they_were_built_with():
    torch.manual_seed(0)
    U, V = (torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0] for n in (4, 18))
    sigma = torch.tensor([5.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    matrix = U @ torch.diag(sigma) @ V[:4]
    assert_close(dense_singular_values(matrix), sigma)
    assert_close(reshaped_singular_values(matrix.view(4, 2, 3, 3)), sigma)
