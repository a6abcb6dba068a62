"""A network in two parts: its first dense layer, and what comes behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..attacks.incremental_square import Entrance
from ..measures.layer_chain import (
    Activation,
    Affine,
    Dense,
    Flatten,
    Layer,
    NoCertificateError,
    Scale,
    read_chain,
)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "silu": F.silu}


def entrance_of(model: nn.Module, x: Tensor) -> Entrance | None:
    """Both parts as the images' precision has them, normalisation multiplied out with the first
    layer in float64; None where the network does not begin with a dense layer, or is no chain of
    layers.

    Args:
        x: images [N,C,H,W].
    """
    try:
        layers = read_chain(model, (x.shape[1], x.shape[2], x.shape[3])).layers
    except NoCertificateError:
        return None
    shift = torch.zeros(x.shape[1:], dtype=torch.float64, device=x.device)
    scale = torch.ones_like(shift)
    for at, layer in enumerate(layers):
        match layer:
            case Scale(weight, bias) if weight.shape == shift.shape:
                scale, shift = weight * scale, weight * shift + bias
            case Dense(weight, bias):
                rest = _as_one(layers[at + 1 :], x)
                if rest is None:
                    return None
                bias = bias + weight @ shift.flatten()
                return Entrance((weight.view(-1, *shift.shape) * scale).to(x), bias.to(x), rest)
            case Flatten():
                continue
            case _:
                return None
    return None


def _as_one(layers: Sequence[Layer], x: Tensor) -> Callable[[Tensor], Tensor] | None:
    """[N,U] → logits [N,K], in the precision of x; None where a layer is of another kind."""
    steps: list[Callable[[Tensor], Tensor]] = []
    for layer in layers:
        match layer:
            case Activation(name):
                steps.append(ACTIVATIONS[name])
            case Dense() | Scale():
                steps.append(_rounded(layer, x))
            case _:
                return None

    def rest(hidden: Tensor) -> Tensor:
        for step in steps:
            hidden = step(hidden)
        return hidden

    return rest


def _rounded(layer: Affine, x: Tensor) -> Affine:
    return dataclasses.replace(layer, weight=layer.weight.to(x), bias=layer.bias.to(x))
