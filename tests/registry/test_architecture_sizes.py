"""Every registered architecture has as many parameters as its paper's description gives."""

from itertools import pairwise
from math import prod

import pytest
import timm
import torch

from benchmark.training import networks

from .nets import OURS, REGISTERED

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 56, 56), (3, 64, 64)]


def chain(*widths):
    """Parameters of fully connected layers with biases."""
    return sum((a + 1) * b for a, b in pairwise(widths))


def filters(kernel, *channels, bias=True):
    """Parameters of a chain of convolutions."""
    return sum((a * kernel**2 + bias) * b for a, b in pairwise(channels))


# The side of the map that the first fully connected layer sees, worked out by hand for SHAPES'
# sides.
FLAT_SIDE = {
    "lenet_5": {8: 2, 28: 5, 32: 5, 56: 11, 64: 13},
    "lenet_5_caffe": {8: 1, 28: 4, 32: 5, 56: 11, 64: 13},
    "conv4_bn": {8: 2, 28: 7, 32: 8, 56: 14, 64: 16},
    "vgg_like": {8: 1, 28: 1, 32: 2, 56: 3, 64: 4},
    "cnn7": {8: 1, 28: 1, 32: 1, 56: 2, 64: 3},
    "conv4_swish": {8: 1, 28: 4, 32: 5, 56: 11, 64: 13},
}


def cifar_resnet_size(depth, C, K, batch_norm):
    n, total, norms = (depth - 2) // 6, filters(3, C, 16, bias=False), 16
    for a, b in ((16, 16), (16, 32), (32, 64)):
        total += filters(3, a, *[b] * (2 * n), bias=False)
        norms += 2 * n * b
    return total + chain(64, K) + (2 * norms if batch_norm else 0)


def preact_size(stem, widths, depth, C, K):
    total, a = filters(3, C, stem, bias=False), stem
    for b in widths:
        total += filters(3, a, *[b] * (2 * depth), bias=False) + (
            a * b if (a, b) != (64, 64) else 0
        )
        total += 2 * (a + (2 * depth - 1) * b)
        a = b
    return total + 2 * a + chain(a, K)


def expected_size(name, shape, K):
    C, H, _ = shape
    area = FLAT_SIDE[name][H] ** 2 if name in FLAT_SIDE else 0
    match name:
        case "linear":
            return chain(prod(shape), K)
        case "lenet_300_100":
            return chain(prod(shape), 300, 100, K)
        case "lenet_5":
            return filters(5, C, 6, 16) + chain(16 * area, 120, 84, K)
        case "lenet_5_caffe":
            return filters(5, C, 20, 50) + chain(50 * area, 500, K)
        case "conv4_bn":
            return filters(3, C, 32, 32, 64, 64) + 2 * 192 + chain(64 * area, K)
        case "vgg_like":
            return filters(3, C, *[64] * 2, *[128] * 2, *[256] * 4, *[512] * 4) + chain(
                512 * area, 512, K
            )
        case "cnn7":
            return filters(3, C, 128, 128, 256, 256, 512, 512, 1024) + chain(1024 * area, K)
        case "conv4_swish":
            return filters(3, C, 32, 32, 64, 64) + chain(64 * area, 200, 200, K)
        case "resnet_31":
            return cifar_resnet_size(32, C, K, batch_norm=False)
        case "wrn_28_10":
            return preact_size(16, (160, 320, 640), 4, C, K)
        case "preact_resnet_18":
            return preact_size(64, (64, 128, 256, 512), 2, C, K)
        case "wrn_50_2_bottleneck":
            with torch.device("meta"):
                published = timm.create_model("wide_resnet50_2", num_classes=K, in_chans=C)
            return sum(p.numel() for p in published.parameters()) - (7**2 - 3**2) * C * 64
    return cifar_resnet_size(int(name.split("_")[1]), C, K, batch_norm=not name.endswith("fixup"))


def size(name, shape, K):
    build, _ = networks._of_ours(REGISTERED[name])
    kwargs = (
        {"img_size": shape[1:]} if name in FLAT_SIDE or name in ("lenet_300_100", "linear") else {}
    )
    with torch.device("meta"):
        net = build(num_classes=K, in_chans=shape[0], **kwargs)
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_size_follows_from_the_papers_description(name, shape):
    assert size(name, shape, K=7) == expected_size(name, shape, K=7)


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("lenet_300_100", (1, 28, 28), 266_610),
        ("lenet_5", (1, 28, 28), 61_706),
        ("lenet_5", (3, 32, 32), 62_006),
        ("lenet_5_caffe", (1, 28, 28), 431_080),
        ("conv4_swish", (1, 28, 28), 312_202),
        ("preact_resnet_18", (3, 32, 32), 11_172_170),
        ("wrn_28_10", (3, 32, 32), 36_479_194),
    ],
)
def test_the_size_is_the_well_known_one(name, shape, parameters):
    assert size(name, shape, K=10) == parameters


@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [
        ("resnet_56", 0.85, 2),
        ("resnet_110", 1.7, 1),
        ("wrn_28_10", 36.5, 1),
        ("preact_resnet_18", 11.17, 2),
    ],
)
def test_the_size_is_the_papers(name, millions, digits):
    assert round(size(name, (3, 32, 32), K=10) / 1e6, digits) == millions
