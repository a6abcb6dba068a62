"""The stacked engine: trials that share data, network, method and recipe train as one model with
parameters [M, …].

Each of the M models keeps its own seed, data order, λ, chance and state, so that it ends with the
parameters that `benchmark.training.train` would give it. It pays where a single model's step leaves
the device idle: small nets on a GPU. On a CPU it does not, and is not used there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from ..data.splits import Split
from ..regularizer import Noise, Regularizer, Step, objective
from .batches import seeded, stacked_batches
from .loop import Training, all_finite, set_rate, sgd
from .meter import EpochMeter
from .phase import Phase

Tensors = dict[str, Tensor]  # name → tensor; of all models [M, …]
Draw = tuple[Callable[..., Tensor], tuple[int, ...]]  # torch.randn or torch.rand, and the shape


class _Recorded(Noise):
    """Notes what a regularizer draws."""

    def __init__(self) -> None:
        super().__init__()
        self.draws: list[Draw] = []

    def randn(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        self.draws.append((torch.randn, tuple(shape)))
        return like.new_full(shape, 0.5)

    def rand(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        self.draws.append((torch.rand, tuple(shape)))
        return like.new_full(shape, 0.5)


class _Supplied(Noise):
    """Hands out what was drawn beforehand: inside a mapped step nothing can be drawn from M
    generators.
    """

    def __init__(self, drawn: Iterator[Tensor]):
        super().__init__()
        self._drawn = drawn

    def randn(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return next(self._drawn)

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
    base, device = models[0], split.images.device
    like = next(base.parameters())
    parameters, buffers = stack_module_state(list(models))
    optimizer = sgd(parameters.values(), phase)
    generators = [seeded(seed, f"{phase.name} noise", device) for seed in seeds]
    draws: list[Draw] = []
    state: Tensors = {}
    meter = EpochMeter(phase, device, len(models))
    base.train()
    start, done = time.perf_counter(), 0
    for done, (x, y) in zip(range(1, phase.iterations + 1), stacked_batches(split, phase, seeds)):
        set_rate(optimizer, phase.rate(done - 1))
        x = x.to(like.dtype)
        weights = like.new_tensor([phase.strength(done - 1, strength) for strength in strengths])
        if done <= 2:  # a warm start draws in its first step only; from the second on all are alike
            first = {name: value[0] for name, value in state.items()}
            draws = _draws(regularizer, base, x[0], y[0], float(weights[0]), first)
        noise = [_drawn(draw, generators, like) for draw in draws]
        one_model = _one_model(base, regularizer, phase.progress(done - 1))
        leaves = {name: value.detach() for name, value in parameters.items()}
        gradients, (summaries, state) = vmap(grad(one_model, has_aux=True))(
            leaves, buffers, x, y, weights, noise, state
        )
        state = {name: value.detach() for name, value in state.items()}
        for name, gradient in gradients.items():
            parameters[name].grad = gradient
        optimizer.step()
        meter.add(summaries)
        if phase.ends_epoch(done):
            _after_epoch(regularizer, base, parameters, strengths)
            meter.close(done)
            if meter.all_diverged:
                break
    seconds = (time.perf_counter() - start) / len(models)
    results = []
    for m, model in enumerate(models):
        _put(model, parameters, m)
        model.eval()
        finite = m not in meter.ended and all_finite(model.parameters())
        iterations = meter.ended.get(m, done)
        results.append(
            Training(
                "finished" if finite else "diverged",
                iterations,
                seconds,
                meter.epochs[m],
                {name: value[m] for name, value in state.items()},
            )
        )
    return results


def _one_model(
    base: nn.Module, regularizer: Regularizer | None, progress: float
) -> Callable[..., tuple[Tensor, tuple[Tensor, Tensors]]]:
    """One model's step as a pure function of its parameters, to be differentiated and mapped.

    It gives the objective, and beside it the summary and the state that the step left.
    """

    def total(
        parameters: Tensors,
        buffers: Tensors,
        x: Tensor,
        y: Tensor,
        weight: Tensor,
        noise: list[Tensor],
        state: Tensors,
    ) -> tuple[Tensor, tuple[Tensor, Tensors]]:
        def model(images: Tensor) -> Tensor:
            return functional_call(base, (parameters, buffers), (images,))

        left = dict(state)
        step = Step(
            model,
            x,
            y,
            parameters=parameters,
            strength=weight,
            progress=progress,
            noise=_Supplied(iter(noise)),
            state=left,
        )
        found = objective(regularizer, step, weight)
        return found.total, (found.summary(y), left)

    return total


def _draws(
    regularizer: Regularizer | None,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    weight: float,
    state: Tensors,
) -> list[Draw]:
    """What one step of a model draws, in order."""
    noise = _Recorded()
    if regularizer is not None:
        step = Step(model, x, y, strength=weight, noise=noise, state=dict(state))
        objective(regularizer, step, weight)
    return noise.draws


def _drawn(draw: Draw, generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
    """[M, …]: each model's numbers from its own generator."""
    kind, shape = draw
    options: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    return torch.stack([kind(shape, generator=generator, **options) for generator in generators])


def _put(model: nn.Module, parameters: Tensors, m: int) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(parameters[name][m])


def _after_epoch(
    regularizer: Regularizer | None,
    base: nn.Module,
    parameters: Tensors,
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
