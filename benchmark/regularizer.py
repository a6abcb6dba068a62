"""The plugin protocol: what a regularizer gets (a Step) and what it returns (a penalty).

A regularizer is one class in one file, `registry/regularizers/<name>/regularizer.py`, beside its
`card.toml`. What is minimised is `mean(losses) + λ · mean(penalty)`; λ is multiplied in
`objective` and nowhere else.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from registry.read import shown, source, text_hash
from registry.spec import InputError

from .step import Noise, Step

__all__ = [
    "Diverged",
    "Noise",
    "Objective",
    "Regularizer",
    "Step",
    "Tensor",
    "leading_eigenvector",
    "load_regularizer",
    "objective",
    "regularizer",
    "sphere",
]


@dataclass(frozen=True)
class Regularizer:
    """Base of every method. A subclass is a frozen dataclass whose fields are the card's params."""

    def training_input(self, step: Step) -> Tensor:
        """[B, C, H, W], the images to train on; adversarial training replaces them here."""
        return step.x

    def penalty(self, step: Step) -> Tensor:
        """[B], one value an example, or a scalar."""
        raise NotImplementedError(f"{type(self).__name__} defines no penalty(self, step)")

    def after_epoch(self, model: nn.Module, strength: float) -> None:
        """Called after every epoch: for projections such as spectral normalization."""


class Diverged(ArithmeticError):
    """A decomposition refused what comes of logits that are no longer finite."""


@dataclass(frozen=True)
class Objective:
    """What one step minimises, `loss + λ · penalty`, and what it is made of.

    Attributes:
        total: scalar.
        losses: [B], cross-entropy.
        penalties: as the method returns them, [B] or a scalar.
        loss, penalty: their means, scalars.
        logits: [B, K], those of the losses.
    """

    total: Tensor
    losses: Tensor
    penalties: Tensor
    loss: Tensor
    penalty: Tensor
    logits: Tensor

    @torch.no_grad()
    def summary(self, y: Tensor) -> Tensor:
        """[3], float64: mean loss, mean penalty and accuracy."""
        correct = (self.logits.argmax(1) == y).double().mean()
        return torch.stack([self.loss.double(), self.penalty.double(), correct])


def objective(
    method: Regularizer | None,
    step: Step,
    strength: float | Tensor,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Objective:
    """The one place where λ is multiplied: every engine and every check trains on this.

    Args:
        method: None for the control, which has no penalty.
        step: at the images as the data gave them.
        strength: λ of this step.
        forward: images → logits of the loss, called after the penalty is taken; the step's own
            logits where not given. BatchNorm needs it: the loss sees the batch's statistics, the
            penalty the running ones.
    Raises:
        Diverged: the penalty needs a decomposition that logits which are not finite do not have.
        TypeError: the penalty is no tensor.
    """
    penalties = step.x.new_zeros(())
    if method is not None:
        try:
            images = method.training_input(step)
            step = step if images is step.x else step.at(images)
            penalties = method.penalty(step)
        except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]
            if bool(step.logits.isfinite().all()):
                raise
            raise Diverged(str(error)) from error
        if not isinstance(penalties, Tensor):
            kind = type(penalties).__name__
            raise TypeError(f"penalty(step) must return a tensor, not {kind}")
    # Before the losses: the order of two terms in the graph is that in which gradients are summed.
    penalty = penalties.mean()
    if forward is None:
        logits, losses = step.logits, step.losses
    else:
        logits = forward(step.x)
        losses = F.cross_entropy(logits, step.y, reduction="none")
    loss = losses.mean()
    return Objective(loss + strength * penalty, losses, penalties, loss, penalty, logits)


def sphere(noise: Tensor, orthogonal_to_ones: bool = False) -> Tensor:
    """Gaussian noise [..., K] → directions uniform on the unit sphere, or on its part orthogonal to
    the all-ones vector.
    """
    if orthogonal_to_ones:
        noise = noise - noise.mean(-1, keepdim=True)
    return noise / noise.norm(dim=-1, keepdim=True)


@torch.no_grad()
def leading_eigenvector(A: Tensor) -> Tensor:
    """[B, K]: of symmetric matrices A [B, K, K] the unit eigenvectors of the largest eigenvalues,
    as constants.

    A model that diverges brings NaN, which the decomposition would refuse with an error, for a
    whole stack of models too; it then gets some vector, and its penalty, which is NaN without it,
    tells.
    """
    return torch.linalg.eigh(A.nan_to_num(0, 0, 0)).eigenvectors[..., -1]


def regularizer(penalty: Callable[[Step], Tensor]) -> type[Regularizer]:
    """Decorator: a function `step → penalty` as a Regularizer without params, in a notebook or in a
    plugin's file.

    >>> @regularizer
    ... def gradient_norm(step):
    ...     return step.input_gradient.flatten(1).norm(dim=1)
    >>> gradient_norm.__name__, issubclass(gradient_norm, Regularizer)
    ('gradient_norm', True)
    """

    def method(self: Regularizer, step: Step) -> Tensor:
        return penalty(step)

    return type(
        penalty.__name__,
        (Regularizer,),
        {"penalty": method, "__doc__": penalty.__doc__, "__module__": penalty.__module__},
    )


def _run(path: Path, text: str, name: str) -> ModuleType:
    """A fresh module made from this text: no cache of bytecode is read or written, so that what a
    reader sees at `path` is what runs.
    """
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up there
    # Tracebacks and inspect.getsource show the text that ran, even where the file has changed.
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    except Exception as error:
        raise InputError(
            f"{shown(path)}: cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module


def load_regularizer(
    folder: Path, params: dict[str, Any], sha256: str | None = None
) -> Regularizer:
    """The plugin in `folder`, with its params set.

    Args:
        sha256: of the code that is meant (`registry.read.source_hash`).
    Raises:
        InputError: where the file is another than is meant, cannot be imported, defines no or
            several regularizers, or refuses the params.
    """
    path = Path(folder) / "regularizer.py"
    module_name = f"regbench_plugin_{path.parent.name}"
    text = source(path.parent)
    if sha256 is not None and text_hash(text) != sha256:
        raise InputError(f"{shown(path)}: has changed since the run began; run again")
    module = _run(path, text, module_name)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Regularizer)
        and value.__module__ == module_name
    ]
    if len(found) != 1:
        names = ", ".join(value.__name__ for value in found) or "none"
        raise InputError(
            f"{shown(path)}: must define exactly one subclass of Regularizer, found {names}"
        )
    try:
        return found[0](**params)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{shown(path)}: {found[0].__name__} refuses its params {params}: {error}"
        ) from None
