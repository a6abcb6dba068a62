"""Residual nets whose blocks end in an activation: CIFAR-style ones, with and without BatchNorm,
and WRN-50-2-bottleneck.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.init import xavier_uniform_

from .layers import ACTIVATIONS, fan_in_uniform_, he_normal_, initialise, register_from_scratch


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class ZeroPaddedShortcut(nn.Module):
    """The shortcut without parameters: every `stride`-th pixel, new channels zero (He et al. 2016,
    option A).
    """

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels, self.stride = new_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class Block(nn.Module):
    """activation(shortcut(x) + residual(x))."""

    def __init__(self, residual: nn.Sequential, shortcut: nn.Module, activation: str) -> None:
        super().__init__()
        self.residual, self.shortcut, self.act = residual, shortcut, ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.shortcut(x) + self.residual(x))


def basic_block(inputs: int, outputs: int, stride: int, activation: str, batch_norm: bool) -> Block:
    """Two 3×3 convolutions."""

    def norm() -> list[nn.Module]:
        return [nn.BatchNorm2d(outputs)] if batch_norm else []

    residual = nn.Sequential(
        conv(inputs, outputs, 3, stride),
        *norm(),
        ACTIVATIONS[activation](),
        conv(outputs, outputs, 3),
        *norm(),
    )
    same = inputs == outputs and stride == 1
    return Block(
        residual,
        nn.Identity() if same else ZeroPaddedShortcut(outputs - inputs, stride),
        activation,
    )


def bottleneck_block(inputs: int, width: int, outputs: int, stride: int, activation: str) -> Block:
    """1×1 to `width`, 3×3 with the stride, 1×1 to `outputs`; where the shape changes, a 1×1
    convolution as shortcut.
    """
    residual = nn.Sequential(
        conv(inputs, width, 1),
        nn.BatchNorm2d(width),
        ACTIVATIONS[activation](),
        conv(width, width, 3, stride),
        nn.BatchNorm2d(width),
        ACTIVATIONS[activation](),
        conv(width, outputs, 1),
        nn.BatchNorm2d(outputs),
    )
    same = inputs == outputs and stride == 1
    shortcut = (
        nn.Identity()
        if same
        else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
    )
    return Block(residual, shortcut, activation)


class ResNet(nn.Module):
    """Stem, blocks, mean over the pixels, one fully connected layer. Images [B, C, H, W] of any
    size → logits [B, K].
    """

    def __init__(
        self, stem: nn.Sequential, blocks: list[Block], features: int, num_classes: int
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = (
            stem,
            nn.Sequential(*blocks),
            nn.Linear(features, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def cifar_resnet(
    depth: int, num_classes: int, in_chans: int, activation: str, batch_norm: bool
) -> ResNet:
    """Three stages of (depth − 2) / 6 basic blocks with 16, 32, 64 channels (He et al. 2016,
    section 4.2).

    `depth` counts the 3×3 convolutions and the fully connected layer. He's initialisation.
    """
    norm = [nn.BatchNorm2d(16)] if batch_norm else []
    stem = nn.Sequential(conv(in_chans, 16, 3), *norm, ACTIVATIONS[activation]())
    blocks, inputs = [], 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        for number in range((depth - 2) // 6):
            blocks.append(
                basic_block(inputs, outputs, 1 if number else stride, activation, batch_norm)
            )
            inputs = outputs
    net = ResNet(stem, blocks, inputs, num_classes)
    initialise(net, he_normal_, fan_in_uniform_)
    return net


@torch.no_grad()
def fixup_(net: ResNet) -> None:
    """Scales the first convolution of each of the L blocks by L^(−1/2) and zeroes the last (Zhang
    et al. 2019, section 3).

    Blocks thus start as identities, and an update changes the logits by as much at any depth:
    BatchNorm is dispensable.
    """
    for block in net.blocks:
        first, *_, last = (module for module in block.modules() if isinstance(module, nn.Conv2d))
        first.weight.mul_(len(net.blocks) ** -0.5)
        last.weight.zero_()


def fixup_resnet(depth: int, num_classes: int, in_chans: int, activation: str) -> ResNet:
    net = cifar_resnet(depth, num_classes, in_chans, activation, batch_norm=False)
    fixup_(net)
    nn.init.zeros_(net.head.weight)
    return net


@register_from_scratch
def resnet_31(num_classes: int = 10, in_chans: int = 3, activation: str = "relu") -> nn.Module:
    """31 convolutions, one fully connected layer, no BatchNorm.

    Guo et al. give these counts only. Chosen here: the CIFAR net that He et al. call ResNet-32,
    which has them, with shortcuts without parameters, and fixup's initialisation of the blocks,
    without which 15 unnormalised blocks blow the logits up. Its last layer is not zeroed: penalties
    see an input gradient from the first step.
    """
    net = cifar_resnet(32, num_classes, in_chans, activation, batch_norm=False)
    fixup_(net)
    return net


@register_from_scratch
def resnet_56(num_classes: int = 10, in_chans: int = 3, activation: str = "relu") -> nn.Module:
    """He et al.'s CIFAR net with BatchNorm: 0.85 M parameters."""
    return cifar_resnet(56, num_classes, in_chans, activation, batch_norm=True)


@register_from_scratch
def resnet_110(num_classes: int = 10, in_chans: int = 3, activation: str = "relu") -> nn.Module:
    """He et al.'s CIFAR net with BatchNorm: 1.7 M parameters."""
    return cifar_resnet(110, num_classes, in_chans, activation, batch_norm=True)


@register_from_scratch
def resnet_56_fixup(
    num_classes: int = 10, in_chans: int = 3, activation: str = "relu"
) -> nn.Module:
    """ResNet-56 without BatchNorm, by fixup's initialisation: the last layer and each block's last
    convolution are 0.

    Wen et al. omit fixup's scalar layers (multipliers and biases), as they would change spectral
    norms. They mention no other bias: the convolutions have none, so all logits start at 0 and have
    no input gradient before the first step.
    """
    return fixup_resnet(56, num_classes, in_chans, activation)


@register_from_scratch
def resnet_110_fixup(
    num_classes: int = 10, in_chans: int = 3, activation: str = "relu"
) -> nn.Module:
    """ResNet-110 in the manner of `resnet_56_fixup`."""
    return fixup_resnet(110, num_classes, in_chans, activation)


@register_from_scratch
def wrn_50_2_bottleneck(
    num_classes: int = 200, in_chans: int = 3, activation: str = "relu"
) -> nn.Module:
    """3, 4, 6, 3 bottleneck blocks whose 3×3 filters have 128, 256, 512, 1024 channels; BatchNorm,
    no dropout.

    As Wen et al. change it for Tiny-ImageNet: a 3×3 stem of stride 1, no max-pooling, Xavier's
    initialisation of the convolutions. Not in the paper: the stride sits in the 3×3 convolution, as
    in the published ImageNet net.
    """
    stem = nn.Sequential(conv(in_chans, 64, 3), nn.BatchNorm2d(64), ACTIVATIONS[activation]())
    blocks, inputs = [], 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        for number in range(depth):
            stride = 2 if stage > 0 and number == 0 else 1
            blocks.append(bottleneck_block(inputs, 128 << stage, 256 << stage, stride, activation))
            inputs = 256 << stage
    net = ResNet(stem, blocks, inputs, num_classes)
    initialise(net, xavier_uniform_, fan_in_uniform_)
    return net
