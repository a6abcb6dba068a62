"""Does submitted code replace functions of torch or of the benchmark? Loads nothing but torch and
the plugin protocol.

This finds what is done openly. What hides from it is without effect on scores, which are taken in
another process.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .. import regularizer

# What a method may import of the benchmark. All else is the benchmark's own work.
ALLOWED = (
    "benchmark.regularizer",
    "benchmark.attacks",
    "benchmark.projection",
    "benchmark.modes",  # which the attacks need
)
OWNERS: tuple[Any, ...] = (
    torch,
    F,
    torch.autograd,
    torch.func,
    torch.optim.SGD,
    torch.Tensor,
    nn.Module,
    nn.Linear,
    nn.Conv2d,
    regularizer,
    regularizer.Step,
    regularizer.Regularizer,
)

Functions = dict[tuple[str, str], Any]


def loaded() -> set[str]:
    """The benchmark's modules that have been loaded by now, less those that a method may import."""
    ours = (name for name in sys.modules if name.partition(".")[0] == "benchmark")
    return {
        name
        for name in ours
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
    }


def functions() -> Functions:
    """The functions that training and measuring rest on: (owner, name) → the function."""
    owners = [*OWNERS, *(sys.modules[name] for name in sorted(loaded()))]
    return {
        (owner.__name__, name): inspect.unwrap(
            value
        )  # torch itself wraps an optimizer's step on first use
        for owner in owners
        for name, value in vars(owner).items()
        if callable(value)
    }


def replaced(before: Functions) -> list[str]:
    """The names of those functions that are no longer what they were."""
    after = functions()
    return [
        f"{owner}.{name}"
        for (owner, name), value in before.items()
        if after.get((owner, name)) is not value
    ]
