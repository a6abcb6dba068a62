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
from typing import Any

import torch
from torch import Tensor, nn

from registry.spec import Trial

from .. import training
from ..data import Split
from ..training import Phase, Training
from ..training.batches import seeded
from . import shared
from .answered import Answered
from .process import Child, Limits, SandboxError, started

JOB = "benchmark.sandbox.answering:job"
# Flags of a training: weights that a submission has changed itself, and weights that nothing has.
REWRITTEN, UNTRAINED = "trained_by_submission", "untrained"
LEAST_MOVED = 1e-6  # of the weights' norm; a gradient that cancels the loss's leaves rounding


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
    if not child.ended_by_itself:
        raise SandboxError("did not end when it was asked to, so that its time is not known")
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
    return dataclasses.replace(found, engine="sandboxed", flags=flags, state=method.state())


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
