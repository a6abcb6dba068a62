"""The LeNets: the multilayer perceptron 300-100 and two readings of LeNet-5."""

from __future__ import annotations

from torch import Tensor, nn

from .layers import (
    ACTIVATIONS,
    fan_in_uniform_,
    fitting_padding,
    initialise,
    out_side,
    register_from_scratch,
)


class MLP(nn.Module):
    """Fully connected layers with an activation between each two. Images [B, C, H, W] → logits [B,
    K].
    """

    def __init__(
        self, inputs: int, widths: tuple[int, ...], num_classes: int, activation: str
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for width in widths:
            layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, num_classes))
        initialise(self, fan_in_uniform_, fan_in_uniform_)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class LeNet(nn.Module):
    """Two 5×5 convolutions, each with a 2×2 max-pooling, then fully connected layers.

    Images [B, C, H, W] → logits [B, K]. The convolutions are valid ones, so the first fully
    connected layer's inputs follow from `img_size`. A map below 5 pixels (8×8 digits) is padded to
    keep its size.

    Args:
        padding: zeros on each side of the image.
        convolution_activation: whether the convolutions are followed by the activation.
    Raises:
        ValueError: `img_size` leaves no pixel after the second pooling.
    """

    def __init__(
        self,
        in_chans: int,
        img_size: tuple[int, int],
        channels: tuple[int, int],
        widths: tuple[int, ...],
        num_classes: int,
        activation: str,
        padding: int,
        convolution_activation: bool,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sides = img_size
        for number, width in enumerate(channels):
            if number > 0:
                padding = fitting_padding(min(sides), 5)
            layers.append(nn.Conv2d(in_chans, width, 5, padding=padding))
            layers += [ACTIVATIONS[activation]()] if convolution_activation else []
            layers.append(nn.MaxPool2d(2))
            sides = tuple(out_side(out_side(side, 5, padding), 2, stride=2) for side in sides)
            in_chans = width
        self.features = nn.Sequential(*layers)
        self.head = MLP(in_chans * sides[0] * sides[1], widths, num_classes, activation)
        initialise(self, fan_in_uniform_, fan_in_uniform_)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


@register_from_scratch
def lenet_300_100(
    num_classes: int = 10,
    in_chans: int = 1,
    img_size: tuple[int, int] = (28, 28),
    activation: str = "relu",
) -> nn.Module:
    """Two hidden layers of 300 and 100 units, for images of any shape: 266,610 parameters on MNIST.

    Initialised as in Caffe's model zoo, whose training Guo et al. take over: "xavier" weights
    (uniform, variance 1 / fan-in), zero biases.
    """
    return MLP(in_chans * img_size[0] * img_size[1], (300, 100), num_classes, activation)


@register_from_scratch
def lenet_5(
    num_classes: int = 10,
    in_chans: int = 1,
    img_size: tuple[int, int] = (28, 28),
    activation: str = "relu",
) -> nn.Module:
    """6 and 16 channels, then 120 and 84 units: 61,706 parameters on MNIST.

    LeCun et al. pad MNIST's 28 pixels to 32: so images below 32 pixels are padded by 2, larger ones
    not. After common usage the poolings take the maximum, the channels are fully connected, the
    output is a linear layer, and the activation is a free choice; initialised like `lenet_300_100`.
    """
    padding = 2 if min(img_size) < 32 else 0
    return LeNet(
        in_chans,
        img_size,
        (6, 16),
        (120, 84),
        num_classes,
        activation,
        padding,
        convolution_activation=True,
    )


@register_from_scratch
def lenet_5_caffe(
    num_classes: int = 10,
    in_chans: int = 1,
    img_size: tuple[int, int] = (28, 28),
    activation: str = "relu",
) -> nn.Module:
    """20 and 50 channels, then 500 units: 431,080 parameters on MNIST.

    Guo et al. describe a "LeNet-5" of two convolutions, two max-poolings and two fully connected
    layers, trained as in Caffe's model zoo. They print no widths: these are that zoo's, and like
    there only the hidden fully connected layer has an activation.
    """
    padding = fitting_padding(min(img_size), 5)
    return LeNet(
        in_chans,
        img_size,
        (20, 50),
        (500,),
        num_classes,
        activation,
        padding,
        convolution_activation=False,
    )
