"""Plain convolutional nets: conv4_bn and vgg_like (Guo et al.), cnn7 (Roth et al.), conv4_swish
(Cross-Hölder).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.init import xavier_uniform_

from .layers import (
    ACTIVATIONS,
    fan_in_uniform_,
    fitting_padding,
    he_normal_,
    initialise,
    out_side,
    register_from_scratch,
)


class Features(nn.Sequential):
    """A chain of 3×3 convolutions and 2×2 max-poolings that keeps count of channels and map size.

    A pooling is left out once the map is one pixel high or wide, so that 8×8 digits pass through
    every net.

    Attributes:
        outputs: length of the flattened features.
    """

    def __init__(self, in_chans: int, img_size: tuple[int, int], activation: str) -> None:
        super().__init__()
        self._channels, self._sides, self._activation = in_chans, img_size, ACTIVATIONS[activation]

    def conv(
        self,
        width: int,
        *,
        stride: int = 1,
        valid: bool = False,
        batch_norm: bool = False,
        affine: bool = True,
    ) -> None:
        """Appends convolution, BatchNorm where asked for, activation. `valid`: unpadded, where the
        map is large enough.
        """
        padding = fitting_padding(min(self._sides), 3) if valid else 1
        self.append(nn.Conv2d(self._channels, width, 3, stride, padding))
        if batch_norm:
            self.append(nn.BatchNorm2d(width, affine=affine))
        self.append(self._activation())
        self._channels, self._sides = (
            width,
            tuple(out_side(side, 3, padding, stride) for side in self._sides),
        )

    def pool(self) -> None:
        if min(self._sides) >= 2:
            self.append(nn.MaxPool2d(2))
            self._sides = tuple(side // 2 for side in self._sides)

    @property
    def outputs(self) -> int:
        return self._channels * self._sides[0] * self._sides[1]


class ConvNet(nn.Module):
    """Features, then fully connected layers of the given hidden widths. Images [B, C, H, W] →
    logits [B, K].
    """

    def __init__(
        self, features: Features, widths: tuple[int, ...], num_classes: int, activation: str
    ) -> None:
        super().__init__()
        self.features = features
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = features.outputs
        for width in widths:
            layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
            inputs = width
        self.head = nn.Sequential(*layers, nn.Linear(inputs, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@register_from_scratch
def conv4_bn(
    num_classes: int = 10,
    in_chans: int = 3,
    img_size: tuple[int, int] = (32, 32),
    activation: str = "relu",
) -> nn.Module:
    """Four convolutions with BatchNorm and a max-pooling after every second, then one fully
    connected layer.

    Guo et al. say "a four-layer convolutional network similar to LeNet-5 but with batch
    normalization". Chosen here: 3×3 filters, 32, 32, 64, 64 channels, padding 1, He's
    initialisation.
    """
    features = Features(in_chans, img_size, activation)
    for width in (32, 64):
        features.conv(width, batch_norm=True)
        features.conv(width, batch_norm=True)
        features.pool()
    net = ConvNet(features, (), num_classes, activation)
    initialise(net, he_normal_, fan_in_uniform_)
    return net


@register_from_scratch
def vgg_like(
    num_classes: int = 10,
    in_chans: int = 3,
    img_size: tuple[int, int] = (32, 32),
    activation: str = "relu",
) -> nn.Module:
    """Twelve convolutions and two fully connected layers.

    Guo et al. give these two counts only. Chosen here: VGG-19 without its last stage (2 × 64, 2 ×
    128, 4 × 256, 4 × 512 channels, a max-pooling after each stage), 512 hidden units, no BatchNorm
    and no dropout as the paper mentions neither, He's initialisation (which a net of this depth
    needs without BatchNorm).
    """
    features = Features(in_chans, img_size, activation)
    for width, depth in ((64, 2), (128, 2), (256, 4), (512, 4)):
        for _ in range(depth):
            features.conv(width)
        features.pool()
    net = ConvNet(features, (512,), num_classes, activation)
    initialise(net, he_normal_, fan_in_uniform_)
    return net


@register_from_scratch
def cnn7(
    num_classes: int = 10,
    in_chans: int = 3,
    img_size: tuple[int, int] = (32, 32),
    activation: str = "relu",
) -> nn.Module:
    """Seven convolutions with BatchNorm and max-pooling, then one fully connected layer.

    Roth et al. take a pretrained "standard" net (93.5 % on CIFAR-10) and describe no more of it.
    Chosen here, after a public pretrained CIFAR-10 net of that description: 2 × 128, 2 × 256, 2 ×
    512 channels with a max-pooling after each pair, then an unpadded convolution to 1024 and a last
    pooling; BatchNorm without scale and shift. That net is initialised with PyTorch's defaults,
    which BatchNorm makes immaterial; He's initialisation here.
    """
    features = Features(in_chans, img_size, activation)
    for width in (128, 256, 512):
        features.conv(width, batch_norm=True, affine=False)
        features.conv(width, batch_norm=True, affine=False)
        features.pool()
    features.conv(1024, valid=True, batch_norm=True, affine=False)
    features.pool()
    net = ConvNet(features, (), num_classes, activation)
    initialise(net, he_normal_, fan_in_uniform_)
    return net


@register_from_scratch
def conv4_swish(
    num_classes: int = 10,
    in_chans: int = 1,
    img_size: tuple[int, int] = (28, 28),
    activation: str = "swish",
) -> nn.Module:
    """Four convolutions (32, 32, 64, 64), every second with stride 2, two hidden layers of 200:
    312,202 parameters on MNIST.

    Twice differentiable with its default activation. The padding is not in the paper: none, as in
    the net of Carlini & Wagner that it changes (so both have 1024 features on MNIST); likewise
    Xavier's initialisation.
    """
    features = Features(in_chans, img_size, activation)
    for width in (32, 64):
        features.conv(width, valid=True)
        features.conv(width, stride=2, valid=True)
    net = ConvNet(features, (200, 200), num_classes, activation)
    initialise(net, xavier_uniform_, xavier_uniform_)
    return net
