"""The only training loop: cross-entropy + λ · penalty, for a reference and for its fine-tunes
alike.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.splits import Split
from ..records.outcome import Epoch
from ..regularizer import Regularizer, Step
from .batches import batches, crop_and_flip, seeded
from .networks import couples_examples
from .phase import Phase


@dataclass(frozen=True)
class Training:
    """What training gave beside the weights.

    status: "finished", or "diverged" where a loss stopped being finite.
    seconds: processor time on a CPU, wall time on a GPU.
    flags: those of `benchmark.records.flags` that the training itself raises.
    """

    status: str
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
    order = seeded(seed, f"{phase.name} order")
    augmentation = seeded(seed, f"{phase.name} augmentation")
    noise = seeded(seed, f"{phase.name} noise", device)
    if strength == 0:
        regularizer = None
    shares_forward = not couples_examples(model)
    parameters = dict(model.named_parameters())
    trained = [parameter for parameter in parameters.values() if parameter.requires_grad]
    optimizer = torch.optim.SGD(
        parameters.values(),
        lr=phase.learning_rate,
        momentum=phase.recipe.momentum,
        weight_decay=phase.recipe.weight_decay,
    )
    state: dict[str, Tensor] = {}
    epochs: list[Epoch] = []
    totals = torch.zeros(3, dtype=torch.float64, device=device)  # loss, penalty, correct
    # A CPU trial is timed by its own processor time, so that whatever else runs does not count as
    # its cost.
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    status, start, iteration = "finished", clock(), 0
    model.train()
    for iteration, index in zip(
        range(1, phase.iterations + 1), batches(len(split.labels), phase.recipe.batch_size, order)
    ):
        rate = phase.rate(iteration - 1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, y = split.pixels(index), split.labels[index.to(device)]
        if phase.recipe.augment == "crop_flip":
            x = crop_and_flip(x, augmentation)
        penalty = x.new_zeros(())
        weight = phase.strength(iteration - 1, strength)
        if regularizer is None:
            logits = model(x)
            losses = F.cross_entropy(logits, y, reduction="none")
        else:
            if not shares_forward:
                model.eval()
            step = Step(
                model,
                x,
                y,
                parameters=parameters,
                strength=weight,
                generator=noise,
                state=state,
                progress=(iteration - 1) / max(phase.iterations - 1, 1),
            )
            try:
                images = regularizer.training_input(step)
                if images is not x:
                    step = step.at(images)
                penalty = regularizer.penalty(step).mean()
            except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
                if bool(step.logits.isfinite().all()):
                    raise
                status = "diverged"  # a decomposition refuses what other methods turn into a NaN
                break
            if shares_forward:
                logits, losses = step.logits, step.losses
            else:
                model.train()
                logits = model(images)
                losses = F.cross_entropy(logits, y, reduction="none")
        loss = losses.mean()
        optimizer.zero_grad()
        (loss + weight * penalty).backward(
            inputs=trained
        )  # a step may have made the images differentiable too
        optimizer.step()
        with torch.no_grad():
            totals += torch.stack([loss, penalty, (logits.argmax(1) == y).double().mean()])
        if iteration % phase.per_epoch == 0 or iteration == phase.iterations:
            if regularizer is not None:
                regularizer.after_epoch(model, strength)
            passed = iteration % phase.per_epoch or phase.per_epoch
            mean = (totals / passed).tolist()
            totals.zero_()
            epochs.append(
                Epoch(
                    phase=phase.name,
                    epoch=len(epochs),
                    loss=mean[0],
                    penalty=mean[1],
                    accuracy=mean[2],
                    learning_rate=rate,
                )
            )
            if not all(map(math.isfinite, mean[:2])):
                status = "diverged"
                break
    if not all(bool(p.isfinite().all()) for p in parameters.values()):
        status = "diverged"
    model.eval()
    return Training(status, iteration, clock() - start, epochs, state)
