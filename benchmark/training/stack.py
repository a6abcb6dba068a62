"""M models as one: what they share, what each has of its own, and one step of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from ..data.splits import Split
from ..regularizer import Noise, Regularizer, Step, objective
from .batches import StackedBatches, seeded
from .loop import sgd
from .meter import EpochMeter
from .networks import couples_examples
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


class Stack:
    """M models in training.

    What a step needs of its pass lies in tables on the device, with the number of the next step
    beside them, so that a device can go from step to step without being told anything.

    Attributes:
        generators: each model's own, on the device.
        draws: what a step of one model draws, in order.
        state: what the method keeps from step to step, [M, …].
        taken: steps that have been taken or captured.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        split: Split,
        phase: Phase,
        seeds: Sequence[int],
        strengths: Sequence[float],
        regularizer: Regularizer | None,
    ):
        device = split.images.device
        self._base, self._phase, self._regularizer = models[0].train(), phase, regularizer
        self._strengths = strengths
        # BatchNorm's running statistics are among the buffers: a step changes them in place.
        self._parameters, self._buffers = stack_module_state(list(models))
        self._like = like = next(iter(self._parameters.values())).detach()
        self._batches = StackedBatches(split, phase, seeds)
        # A rate that lies on the device can be changed without stopping it; there it is read as
        # float32.
        precision = torch.float64 if device.type == "cpu" else torch.float32
        self._rate = torch.tensor(phase.learning_rate, dtype=precision, device=device)
        self._optimizer = sgd(self._parameters.values(), phase, rate=self._rate)
        self.generators = [seeded(seed, f"{phase.name} noise", device) for seed in seeds]
        self.draws: list[Draw] = []
        self.state: Tensors = {}
        self.meter = EpochMeter(phase, device, len(models))
        self.taken = 0
        self._next = torch.zeros(1, dtype=torch.int64, device=device)
        steps = min(phase.per_epoch, phase.iterations)
        self._index: Tensor | None = None  # [steps, M, B]
        self._rates = self._rate.new_zeros(steps)
        self._weights = like.new_zeros(steps, len(models))
        self._progress = like.new_zeros(steps)
        self._first = 0  # iteration of the pass's first step

    @property
    def host_draws(self) -> bool:
        """Whether a step takes numbers that are drawn on the host."""
        return self._batches.augmented

    def begin_pass(self, done: int) -> int:
        """Lays out the pass that follows `done` steps; returns how many steps it has."""
        phase, index = self._phase, self._batches.next_pass()
        steps = min(len(self._rates), phase.iterations - done)
        iterations = range(done, done + steps)
        if self._index is None:
            self._index = index
        self._index.copy_(index)
        ramp = torch.tensor([phase.strength(i, 1.0) for i in iterations], dtype=torch.float64)
        strengths = torch.tensor(self._strengths, dtype=torch.float64)
        self._weights[:steps] = (ramp[:, None] * strengths).to(self._weights)
        self._rates[:steps] = self._rates.new_tensor([phase.rate(i) for i in iterations])
        self._progress[:steps] = self._progress.new_tensor([phase.progress(i) for i in iterations])
        self._next.zero_()
        self._first = done
        return steps

    def step(self, at: int | None = None) -> None:
        """One step of every model: the next of the pass.

        Args:
            at: its number in the pass, from 0, where the host takes it; None where the device must
                be told nothing, as it takes the step later.
        """
        x, y, weights, progress = self._inputs()
        if at is not None:
            progress = self._phase.progress(self._first + at)
            if self.taken <= 1:  # a warm start draws in its first step only
                self._look(x[0], y[0], float(weights[0]))
        noise = [_drawn(draw, self.generators, self._like) for draw in self.draws]
        gradients, summaries, state = self._differentiated(x, y, weights, progress, noise)
        for name, value in state.items():
            if name in self.state:
                self.state[name].copy_(value)
            else:
                self.state[name] = value.clone()
        for name, gradient in gradients.items():
            parameter = self._parameters[name]
            # The optimizer's one pass wants both laid out alike.
            alike = gradient.stride() == parameter.stride()
            parameter.grad = gradient if alike else torch.empty_like(parameter).copy_(gradient)
        self._rate.copy_(self._rates.index_select(0, self._next)[0])
        self._optimizer.step()
        self.meter.add(summaries)
        self._next += 1
        self.taken += 1

    def rehearse(self) -> None:
        """The derivatives of the next step, as the device would compute them by itself; nothing is
        drawn and nothing changes.
        """
        x, y, weights, progress = self._inputs()
        models = len(self.generators)
        noise = [self._like.new_full((models, *shape), 0.5) for _, shape in self.draws]
        kept = {name: value.clone() for name, value in self._buffers.items()}
        self._differentiated(x, y, weights, progress, noise)
        for name, value in kept.items():
            self._buffers[name].copy_(value)

    def _inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor | float]:
        assert self._index is not None
        index, weights, progress = (
            table.index_select(0, self._next)[0]
            for table in (self._index, self._weights, self._progress)
        )
        x, y = self._batches.fetch(index)
        return x.to(self._like.dtype), y, weights, progress

    def _differentiated(
        self, x: Tensor, y: Tensor, weights: Tensor, progress: Tensor | float, noise: list[Tensor]
    ) -> tuple[Tensors, Tensor, Tensors]:
        """The gradients, the summaries and the states of all models."""
        one_model = _one_model(self._base, self._regularizer, progress)
        leaves = {name: value.detach() for name, value in self._parameters.items()}
        gradients, (summaries, state) = vmap(grad(one_model, has_aux=True))(
            leaves, self._buffers, x, y, weights, noise, self.state
        )
        return gradients, summaries, {name: value.detach() for name, value in state.items()}

    def _look(self, x: Tensor, y: Tensor, weight: float) -> None:
        """Notes what one step of a model draws."""
        noise, method = _Recorded(), self._regularizer
        if method is not None:
            if couples_examples(self._base):
                self._base.eval()
            first = {name: value[0] for name, value in self.state.items()}
            step = Step(self._base, x, y, strength=weight, noise=noise, state=first)
            objective(method, step, weight)
        self.draws = noise.draws

    def put(self, model: nn.Module, m: int) -> None:
        """Gives a network the parameters and buffers of model m."""
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self._parameters[name][m])
            for name, buffer in model.named_buffers():
                buffer.copy_(self._buffers[name][m])

    def after_epoch(self) -> None:
        """Lets the method do to each model what it does after an epoch."""
        method = self._regularizer
        if method is None or type(method).after_epoch is Regularizer.after_epoch:
            return
        for m, strength in enumerate(self._strengths):
            self.put(self._base, m)
            method.after_epoch(self._base, strength)
            with torch.no_grad():
                for name, parameter in self._base.named_parameters():
                    self._parameters[name][m].copy_(parameter)


def _one_model(
    base: nn.Module, regularizer: Regularizer | None, progress: Tensor | float
) -> Callable[..., tuple[Tensor, tuple[Tensor, Tensors]]]:
    """One model's step as a pure function of its parameters, to be differentiated and mapped.

    It gives the objective, and beside it the summary and the state that the step left.
    """

    separate = regularizer is not None and couples_examples(base)

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

        def in_training_mode(images: Tensor) -> Tensor:
            base.train()
            return model(images)

        base.train(not separate)
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
        plain = in_training_mode if separate or regularizer is None else None
        found = objective(regularizer, step, weight, plain)
        return found.total, (found.summary(y), left)

    return total


def _drawn(draw: Draw, generators: Sequence[torch.Generator], like: Tensor) -> Tensor:
    """[M, …]: each model's numbers from its own generator."""
    kind, shape = draw
    options: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    return torch.stack([kind(shape, generator=generator, **options) for generator in generators])
