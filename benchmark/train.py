"""The only training loop: cross-entropy + λ · penalty, for a reference and for its fine-tunes alike."""
from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from registry.spec import Recipe

from .data import Split
from .models import couples_examples
from .outcome import Epoch
from .regularizer import Regularizer, Step


@dataclass(frozen=True)
class Training:
    """What training gave beside the weights.

    status: "finished", or "diverged" where a loss stopped being finite.
    seconds: processor time on a CPU, wall time on a GPU.
    """
    status: str
    iterations: int
    seconds: float
    epochs: list[Epoch] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    engine: str = "sequential"


@dataclass(frozen=True)
class Phase:
    """The reference or the fine-tune phase of a recipe, in iterations."""
    name: str
    iterations: int
    per_epoch: int
    learning_rate: float
    warmup: int
    ramp: int
    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe, name: str, images: int) -> Phase:
        """`name` is "reference" or "fine_tune"."""
        per_epoch, iterations = recipe.per_epoch(images), recipe.iterations(name, images)
        fine_tune = name == "fine_tune"
        return cls(name, iterations, per_epoch,
                   (recipe.fine_tune_learning_rate if fine_tune else None) or recipe.learning_rate,
                   round(recipe.warmup_epochs * per_epoch) if fine_tune else 0,
                   round(recipe.ramp * iterations) if fine_tune else 0, recipe)

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration."""
        recipe, share = self.recipe, iteration / self.iterations
        if iteration < self.warmup:
            return self.learning_rate * (iteration + 1) / self.warmup
        match recipe.schedule:
            case "cosine":
                return self.learning_rate * (1 + math.cos(math.pi * share)) / 2
            case "step":
                return self.learning_rate * 0.1 ** sum(share >= milestone for milestone in recipe.milestones)
            case "inverse":
                return self.learning_rate * (1 + recipe.gamma * iteration) ** -recipe.power
        return self.learning_rate

    def strength(self, iteration: int, full: float) -> float:
        """λ of an iteration: it rises linearly over the ramp."""
        return full * min((iteration + 1) / (self.ramp + 1), 1.0)


def seeded(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that one draw more here changes nothing there."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def batches(images: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index tensors without end: full batches of a fresh permutation for every pass."""
    size = min(batch_size, images)
    while True:
        order = torch.randperm(images, generator=generator)
        yield from order[: images - images % size].split(size)


def crop_and_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image [B, C, H, W] padded by 4, cropped back at random, and mirrored in half of the cases."""
    B, _, H, W = x.shape
    top, left = torch.randint(9, (2, B), generator=generator)
    flip = torch.rand(B, generator=generator) < 0.5
    columns = torch.arange(W).expand(B, W)
    columns = left[:, None] + torch.where(flip[:, None], columns.flip(1), columns)
    rows = top[:, None] + torch.arange(H)
    padded = F.pad(x, (4, 4, 4, 4)).permute(0, 2, 3, 1)
    index = (torch.arange(B)[:, None, None], rows[:, :, None], columns[:, None, :])
    return padded[tuple(i.to(x.device) for i in index)].permute(0, 3, 1, 2).contiguous()


def train(model: nn.Module, split: Split, phase: Phase, *, seed: int,
          regularizer: Regularizer | None = None, strength: float = 0.0) -> Training:
    """Trains `model` in place.

    Every method sees the same batches in the same order for the same seed. Without a regularizer, or at λ = 0, no penalty
    is computed at all.

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
    optimizer = torch.optim.SGD(parameters.values(), lr=phase.learning_rate, momentum=phase.recipe.momentum,
                                weight_decay=phase.recipe.weight_decay)
    state: dict[str, Tensor] = {}
    epochs: list[Epoch] = []
    totals = torch.zeros(3, dtype=torch.float64, device=device)  # loss, penalty, correct
    # A CPU trial is timed by its own processor time, so that whatever else runs does not count as its cost.
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    status, start, iteration = "finished", clock(), 0
    model.train()
    for iteration, index in zip(range(1, phase.iterations + 1), batches(len(split.labels), phase.recipe.batch_size, order)):
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
            step = Step(model, x, y, parameters=parameters, strength=weight, generator=noise, state=state,
                        progress=(iteration - 1) / max(phase.iterations - 1, 1))
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
        (loss + weight * penalty).backward(inputs=trained)  # a step may have made the images differentiable too
        optimizer.step()
        with torch.no_grad():
            totals += torch.stack([loss, penalty, (logits.argmax(1) == y).double().mean()])
        if iteration % phase.per_epoch == 0 or iteration == phase.iterations:
            if regularizer is not None:
                regularizer.after_epoch(model, strength)
            passed = iteration % phase.per_epoch or phase.per_epoch
            mean = (totals / passed).tolist()
            totals.zero_()
            epochs.append(Epoch(phase=phase.name, epoch=len(epochs), loss=mean[0], penalty=mean[1], accuracy=mean[2],
                                learning_rate=rate))
            if not all(map(math.isfinite, mean[:2])):
                status = "diverged"
                break
    if not all(bool(p.isfinite().all()) for p in parameters.values()):
        status = "diverged"
    model.eval()
    return Training(status, iteration, clock() - start, epochs, state)
