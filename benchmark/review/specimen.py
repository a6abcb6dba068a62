"""A regularizer under examination, and the small net, the batch and the step on which it is
examined.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from registry.read import with_options
from registry.spec import Card, InputError

from ..regularizer import Noise, Regularizer, Step, load_regularizer, objective

B = 7  # no other size in these demands is 7
SIDE, CLASSES = 8, 4


@dataclass(frozen=True)
class Subject:
    """A regularizer as its card has it, or with params of its own."""

    card: Card
    folder: Path
    params: dict[str, Any] = field(default_factory=dict)

    def load(self) -> Regularizer:
        return load_regularizer(self.folder, self.params)

    @property
    def is_control(self) -> bool:
        return self.card.is_control

    @property
    def strength(self) -> float:
        return self.card.grid[len(self.card.grid) // 2]

    @cached_property
    def id(self) -> str:
        return with_options(self.card.name, self.params)


def variants(card: Card, folder: Path) -> list[Subject]:
    """The method as its card has it, and with every single option that the card offers."""
    found = [Subject(card, folder)]
    for name, param in card.params.items():
        values = (
            {"bool": (True, False)}.get(param.type)
            or param.choices
            or ((param.min,) if param.default is None else ())
        )
        for value in values:
            if value == param.default:
                continue
            subject = Subject(
                card, folder, {name: 0.5 if value == 0 and param.type == "float" else value}
            )
            try:
                subject.load()
            except InputError:  # an option that needs another one beside it
                beside = {
                    other: p.min
                    for other, p in card.params.items()
                    if p.default is None and other != name
                }
                subject = Subject(card, folder, subject.params | beside)
            found.append(subject)
    return found


class Plain(nn.Module):
    """One convolution and two linear layers without BatchNorm: small enough to be trained and
    stacked.
    """

    def __init__(self, activation: type[nn.Module]):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2),
            activation(),
            nn.Flatten(),
            nn.Linear(36, 8),
            activation(),
            nn.Linear(8, CLASSES),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def plain(subject: Subject, seed: int = 0, dtype: torch.dtype = torch.float64) -> Plain:
    """A small network without BatchNorm, of an activation that the method can bear."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Plain(nn.SiLU if subject.card.smooth_activation else nn.ReLU).to(dtype)


def batch(
    size: int = B, classes: int = CLASSES, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Images [size, 1, SIDE, SIDE] in [0, 1], always the same, and labels [size]."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand((size, 1, SIDE, SIDE), generator=generator, dtype=dtype), torch.arange(
        size
    ) % classes


def step_of(subject: Subject, model: Any, x: Tensor, y: Tensor, **options: Any) -> Step:
    """A step at λ from the middle of the method's grid, with noise of its own."""
    noise = Noise(torch.Generator(x.device).manual_seed(11))
    return Step(model, x, y, **({"strength": subject.strength, "noise": noise} | options))


class Reordered(Step):
    """A step whose examples come in another order, each with the noise that it had in the first."""

    order = torch.tensor([5, 4, 2, 6, 0, 3, 1])

    def _reordered(self, noise: Tensor) -> Tensor:
        for dim, size in enumerate(noise.shape):
            if size == B:
                noise = noise.index_select(dim, self.order)
        return noise

    def randn(self, shape: tuple[int, ...]) -> Tensor:
        return self._reordered(super().randn(shape))

    def rand(self, shape: tuple[int, ...]) -> Tensor:
        return self._reordered(super().rand(shape))


def losses_and_penalty(regularizer: Regularizer, step: Step) -> tuple[Tensor, Tensor]:
    """Losses and penalty as the trainer takes them."""
    found = objective(regularizer, step, step.strength)
    return found.losses, found.penalties


def gradients(total: Tensor, model: nn.Module) -> tuple[Tensor, ...]:
    """Of `total` by every parameter; zeros where it depends on none."""
    return torch.autograd.grad(
        total, list(model.parameters()), allow_unused=True, materialize_grads=True
    )
