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


def batches(images: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index tensors without end: full batches of a fresh permutation for every pass."""
    size = min(batch_size, images)
    while True:
        order = torch.randperm(images, generator=generator)
        yield from order[: images - images % size].split(size)


def training_batches(split: Split, phase: Phase, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The images [B, C, H, W] and labels [B] of one step after another, without end."""
    recipe, device = phase.recipe, split.images.device
    augmentation = seeded(seed, f"{phase.name} augmentation")
    order = batches(len(split), recipe.batch_size, seeded(seed, f"{phase.name} order"))
    for index in order:
        x, y = split.pixels(index), split.labels[index.to(device)]
        yield crop_and_flip(x, augmentation) if recipe.augment == "crop_flip" else x, y


def stacked_batches(
    split: Split, phase: Phase, seeds: Sequence[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """What `training_batches` gives for each of M seeds: [M, B, C, H, W] and [M, B].

    The images of all are fetched at once.
    """
    recipe, device = phase.recipe, split.images.device
    augmentations = [seeded(seed, f"{phase.name} augmentation") for seed in seeds]
    generators = [seeded(seed, f"{phase.name} order") for seed in seeds]
    orders = [batches(len(split), recipe.batch_size, generator) for generator in generators]
    for indices in zip(*orders):
        index = torch.cat(indices).to(device)
        x = split.pixels(index).unflatten(0, (len(seeds), -1))
        y = split.labels[index].unflatten(0, (len(seeds), -1))
        if recipe.augment == "crop_flip":
            x = torch.stack([crop_and_flip(*each) for each in zip(x, augmentations)])
        yield x, y


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
