"""Evaluation mode for a while: what every attack and every measure puts a model in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Puts a model in evaluation mode, so that an example's logits and derivatives are its own.

    On leaving, also by an exception, every submodule has its mode again. Whoever made a callable
    that is no nn.Module answers for its mode.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
