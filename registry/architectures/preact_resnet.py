"""Residual nets whose blocks begin with BatchNorm and activation: WRN-28-10 and PreActResNet-18."""

from __future__ import annotations

from torch import Tensor, nn

from .layers import ACTIVATIONS, fan_in_uniform_, he_normal_, initialise, register_from_scratch


class PreActBlock(nn.Module):
    """x + conv(act(bn(conv(act(bn(x)))))); where the shape changes, a 1×1 convolution of act(bn(x))
    stands for x.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, activation: str) -> None:
        super().__init__()
        self.pre = nn.Sequential(nn.BatchNorm2d(inputs), ACTIVATIONS[activation]())
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            ACTIVATIONS[activation](),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.pre(x)
        return (x if self.shortcut is None else self.shortcut(activated)) + self.residual(activated)


class PreActResNet(nn.Module):
    """A 3×3 stem, stages of `depth` blocks (stride 2 from the second on), BatchNorm, activation,
    mean over the pixels, one fully connected layer. Images [B, C, H, W] of any size → logits [B,
    K]. He's initialisation, no dropout."""

    def __init__(
        self,
        in_chans: int,
        stem: int,
        widths: tuple[int, ...],
        depth: int,
        num_classes: int,
        activation: str,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_chans, stem, 3, padding=1, bias=False)]
        inputs = stem
        for stage, width in enumerate(widths):
            for number in range(depth):
                stride = 2 if stage > 0 and number == 0 else 1
                layers.append(PreActBlock(inputs, width, stride, activation))
                inputs = width
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(inputs), ACTIVATIONS[activation]())
        self.head = nn.Linear(inputs, num_classes)
        initialise(self, he_normal_, fan_in_uniform_)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))


@register_from_scratch
def wrn_28_10(num_classes: int = 10, in_chans: int = 3, activation: str = "relu") -> nn.Module:
    """Three stages of four blocks, ten times as wide as ResNet's 16, 32, 64: 36.5 M parameters."""
    return PreActResNet(in_chans, 16, (160, 320, 640), 4, num_classes, activation)


@register_from_scratch
def preact_resnet_18(
    num_classes: int = 10, in_chans: int = 3, activation: str = "relu"
) -> nn.Module:
    """Four stages of two blocks with 64 to 512 channels: 11.17 M parameters.

    The CIFAR form of the literature on adversarial training: 3×3 stem, no max-pooling, BatchNorm
    and activation at the end.
    """
    return PreActResNet(in_chans, 64, (64, 128, 256, 512), 2, num_classes, activation)
