"""How far the network is from linear around an input, each to be read against ‖z‖₂ (Roth et al.,
Fig. 9 and 10).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..step import evaluation_mode
from .jacobian import Model

RELUS = {F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


def deviation_from_linearity(features: Model, x: Tensor, z: Tensor) -> Tensor:
    """`‖φ(x + z) − φ(x) − J_φ(x) z‖₂` at the layer before the logits; 0 while x + z stays in x's
    ReLU cell.

    Args:
        features: φ, images → features [B, d] or [B, ...], such as `penultimate(model)`.
        x: [B, C, H, W].
        z: [B, C, H, W], perturbations.
    Returns:
        [B], in units of the features.
    """
    with torch.no_grad(), evaluation_mode(features):
        with warnings.catch_warnings():
            # The first forward derivative of a process makes PyTorch load parts of its own that it
            # calls deprecated.
            warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
            here, change, *_ = torch.func.jvp(features, (x,), (z,))
        return (features(x + z) - here - change).flatten(1).norm(dim=1)


def penultimate(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """φ, what the model's last linear layer receives: images → [B, d], in evaluation mode.

    Raises:
        ValueError: where the model has no linear layer.
    """
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise ValueError("the model has no linear layer whose input could be its features")

    def features(x: Tensor) -> Tensor:
        received: list[Tensor] = []
        handle = linear[-1].register_forward_pre_hook(lambda _, inputs: received.append(inputs[0]))
        try:
            with evaluation_mode(model):
                model(x)
        finally:
            handle.remove()
        return received[-1]

    return features


def shared_activations(model: Model, x: Tensor, z: Tensor) -> Tensor:
    """Fraction of all ReLUs that are on at both or off at both of x and x + z.

    Args:
        model: images → logits, with ReLUs as modules or functions.
        x: [B, C, H, W].
        z: [B, C, H, W], perturbations.
    Returns:
        [B], in [0, 1].
    Raises:
        ValueError: where no ReLU runs.
    """
    with torch.no_grad(), evaluation_mode(model):
        there, here = _pattern(model, x + z), _pattern(model, x)
    return (here == there).to(x.dtype).mean(1)


def _pattern(model: Model, x: Tensor) -> Tensor:
    """[B, units], True where a ReLU passes its input on."""
    with _ReLUs() as relus:
        model(x)
    if not relus.patterns:
        raise ValueError("the model runs no ReLU: it has no activation pattern")
    return torch.cat(relus.patterns, dim=1)


class _ReLUs(TorchFunctionMode):
    """Sees every ReLU that runs, whether a module or a function."""

    def __init__(self) -> None:
        super().__init__()
        self.patterns: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in RELUS:
            self.patterns.append((output > 0).flatten(1))
        return output
