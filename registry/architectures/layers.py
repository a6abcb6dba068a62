"""What the families share: registration, activations, paddings and initialisations."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from registry.read import shown
from registry.spec import InputError

# None works in place: penalties and measures look at what goes into an activation.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "swish": nn.SiLU,
    "softplus": nn.Softplus,
    "gelu": nn.GELU,
}


Build = Callable[..., nn.Module]
BUILDERS: dict[str, Build] = {}  # name → what builds a network that timm lacks


def register_from_scratch(build: Build) -> Build:
    """Registers `build` under its own name beside timm's networks, none of which are imported for
    it: timm takes longer to load than most of ours to train a hundred steps.

    Raises InputError where another module's network has that name.
    """
    name = build.__name__
    other = BUILDERS.setdefault(name, build).__module__
    if other != build.__module__:
        raise taken(build, other)
    BUILDERS[name] = build
    return build


def taken(build: Build, other: str) -> InputError:
    """That a module has a network of the name that `build` would have: tracks could not tell which
    they ask for.
    """
    return InputError(
        f"{shown(Path(inspect.getfile(build)))}: registers a network {build.__name__!r}, but "
        f"{other} has one of that name; rename the function"
    )


def fitting_padding(side: int, kernel: int) -> int:
    """0, a valid convolution as the papers have it; on maps smaller than the kernel, what keeps
    their size.
    """
    return 0 if side >= kernel else kernel // 2


def out_side(side: int, kernel: int, padding: int = 0, stride: int = 1) -> int:
    """The side of the map that a convolution or pooling makes. Raises ValueError where nothing is
    left.
    """
    out = (side + 2 * padding - kernel) // stride + 1
    if side + 2 * padding < kernel:
        raise ValueError(f"a map of {side} pixels is too small for a window of {kernel}")
    return out


def initialise(net: nn.Module, conv_: Callable[[Any], Any], linear_: Callable[[Any], Any]) -> None:
    """Draws every convolution's and fully connected layer's weight; biases start at 0."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            (conv_ if isinstance(module, nn.Conv2d) else linear_)(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


# Normal with variance 2 / (what each input pixel feeds), as He et al. 2015 and the residual nets'
# own code have it.
he_normal_ = functools.partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
# Uniform with variance 1 / fan-in: keeps the scale of what enters; Caffe's "xavier" filler.
fan_in_uniform_ = functools.partial(nn.init.kaiming_uniform_, nonlinearity="linear")
