"""A network as a chain of layers that bounds can be carried through, each in float64 with what
float32 may round.

Rounding. A number that float32 sums from n products and a bias in any order, fused or not, rounding
to nearest, differs from the exact sum of the exact products of the same numbers by at most
γ_{n+1}·Σ|terms|, with γ_k = k·u/(1 − k·u) and u = 2⁻²⁴ (Higham 2002, section 3.1), and by 2⁻¹²⁶ for
each operation that underflows. `Affine.rounding` is that bound, a hundredth larger. So the layer
that float32 computes is the exact layer plus a number within ±rounding, and a bound that allows for
every such number holds for the network in exact arithmetic and in float32 alike. Convolutions that
are no sums of products (Winograd's, or by Fourier transforms) and TF32 are outside it. The
hundredth pays for the bounds' own float64, whose roundings are 2⁻²⁹ of float32's: of the same
products forwards, and backwards of a coefficient's, which count times the same inputs.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from .jacobian import evaluation_mode
from .receptive_fields import Pair

UNIT = 2.0**-24  # float32's unit roundoff
SMALLEST = 2.0**-126  # below it float32 loses digits or everything
ALLOWANCE = 1.01  # for the bounds' own arithmetic, in float64


class NoCertificateError(ValueError):
    """The network has a part that no bound is known for here; the message names it."""


@dataclass(frozen=True)
class Affine:
    """x → weight·x + bias.

    Attributes:
        bias: broadcasts over outputs [N, ...].
        offset: |bias|, or more where float32 computes the bias from larger numbers.
        terms: roundings that a term of an output's sum passes through, at most.
    """

    weight: Tensor
    bias: Tensor
    offset: Tensor
    terms: int

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """weight·x. [N, ...] → [N, ...]."""
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        return self.linear(x, self.weight) + self.bias

    def spread(self, radius: Tensor) -> Tensor:
        """How far outputs move where inputs move by at most `radius`: |weight|·radius."""
        return self.linear(radius, self.weight.abs())

    def rounding(self, largest: Tensor) -> Tensor:
        """What float32 may round an output by, where the inputs are at most `largest` in size."""
        gamma = self.terms * UNIT / (1 - self.terms * UNIT)
        return ALLOWANCE * (gamma * (self.spread(largest) + self.offset) + self.terms * SMALLEST)


@dataclass(frozen=True)
class Dense(Affine):
    """weight [O, I], on the last axis."""

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight.T


@dataclass(frozen=True)
class Convolution(Affine):
    """weight [O, C, k, k]; an average pooling is one too."""

    stride: Pair
    padding: Pair

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, self.stride, self.padding)

    @property
    def kernel(self) -> Pair:
        return self.weight.shape[2], self.weight.shape[3]


@dataclass(frozen=True)
class Scale(Affine):
    """weight and bias of one image's shape, number by number: normalisation, BatchNorm."""

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        return x * weight


@dataclass(frozen=True)
class Flatten:
    """[N, C, H, W] → [N, C·H·W]."""

    def __call__(self, x: Tensor) -> Tensor:
        return x.flatten(1)


@dataclass(frozen=True)
class Activation:
    """ "relu" or "silu", number by number."""

    name: str


@dataclass(frozen=True)
class MaxPool:
    """The largest of each k×k square; squares do not overlap, incomplete ones are left out."""

    kernel: Pair


Layer = Affine | Flatten | Activation | MaxPool


@dataclass(frozen=True)
class Chain:
    """Layers, and the shape of one image's numbers before each, with the logits' at the end."""

    layers: tuple[Layer, ...]
    shapes: tuple[torch.Size, ...]


def read_chain(model: nn.Module, shape: tuple[int, int, int]) -> Chain:
    """The layers of a network without branches, in evaluation mode, weights as float64.

    Args:
        model: images [N, C, H, W] → logits [N, K].
        shape: (C, H, W).
    Raises:
        NoCertificateError: a layer of another kind, a branch (residual nets), or a forward pass
            that follows its input's values.
    """
    with torch.no_grad(), evaluation_mode(model):
        try:
            graph = fx.symbolic_trace(model).graph
        except (
            Exception
        ) as error:  # tracing runs the network's own code, which raises what it likes
            raise NoCertificateError(f"its forward pass cannot be traced: {error}") from error
        modules = dict(model.named_modules())
        constants = dict(model.named_parameters()) | dict(model.named_buffers())
        layers: list[Layer] = []
        shapes = [torch.Size(shape)]
        device = next((value.device for value in constants.values()), None)
        x = torch.zeros(1, *shape, dtype=torch.float64, device=device)
        last: fx.Node | None = None
        for node in graph.nodes:
            if node.op == "get_attr":
                continue
            if node.op != "placeholder":
                if not node.args or node.args[0] is not last:
                    raise NoCertificateError(f"{node.name} does not follow the layer before it")
                if node.op == "output":
                    break
                layer = (
                    _of_module(modules[str(node.target)], str(node.target), x)
                    if node.op == "call_module"
                    else _of_function(node, constants, x)
                )
                if layer is not None:
                    layers.append(layer)
                    x = _zeros_after(layer, x)
                    shapes.append(x.shape[1:])
            last = node
        return Chain(tuple(layers), tuple(shapes))


def _zeros_after(layer: Layer, x: Tensor) -> Tensor:
    """Zeros of the layer's output's shape."""
    match layer:
        case Activation():
            return x
        case MaxPool(kernel):
            return F.max_pool2d(x, kernel)
        case _:
            return torch.zeros_like(layer(x))


def _of_module(module: nn.Module, name: str, x: Tensor) -> Layer | None:
    """None for one that changes nothing in evaluation mode. x: zeros of its input's shape."""
    match module:
        case nn.Linear():
            weight = _exact(module.weight)
            bias = _bias(module.bias, weight)
            return Dense(weight, bias, bias.abs(), weight.shape[1] + 1)
        case nn.Conv2d() if module.groups == 1 and set(module.dilation) == {1}:
            if module.padding_mode == "zeros" and not isinstance(module.padding, str):
                weight = _exact(module.weight)
                bias = _bias(module.bias, weight)[:, None, None]
                stride, padding = _pair(module.stride), _pair(module.padding)
                return Convolution(weight, bias, bias.abs(), weight[0].numel() + 1, stride, padding)
        case nn.BatchNorm1d() | nn.BatchNorm2d() if module.running_var is not None:
            return _batch_norm(module, x)
        case nn.AvgPool2d(padding=0, ceil_mode=False, divisor_override=None):
            return _average(_pair(module.kernel_size), _pair(module.stride), x)
        case nn.MaxPool2d(padding=0, dilation=1, ceil_mode=False):
            if _pair(module.kernel_size) == _pair(module.stride):
                return MaxPool(_pair(module.kernel_size))
        case nn.ReLU() | nn.SiLU():
            return Activation("relu" if isinstance(module, nn.ReLU) else "silu")
        case nn.Flatten(start_dim=1, end_dim=-1):
            return Flatten()
        case nn.Identity() | nn.Dropout():
            return None
    raise NoCertificateError(f"no bounds for layer {name}, {module}")


def _of_function(node: fx.Node, constants: dict[str, Tensor], x: Tensor) -> Layer:
    """x − c and x / c, with a buffer c: what a normalisation is written as."""
    if node.target in (operator.sub, operator.truediv) and len(node.args) == 2:
        second: Any = node.args[1]
        if isinstance(second, fx.Node) and second.op == "get_attr":
            constant = _exact(constants[str(second.target)]).expand(x.shape[1:])
            one, none = torch.ones_like(constant), torch.zeros_like(constant)
            if node.target is operator.sub:
                return Scale(one, -constant, constant.abs(), 1)
            return Scale(1 / constant, none, none, 1)
    raise NoCertificateError(f"no bounds for {node.name}")


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Scale:
    """(x − mean)·weight/√(var + ε) + bias. In float32, in whatever order, no term is rounded more
    than eight times.
    """
    assert module.running_mean is not None and module.running_var is not None
    mean, variance = _exact(module.running_mean), _exact(module.running_var)
    weight = torch.ones_like(mean) if module.weight is None else _exact(module.weight)
    shift = _bias(module.bias, mean)
    scale = weight / (variance + module.eps).sqrt()
    moved = mean * scale
    weight, bias, offset = (
        term.view(-1, *[1] * (x.dim() - 2)).expand(x.shape[1:])
        for term in (scale, shift - moved, moved.abs() + shift.abs())
    )
    return Scale(weight, bias, offset, 8)


def _average(kernel: Pair, stride: Pair, x: Tensor) -> Convolution:
    channels, count = x.shape[1], math.prod(kernel)
    units = torch.eye(channels, dtype=x.dtype, device=x.device)
    weight = units[:, :, None, None].expand(-1, -1, *kernel) / count
    bias = x.new_zeros(channels, 1, 1)
    return Convolution(weight, bias, bias, count + 2, stride, (0, 0))


def _exact(values: Tensor) -> Tensor:
    return values.detach().double()


def _bias(values: Tensor | None, weight: Tensor) -> Tensor:
    """[O], beside the weight [O, ...]; zeros where the layer has none."""
    return weight.new_zeros(len(weight)) if values is None else _exact(values)


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
