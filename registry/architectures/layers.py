"""What the families share: registration with timm, activations, paddings and initialisations."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from timm.models import register_model
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


def register_from_scratch(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Registers `build` with timm under its own name, as a network without pretrained weights.

    Raises InputError where another module's network has that name: timm would put this one in its
    place, on every track that asks for the other.
    """
    name = build.__name__
    if timm.is_model(name) and timm.model_entrypoint(name).__module__ != build.__module__:
        raise InputError(
            f"{shown(Path(inspect.getfile(build)))}: registers a network {name!r}, but "
            f"{timm.model_entrypoint(name).__module__} has one of that name; rename the function"
        )

    @functools.wraps(build)
    def entrypoint(
        pretrained: bool = False,
        pretrained_cfg: Any = None,
        pretrained_cfg_overlay: Any = None,
        cache_dir: Any = None,
        **kwargs: Any,
    ) -> nn.Module:
        if pretrained:
            raise ValueError(f"{name} has no pretrained weights")
        return build(**kwargs)

    return register_model(entrypoint)


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
