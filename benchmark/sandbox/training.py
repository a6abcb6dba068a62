"""Training with a submitted regularizer: the trainer stays outside, and asks the sandbox for what
is the method's alone.

A child gets the weights and the batch of a step and answers with the images to train on, the
penalty and its gradient. The loop, the optimizer, the order of the data, λ, the loss and its
gradient, and the record of it all are the benchmark's: code in the child can give another gradient
than its penalty's, which `benchmark.review.gradients` looks for, and nothing else.

A projection of the weights cannot be asked for so: whoever may rewrite the weights after an epoch
may put there what it has trained itself. Weights that a submission's `after_epoch` has changed are
taken, and the training is marked for it, which keeps it out of every ranking.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from registry.spec import Trial

from .. import training
from ..data import Split
from ..regularizer import Regularizer, Step
from ..training import Phase, Training
from ..training.batches import seeded
from ..training.networks import couples_examples
from . import shared
from .process import Child, Limits, SandboxError, started

JOB = "benchmark.sandbox.answering:job"
# Flags of a training: weights that a submission has changed itself, and weights that nothing has.
REWRITTEN, UNTRAINED = "trained_by_submission", "untrained"
LEAST_MOVED = 1e-6  # of the weights' norm; a gradient that cancels the loss's leaves rounding


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hooks(_Said):
    """Which methods of a regularizer the submission has."""

    training_input: bool
    after_epoch: bool


class Answer(_Said):
    """What stands in the shared memory after a step: whether images do, and how many bytes of
    state. `decomposed` is false where a matrix of the step had no decomposition.
    """

    decomposed: bool
    images: bool
    state: Annotated[int, Field(ge=0)]


class Projected(_Said):
    """The weights after an epoch stand in the shared memory."""


S = TypeVar("S", bound=_Said)


class Answered(Regularizer):
    """A submitted regularizer as the trainer sees it: a child answers.

    rewrote: whether it has changed weights after an epoch.
    """

    def __init__(
        self,
        child: Child,
        tensors: dict[str, Tensor],
        model: nn.Module,
        noise: torch.Generator,
    ):
        self._child, self._tensors, self._model = child, tensors, model
        self._coupled, self._noise = couples_examples(model), noise.get_state()
        self._hooks = said(child, "hooks", Hooks)
        self._state, self._heard = torch.empty(0, dtype=torch.uint8), True
        self.rewrote = False

    def training_input(self, step: Step) -> Tensor:
        self.ask(step)
        if not (self._hooks.training_input and self._hear()):
            return step.x
        images = self._tensors["images"].clone(memory_format=torch.contiguous_format)
        if bool(((images < 0) | (images > 1)).any()):
            raise SandboxError("its training_input leaves [0, 1]")
        return images

    def penalty(self, step: Step) -> Tensor:  # scalar
        if not self._heard:
            if not self._coupled:
                _ = step.losses  # the trainer needs them: found while the child is at work
            self._hear()
        gradients = [self._tensors[f"gradient.{name}"] for name in step.parameters]
        return _Given.apply(self._tensors["penalty"], gradients, *step.parameters.values())

    def after_epoch(self, model: nn.Module, strength: float) -> None:
        if not self._hooks.after_epoch:
            return
        self._put_weights()
        self._child.ask(after_epoch=strength)
        said(self._child, "answer", Projected)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                proposed = self._tensors[f"weights.{name}"].clone()
                self.rewrote |= not torch.equal(proposed, parameter)
                parameter.copy_(proposed)

    def ask(self, step: Step) -> dict[str, Any]:
        """Hands a step to the child; returns what it is told beside the shared memory."""
        self._put_weights()
        self._tensors["x"].copy_(step.x)
        self._tensors["y"].copy_(step.y)
        self._tensors["noise"].copy_(self._noise)
        self._tensors["state"][: len(self._state)].copy_(self._state)
        request = {
            "strength": step.strength,
            "progress": step.progress,
            "state": len(self._state),
            "images": False,
        }
        self._child.ask(step=request)
        self._heard = False
        return request

    def _put_weights(self) -> None:
        for name, value in self._model.state_dict().items():
            self._tensors[f"weights.{name}"].copy_(value)

    def _hear(self) -> bool:
        """Whether it gave images of its own. Takes the noise and the state to begin the next step
        with.
        """
        answer = said(self._child, "answer", Answer)
        self._heard = True
        if not answer.decomposed:
            raise torch.linalg.LinAlgError(  # pyright: ignore[reportPrivateImportUsage]
                "a matrix of its penalty has no decomposition"
            )
        self._noise = self._tensors["noise"].clone()
        if answer.state > len(self._tensors["state"]):
            raise SandboxError("it says that its state is larger than the memory for it")
        self._state = self._tensors["state"][: answer.state].clone()
        return answer.images


class _Given(torch.autograd.Function):
    """A value whose gradient is already known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(upstream[0] * gradient for gradient in ctx.gradients)


def said(child: Child, name: str, kind: type[S]) -> S:
    """What a child says next, where it is of this kind. Raises SandboxError where it is not."""
    try:
        return kind.model_validate(child.hear().get(name))
    except ValidationError:
        raise SandboxError(f"what it answered is no {name}") from None


@contextmanager
def answering(
    trial: Trial,
    model: nn.Module,
    batch: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
    job: str = JOB,
    told: dict[str, Any] | None = None,
    trusted: bool = False,
    limits: Limits = Limits(),
) -> Iterator[tuple[Child, dict[str, Tensor]]]:
    """A child that answers for the trial's regularizer, and the tensors that it shares.

    Args:
        batch: the shape of a step's x.
        told: what the job is told beside.
    Raises:
        SandboxError: in one line, what the submission did instead.
        InputError: there is no sandbox here.
    """
    table = shared.layout(model, batch, dtype)
    task = {
        "job": job,
        "trial": json.loads(trial.model_dump_json(by_alias=True)),
        "layout": table,
        **(told or {}),
    }
    folder = Path(str(trial.plugin))
    with (
        shared.memory(table) as memory,
        started(task, folder, limits, memory=memory, trusted=trusted) as child,
    ):
        yield child, shared.tensors(table, memory)


def train(
    trial: Trial, model: nn.Module, split: Split, phase: Phase, *, limits: Limits = Limits()
) -> Training:
    """As `benchmark.training.train` on the CPU, with the trial's regularizer in the sandbox.

    Its seconds are the trainer's own and what the kernel counted for the child: submitted code
    cannot make itself look cheaper.

    Raises:
        SandboxError: in one line, what the submission did instead.
        InputError: there is no sandbox here.
    """
    with answering(trial, model, batch_shape(split, phase), limits=limits) as (child, tensors):
        method = Answered(child, tensors, model, noise_of(trial, phase))
        found = trained(trial, model, split, phase, method)
    seconds = found.seconds + child.seconds
    return dataclasses.replace(found, seconds=seconds)


def trained(
    trial: Trial, model: nn.Module, split: Split, phase: Phase, method: Answered
) -> Training:
    """The trial's training with a method for which a child answers; its time is not counted yet."""
    before = [parameter.detach().clone() for parameter in model.parameters()]
    found = training.train(
        model, split, phase, seed=trial.seed, regularizer=method, strength=trial.entry.strength
    )
    flags = (REWRITTEN,) if method.rewrote else ()
    if found.status == "finished" and moved(before, model) < LEAST_MOVED:
        flags += (UNTRAINED,)
    return dataclasses.replace(found, engine="sandboxed", flags=flags)


@torch.no_grad()
def moved(before: list[Tensor], model: nn.Module) -> float:
    """How far a model's parameters are from those before, as a multiple of their norm."""
    norms = [
        (torch.linalg.vector_norm(now - then), torch.linalg.vector_norm(then))
        for now, then in zip(model.parameters(), before, strict=True)
    ]
    distance, size = torch.tensor(norms).norm(dim=0).tolist()
    return distance / size


def batch_shape(split: Split, phase: Phase) -> tuple[int, ...]:
    """[B, C, H, W] of every batch of a training."""
    return min(phase.recipe.batch_size, len(split)), *split.images.shape[1:]


def noise_of(trial: Trial, phase: Phase) -> torch.Generator:
    """The chance of a trial's regularizer, as the trainer alone would have it."""
    return seeded(trial.seed, f"{phase.name} noise")
