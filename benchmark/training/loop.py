"""The training loop: one objective, for a reference and for its fine-tunes alike."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from ..data.splits import Split
from ..records.outcome import Epoch
from ..regularizer import Diverged, Noise, Regularizer, Step, objective
from .batches import seeded, training_batches
from .meter import EpochMeter
from .networks import couples_examples
from .phase import Phase


@dataclass(frozen=True)
class Training:
    """What training gave beside the weights.

    status: "finished", or "diverged" where a loss stopped being finite.
    seconds: processor time on a CPU, wall time on a GPU.
    flags: those of `benchmark.records.flags` that the training itself raises.
    """

    status: Literal["finished", "diverged"]
    iterations: int
    seconds: float
    epochs: list[Epoch] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    engine: str = "sequential"
    flags: tuple[str, ...] = ()


def train(
    model: nn.Module,
    split: Split,
    phase: Phase,
    *,
    seed: int,
    regularizer: Regularizer | None = None,
    strength: float = 0.0,
) -> Training:
    """Trains `model` in place.

    Every method sees the same batches in the same order for the same seed. Without a regularizer,
    or at λ = 0, no penalty is computed at all.

    Args:
        split: the training images, on the model's device.
        strength: λ.
    """
    device = split.images.device
    if strength == 0:
        regularizer = None
    noise = Noise(seeded(seed, f"{phase.name} noise", device))
    parameters = dict(model.named_parameters())
    trained = [parameter for parameter in parameters.values() if parameter.requires_grad]
    optimizer = sgd(parameters.values(), phase)
    state: dict[str, Tensor] = {}
    meter, decomposable = EpochMeter(phase, device), True
    separate = regularizer is not None and couples_examples(model)
    forward = model if regularizer is None else None
    if separate:
        forward = partial(_in_training_mode, model)
    # A CPU trial is timed by its own processor time, so that whatever else runs does not count as
    # its cost.
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    start, done = clock(), 0
    model.train()
    for done, (x, y) in zip(range(1, phase.iterations + 1), training_batches(split, phase, seed)):
        set_rate(optimizer, phase.rate(done - 1))
        weight = phase.strength(done - 1, strength)
        if separate:
            model.eval()
        step = Step(
            model,
            x,
            y,
            parameters=parameters,
            strength=weight,
            progress=phase.progress(done - 1),
            noise=noise,
            state=state,
        )
        try:
            found = objective(regularizer, step, weight, forward)
        except Diverged:
            decomposable = False
            break
        optimizer.zero_grad()
        # Of the parameters alone: a step may have made the images differentiable too.
        found.total.backward(inputs=trained)
        optimizer.step()
        meter.add(found.summary(y))
        if phase.ends_epoch(done):
            if regularizer is not None:
                regularizer.after_epoch(model, strength)
            meter.close(done)
            if meter.all_diverged:
                break
    finite = decomposable and not meter.ended and all_finite(parameters.values())
    model.eval()
    seconds = clock() - start
    return Training("finished" if finite else "diverged", done, seconds, meter.epochs[0], state)


def _in_training_mode(model: nn.Module, x: Tensor) -> Tensor:
    model.train()
    return model(x)


def sgd(parameters: Iterable[Tensor], phase: Phase, rate: Tensor | None = None) -> torch.optim.SGD:
    """The optimizer of every training; `rate`, a tensor beside the parameters, makes it one pass
    over them that reads the learning rate there.
    """
    recipe = phase.recipe
    return torch.optim.SGD(
        parameters,
        lr=phase.learning_rate if rate is None else rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=rate is not None or None,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def all_finite(parameters: Iterable[Tensor]) -> bool:
    """Whether no parameter is infinite or NaN."""
    return all(bool(parameter.isfinite().all()) for parameter in parameters)
