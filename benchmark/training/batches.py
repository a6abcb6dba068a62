"""Which images a step sees, in which order and how augmented: the same for every method under one
seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.splits import Split
from .phase import Phase


def seeded(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that one draw more here changes nothing there."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def passes(images: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index tensors [steps, B] without end: the full batches of one fresh permutation after
    another.
    """
    size = min(batch_size, images)
    while True:
        order = torch.randperm(images, generator=generator)
        yield order[: images - images % size].unflatten(0, (-1, size))


def batches(images: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index tensors [B] without end, pass by pass."""
    for steps in passes(images, batch_size, generator):
        yield from steps


def training_batches(split: Split, phase: Phase, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images [B, C, H, W] and labels [B] of one step after another, without end."""
    recipe, device = phase.recipe, split.images.device
    augmentation = seeded(seed, f"{phase.name} augmentation")
    order = batches(len(split), recipe.batch_size, seeded(seed, f"{phase.name} order"))
    for index in order:
        x, y = split.pixels(index), split.labels[index.to(device)]
        yield crop_and_flip(x, augmentation) if recipe.augment == "crop_flip" else x, y


class StackedBatches:
    """What `training_batches` gives for each of M seeds, fetched for all at once."""

    def __init__(self, split: Split, phase: Phase, seeds: Sequence[int]):
        recipe = phase.recipe
        self._split = split
        generators = [seeded(seed, f"{phase.name} order") for seed in seeds]
        self._orders = [passes(len(split), recipe.batch_size, each) for each in generators]
        self._augmentations: list[torch.Generator] = []
        if recipe.augment == "crop_flip":
            self._augmentations = [seeded(seed, f"{phase.name} augmentation") for seed in seeds]

    @property
    def augmented(self) -> bool:
        """Whether a step draws numbers on the host."""
        return bool(self._augmentations)

    def next_pass(self) -> Tensor:
        """[steps, M, B], on the split's device: the images of the next pass."""
        orders = torch.stack([next(order) for order in self._orders], 1)
        return orders.to(self._split.images.device)

    def fetch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Of a step's images [M, B]: [M, B, C, H, W] and their labels [M, B]."""
        x = self._split.pixels(index.flatten()).unflatten(0, index.shape)
        if self._augmentations:
            x = torch.stack([crop_and_flip(*each) for each in zip(x, self._augmentations)])
        return x, self._split.labels[index]


def crop_and_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each image [B, C, H, W] padded by 4, cropped back at random, and mirrored in half of the
    cases.
    """
    B, _, H, W = x.shape
    top, left = torch.randint(9, (2, B), generator=generator)
    flip = torch.rand(B, generator=generator) < 0.5
    columns = torch.arange(W).expand(B, W)
    columns = left[:, None] + torch.where(flip[:, None], columns.flip(1), columns)
    rows = top[:, None] + torch.arange(H)
    padded = F.pad(x, (4, 4, 4, 4)).permute(0, 2, 3, 1)
    index = (torch.arange(B)[:, None, None], rows[:, :, None], columns[:, None, :])
    return padded[tuple(i.to(x.device) for i in index)].permute(0, 3, 1, 2).contiguous()
