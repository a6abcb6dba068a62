"""Singular values of each layer's linear map (Wen et al., §4.2.2 and B.2)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..step import evaluation_mode
from .jacobian import Model


def dense_singular_values(weight: Tensor) -> Tensor:
    """Singular values of a weight matrix. weight [out, in] → [min(out, in)], descending."""
    return torch.linalg.svdvals(weight.detach())


def reshaped_singular_values(kernel: Tensor) -> Tensor:
    """Singular values of a kernel as a matrix [out, in·h·w] (Yoshida & Miyato 2017), not of the
    convolution's linear map.

    Args:
        kernel: [out, in, h, w].
    Returns:
        [min(out, in·h·w)], descending.
    """
    return torch.linalg.svdvals(kernel.detach().flatten(1))


def convolution_singular_values(
    kernel: Tensor, size: tuple[int, int], dilation: tuple[int, int] = (1, 1), groups: int = 1
) -> Tensor:
    """Singular values of a convolution as a linear map of images (Sedghi, Gupta & Long 2019).

    Exact for circular padding and stride 1, an approximation for zero padding; a stride is left
    out.

    Args:
        kernel: [out, in / groups, h, w].
        size: height and width of the layer's input; a kernel may be larger, it then wraps around.
        dilation: rows and columns between two taps.
        groups: of the convolution.
    Returns:
        [H·W·min(out, in)], in no order (out and in counted within each of the groups, then summed).
    """
    H, W = size
    kernel = kernel.detach()
    if kernel.shape[2:] == (1, 1) and (H, W) != (1, 1):  # the same at every pixel
        return convolution_singular_values(kernel, (1, 1), groups=groups).repeat(H * W)
    grouped = kernel.unflatten(0, (groups, -1))  # [g, o, i, h, w]
    rows = _waves(kernel.shape[2], H, dilation[0], kernel)
    # A real kernel has conjugate values at opposite frequencies: half of them are enough.
    half = _waves(kernel.shape[3], W, dilation[1], kernel)[: W // 2 + 1]
    transfer = torch.einsum("goiab,ua,vb->vugoi", grouped.to(rows.dtype), rows, half)
    values = torch.linalg.svdvals(transfer)  # [W/2 + 1, H, g, min(o, i)]
    return torch.cat([values, values[1 : (W + 1) // 2]]).flatten()


def _waves(taps: int, n: int, dilation: int, like: Tensor) -> Tensor:
    """exp(−2πi·u·t·dilation / n) for n frequencies u and the taps t: [n, taps]."""
    frequencies = torch.arange(n, device=like.device)[:, None]
    turns = frequencies * torch.arange(taps, device=like.device) * dilation % n
    angles = turns.to(like.dtype) * (-2 * math.pi / n)
    return torch.polar(torch.ones_like(angles), angles)


def layer_measures(model: nn.Module, image: Tensor | None = None) -> list[dict[str, Any]]:
    """Extremes and standard deviation of the singular values of every linear and convolutional
    layer, in order.

    Args:
        model: the network.
        image: [1, C, H, W]; with it, convolutions are measured as linear maps too, at the size they
            see.
    Returns:
        Rows with `name` (of the module), `kind` ("linear", "conv_reshaped" or, given an image,
        "conv_fft": the linear map), `sigma_max`, `sigma_min` and `sigma_std` (population). Floats,
        in the layer's output units per input unit.
    """
    sizes = {} if image is None else _input_sizes(model, image)
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            rows.append(_row(name, "linear", dense_singular_values(layer.weight)))
        elif isinstance(layer, nn.Conv2d):
            rows.append(_row(name, "conv_reshaped", reshaped_singular_values(layer.weight)))
            if name in sizes:
                dilation = (layer.dilation[0], layer.dilation[1])
                values = convolution_singular_values(
                    layer.weight, sizes[name], dilation, layer.groups
                )
                rows.append(_row(name, "conv_fft", values))
    return rows


def _row(name: str, kind: str, values: Tensor) -> dict[str, Any]:
    spread = values.double().std(correction=0)
    return {
        "name": name,
        "kind": kind,
        "sigma_max": values.max().item(),
        "sigma_min": values.min().item(),
        "sigma_std": spread.item(),
    }


def _input_sizes(model: Model, image: Tensor) -> dict[str, tuple[int, int]]:
    assert isinstance(model, nn.Module)
    sizes: dict[str, tuple[int, int]] = {}

    def remember(name: str):
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            sizes[name] = (inputs[0].shape[-2], inputs[0].shape[-1])

        return hook

    handles = [
        layer.register_forward_pre_hook(remember(name))
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        with torch.no_grad(), evaluation_mode(model):
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return sizes
