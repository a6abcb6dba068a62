"""The stacked engine: trials that share data, network, method and recipe train as one model with
parameters [M, …].

Each of the M models keeps its own seed, data order, λ, chance and state, so that it ends with the
parameters that `benchmark.training.train` would give it. It pays where a single model's step leaves
the device idle: small nets on a GPU. On a CPU it does not, and is not used there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from ..data.splits import Split
from ..records.outcome import Epoch
from ..regularizer import Regularizer, Step
from .loop import Phase, Training, batches, crop_and_flip, seeded


class _Recording(Step):
    """Notes what a regularizer draws."""

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        self._generator.append((torch.randn, tuple(shape)))
        return torch.zeros(shape, dtype=self.x.dtype, device=self.x.device) + 0.5

    def rand(self, shape: tuple[int, ...]) -> Tensor:
        self._generator.append((torch.rand, tuple(shape)))
        return torch.zeros(shape, dtype=self.x.dtype, device=self.x.device) + 0.5


class _Supplied(Step):
    """Hands out what was drawn beforehand: inside a mapped step nothing can be drawn from M
    generators.
    """

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        return next(self._generator)

    rand = randn


def stackable(model: nn.Module) -> bool:
    """Whether the engine can train this network: BatchNorm's running statistics cannot be mapped
    over models.
    """
    return not any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()
    )


def train_stacked(
    models: Sequence[nn.Module],
    split: Split,
    phase: Phase,
    *,
    seeds: Sequence[int],
    strengths: Sequence[float],
    regularizer: Regularizer | None = None,
) -> list[Training]:
    """Trains M models in place, each as `benchmark.training.train` would with its own seed and λ.

    A model that diverges is reported so and goes on as NaN beside the others, which it does not
    touch.

    Args:
        models: of one architecture without BatchNorm or Dropout, on the split's device.
        split: the training images.
        seeds, strengths: [M]; every λ > 0, or no regularizer.
    Returns:
        One Training for each, whose seconds are its share of the whole.
    """
    M, base, device = len(models), models[0], split.images.device
    dtype = next(base.parameters()).dtype
    parameters, buffers = stack_module_state(list(models))
    optimizer = torch.optim.SGD(
        parameters.values(),
        lr=phase.learning_rate,
        momentum=phase.recipe.momentum,
        weight_decay=phase.recipe.weight_decay,
    )
    orders = [
        batches(len(split.labels), phase.recipe.batch_size, seeded(seed, f"{phase.name} order"))
        for seed in seeds
    ]
    augmentations = [seeded(seed, f"{phase.name} augmentation") for seed in seeds]
    generators = [seeded(seed, f"{phase.name} noise", device) for seed in seeds]
    draws: list[tuple[Any, tuple[int, ...]]] = []
    state: dict[str, Tensor] = {}
    progress = 0.0

    def objective(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        weight: Tensor,
        noise: list[Tensor],
        state: dict[str, Tensor],
    ) -> tuple[Tensor, Any]:
        def model(images: Tensor) -> Tensor:
            return functional_call(base, (parameters, buffers), (images,))

        step = _Supplied(
            model,
            x,
            y,
            parameters=parameters,
            strength=weight,
            progress=progress,
            state=dict(state),
            generator=iter(noise),
        )
        penalty, step = _penalised(regularizer, step)
        loss = step.losses.mean()
        correct = (step.logits.argmax(1) == y).double().mean()
        return loss + weight * penalty, (
            torch.stack([loss.double(), penalty.double(), correct]),
            dict(step.state),
        )

    base.train()
    epochs: list[list[Epoch]] = [[] for _ in range(M)]
    ended: dict[int, int] = {}  # model → the iteration at which it was seen to have diverged
    totals = torch.zeros(M, 3, dtype=torch.float64, device=device)
    start, iteration = time.perf_counter(), 0
    for iteration in range(1, phase.iterations + 1):
        rate = phase.rate(iteration - 1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        progress = (iteration - 1) / max(phase.iterations - 1, 1)
        x, y = _batch(
            split,
            [next(order) for order in orders],
            augmentations if phase.recipe.augment != "none" else None,
        )
        x = x.to(dtype)
        weights = torch.tensor(
            [phase.strength(iteration - 1, strength) for strength in strengths],
            dtype=dtype,
            device=device,
        )
        if (
            iteration <= 2
        ):  # a warm start draws in its first step only; from the second on all are alike
            first = {name: value[0] for name, value in state.items()}
            draws = _draws(regularizer, base, x[0], y[0], float(weights[0]), first)
        noise = [
            torch.stack([kind(shape, generator=g, dtype=dtype, device=device) for g in generators])
            for kind, shape in draws
        ]
        leaves = {name: value.detach() for name, value in parameters.items()}
        gradients, (means, state) = vmap(grad(objective, has_aux=True))(
            leaves, buffers, x, y, weights, noise, state
        )
        state = {name: value.detach() for name, value in state.items()}
        for name, gradient in gradients.items():
            parameters[name].grad = gradient
        optimizer.step()
        totals += means.detach()
        if iteration % phase.per_epoch == 0 or iteration == phase.iterations:
            _after_epoch(regularizer, base, parameters, strengths)
            passed = iteration % phase.per_epoch or phase.per_epoch
            for m, mean in enumerate((totals / passed).tolist()):
                if m in ended:
                    continue
                epochs[m].append(
                    Epoch(
                        phase=phase.name,
                        epoch=len(epochs[m]),
                        loss=mean[0],
                        penalty=mean[1],
                        accuracy=mean[2],
                        learning_rate=rate,
                    )
                )
                if not all(map(math.isfinite, mean[:2])):
                    ended[m] = iteration
            totals.zero_()
            if len(ended) == M:
                break
    seconds = (time.perf_counter() - start) / M
    results = []
    for m, model in enumerate(models):
        _put(model, parameters, m)
        model.eval()
        diverged = m in ended or not all(bool(p.isfinite().all()) for p in model.parameters())
        results.append(
            Training(
                "diverged" if diverged else "finished",
                ended.get(m, iteration),
                seconds,
                epochs[m],
                {name: value[m] for name, value in state.items()},
            )
        )
    return results


def _penalised(regularizer: Regularizer | None, step: Step) -> tuple[Tensor, Step]:
    """The mean penalty, and the step at the images to train on."""
    if regularizer is None:
        return step.x.new_zeros(()), step
    images = regularizer.training_input(step)
    if images is not step.x:
        step = step.at(images)
    return regularizer.penalty(step).mean(), step


def _batch(
    split: Split, index: list[Tensor], augmentations: list[torch.Generator] | None
) -> tuple[Tensor, Tensor]:
    """[M, B, C, H, W] and [M, B]."""
    flat = torch.cat(index).to(split.images.device)
    x = split.pixels(flat).unflatten(0, (len(index), -1))
    if augmentations is not None:
        x = torch.stack(
            [crop_and_flip(images, generator) for images, generator in zip(x, augmentations)]
        )
    return x, split.labels[flat].unflatten(0, (len(index), -1))


def _draws(
    regularizer: Regularizer | None,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    weight: float,
    state: dict[str, Tensor],
) -> list[tuple[Any, tuple[int, ...]]]:
    """What one step of a model draws, in order."""
    record: list[tuple[Any, tuple[int, ...]]] = []
    if regularizer is not None:
        _penalised(
            regularizer,
            _Recording(model, x, y, strength=weight, state=dict(state), generator=record),
        )
    return record


def _put(model: nn.Module, parameters: dict[str, Tensor], m: int) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(parameters[name][m])


def _after_epoch(
    regularizer: Regularizer | None,
    base: nn.Module,
    parameters: dict[str, Tensor],
    strengths: Sequence[float],
) -> None:
    if regularizer is None or type(regularizer).after_epoch is Regularizer.after_epoch:
        return
    for m, strength in enumerate(strengths):
        _put(base, parameters, m)
        regularizer.after_epoch(base, strength)
        with torch.no_grad():
            for name, parameter in base.named_parameters():
                parameters[name][m].copy_(parameter)


def groups(keys: Sequence[Any], size: int) -> Iterator[list[int]]:
    """Positions of equal keys, at most `size` at once, in order of first appearance."""
    found: dict[Any, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    for positions in found.values():
        for at in range(0, len(positions), size):
            yield positions[at : at + size]
