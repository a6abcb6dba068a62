"""Does submitted code replace functions of torch or of the benchmark? Loads nothing but torch and the plugin protocol.

This finds what is done openly. What hides from it is without effect on scores, which are taken in another process.
"""
from __future__ import annotations

import inspect
import sys
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from . import regularizer

# What a regularizer has no use for: the benchmark's own work.
OURS = ("train", "data", "sources", "models", "evaluation", "trial", "runner", "store", "rank", "outcome", "examination",
        "conformance", "subject", "measures", "honesty", "model_checks")

Functions = dict[tuple[str, str], Any]


def functions() -> Functions:
    """The functions that training and measuring rest on: (owner, name) → the function."""
    owners: list[Any] = [torch, F, torch.autograd, torch.func, torch.optim.SGD, torch.Tensor, nn.Module, nn.Linear, nn.Conv2d,
                         regularizer, regularizer.Step, regularizer.Regularizer]
    owners += [sys.modules[name] for name in map("benchmark.{}".format, OURS) if name in sys.modules]
    return {(owner.__name__, name): inspect.unwrap(value)  # torch itself wraps an optimizer's step on first use
            for owner in owners for name, value in vars(owner).items() if callable(value)}


def replaced(before: Functions) -> list[str]:
    """The names of those functions that are no longer what they were."""
    after = functions()
    return [f"{owner}.{name}" for (owner, name), value in before.items() if after.get((owner, name)) is not value]


def imported() -> list[str]:
    """Modules of the benchmark's own work that have been loaded by now."""
    return [name for name in OURS if f"benchmark.{name}" in sys.modules]
