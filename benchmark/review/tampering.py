"""Does submitted code import, or replace, what is not a method's? Loads nothing but torch and the
plugin protocol.

This finds what is done openly. What hides from it is without effect on scores, which are taken in
another process.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .. import regularizer

OURS = ("benchmark", "registry", "leaderboard_app")
# What a method may import of these. All else is the benchmark's own work.
ALLOWED = (
    "benchmark.regularizer",
    "benchmark.attacks",
    "benchmark.projection",
    "registry.spec",
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


def _is_forbidden(name: str) -> bool:
    """Whether a module is the benchmark's, and none that a method may import."""
    allowed = any(name == module or name.startswith(f"{module}.") for module in ALLOWED)
    return name.partition(".")[0] in OURS and not allowed


def forbidden_imports(code: str) -> list[str]:
    """What a method's code imports of the benchmark and may not, as it stands in its text, in
    order. Raises SyntaxError where the code is none.
    """
    named = (name for node in ast.walk(ast.parse(code)) for name in _imported(node))
    return list(dict.fromkeys(filter(_is_forbidden, named)))


def _imported(node: ast.AST) -> Iterator[str]:
    """The modules that a statement names. `from a import b` may name a module a.b, or a name."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module in OURS:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module


def loaded() -> set[str]:
    """The benchmark's modules that have been loaded by now, less those that a method may import."""
    return set(filter(_is_forbidden, sys.modules))


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
