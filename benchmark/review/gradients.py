"""Is the gradient with which a submission trains that of its penalty?

A child answers a trainer's questions with any numbers that it likes. So one training is repeated
and a few of its steps, drawn anew each time, are kept, which the child cannot tell from the others.
Another child, which has seen none of them, then gives the penalty in float64 beside each step's
weights: it must be what the step was told, and its central difference quotient along a random
direction the product of that direction with the gradient that the step was given.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from registry.spec import Trial

from ..regularizer import Step
from ..sandbox import answered
from ..sandbox import training as sandboxed
from ..sandbox.process import Child
from ..trials.run import prepare

STEPS, DIRECTIONS = 4, 5  # of a training; of each step
STRIDE = 1e-7  # of the weights' norm: few units of a network switch within it
# Of the root mean square of a product of the gradient with a direction; single precision and steps
# of an attack that turn out otherwise take up to some hundredths.
TOLERANCE = 0.1
ROUNDING = 1e-13  # of a penalty in float64
SMALL = 1e-6  # a penalty that nothing is told apart of


@dataclass
class Asked:
    """A step as a child was asked about it, and the gradient that it gave."""

    number: int
    weights: dict[str, Tensor]
    given: dict[str, Tensor]  # of the shared memory: x, y, images, noise, state
    request: dict[str, Any]
    value: float = math.nan  # of the penalty
    gradient: dict[str, Tensor] = field(default_factory=dict)


class Watched(answered.Answered):
    """Keeps what was asked and answered in the steps of these numbers."""

    def __init__(
        self,
        child: Child,
        tensors: dict[str, Tensor],
        model: nn.Module,
        noise: torch.Generator,
        numbers: set[int],
    ):
        super().__init__(child, tensors, model, noise)
        self._numbers, self._number = numbers, 0
        self.kept: list[Asked] = []

    def ask(self, step: Step) -> dict[str, Any]:
        request = super().ask(step)
        if self._number in self._numbers:
            weights = {name: w.detach().clone() for name, w in self._model.state_dict().items()}
            given = {"x": step.x.clone(), "y": step.y, "noise": self._noise, "state": self._state}
            self.kept.append(Asked(self._number, weights, given, request))
        return request

    def penalty(self, step: Step) -> Tensor:
        value = super().penalty(step)
        if self._number in self._numbers:
            asked = self.kept[-1]
            asked.given["images"] = step.x.detach().clone()
            asked.value, asked.gradient = float(value.detach()), self.gradient
        self._number += 1
        return value


def differences(trial: Trial, home: Path) -> list[str]:
    """A line for each step at which penalty and gradient do not agree.

    Args:
        trial: one whose reference, if it has one, has been trained in `home`.
    Raises:
        SandboxError: in one line, what the submission did instead.
    """
    start = prepare(trial, home, "cpu")
    images, model, phase = start.images, start.model, start.phase
    numbers = set(
        secrets.SystemRandom().sample(range(phase.iterations), min(STEPS, phase.iterations))
    )
    batch = sandboxed.batch_shape(images.train, phase)
    with sandboxed.answering(trial, model, batch) as (child, tensors):
        method = Watched(child, tensors, model, sandboxed.noise_of(trial, phase), numbers)
        sandboxed.trained(trial, model, images.train, phase, method)
    told = []
    with sandboxed.answering(trial, model, batch, dtype=torch.float64) as (child, tensors):
        answered.said(child, "hooks", answered.Hooks)
        for asked in method.kept:
            told += _difference(asked, child, tensors)
    return [f"{trial.entry.id} seed {trial.seed}, {line}" for line in told]


def _difference(asked: Asked, child: Child, tensors: dict[str, Tensor]) -> Iterator[str]:
    weights = {name: asked.weights[name].double() for name in asked.gradient}
    size = math.sqrt(sum(w.numel() for w in weights.values()))
    expected = _norm(asked.gradient) / size  # root mean square over directions
    stride = STRIDE * _norm(weights)
    again = _penalty(asked, asked.weights, child, tensors)
    if not math.isclose(again, asked.value, rel_tol=TOLERANCE, abs_tol=SMALL):
        yield f"step {asked.number + 1}: its penalty is {again:.3g}, and was {asked.value:.3g}"
        return
    resolved = ROUNDING * abs(again) / stride
    errors, rises = [], []
    values: dict[int, float] = {}
    for _ in range(DIRECTIONS):
        direction = {name: torch.randn_like(w) for name, w in weights.items()}
        length = _norm(direction)
        for sign in secrets.SystemRandom().sample((1, -1), 2):
            moved = {
                name: w + sign * stride / length * direction[name] for name, w in weights.items()
            }
            values[sign] = _penalty(asked, asked.weights | moved, child, tensors)
        rise = (values[1] - values[-1]) / (2 * stride)
        told = sum(
            float((g.double() * direction[name]).sum()) for name, g in asked.gradient.items()
        )
        rises.append(rise)
        errors.append(abs(rise - told / length))
    if not median(errors) <= max(TOLERANCE * expected, resolved):  # NaN is no agreement
        typical = math.sqrt(sum(rise**2 for rise in rises) / DIRECTIONS)
        yield (
            f"step {asked.number + 1}: along random directions its penalty rises by "
            f"{typical:.3g}, and its gradient is off by {median(errors):.3g}"
        )


def _penalty(
    asked: Asked, weights: dict[str, Tensor], child: Child, tensors: dict[str, Tensor]
) -> float:
    """The mean penalty at other weights, at the images and with the chance of the step."""
    for name, value in weights.items():
        tensors[f"weights.{name}"].copy_(value)
    for name, value in asked.given.items():
        tensors[name][: len(value)].copy_(value)
    child.ask(step=asked.request | {"images": True})
    answered.said(child, "answer", answered.Answer)
    return float(tensors["penalty"])


def _norm(tensors: dict[str, Tensor]) -> float:
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors.values()))
