"""Images as tensors in one fixed order: train, validation, test.

Sources are decoded once to uint8 arrays in `<home>/cache/`, memory-mapped by every later load and
shared by all processes of a machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from registry.spec import Dataset, InputError

from .sources import Source, find, fixed_order

VALIDATION_SHARE = 20  # one training image in so many is kept for validation


@dataclass(frozen=True)
class Split:
    """Images as stored, uint8 [N, C, H, W] where `white` means 1.0; labels int64 [N], 0 to K−1."""

    images: Tensor
    labels: Tensor
    white: int

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, index: Tensor | slice | None = None) -> Tensor:
        """float32 [n, C, H, W] in [0, 1]: the images at `index`, or all of them."""
        images = self.images if index is None else self.images[index]
        return images.to(torch.float32) / self.white


@dataclass(frozen=True)
class Data:
    """`sha256` is that of all decoded training and test images and labels, before any subset: kept
    as provenance.
    """

    train: Split
    validation: Split
    test: Split
    sha256: str


def load(
    dataset: Dataset,
    home: Path,
    *,
    train_size: int | None = None,
    device: torch.device | str = "cpu",
) -> Data:
    """A dataset's images on a device, always in the same order.

    Training and test images are permuted once and for all, then reduced to `dataset.subset`, whose
    labels become 0..K−1 in the order given. The first 5 % of the training images (at least one) are
    the validation split, the rest are the training split, of which `train_size` keeps the first so
    many. "The first n test images" are thus a fixed random sample. The user's own folder may hold
    fewer images than the spec says; `sha256` tells them apart.

    On the CPU the tensors are memory-mapped: writing into them changes nothing on disk.

    Raises:
        InputError: no source answers, a file cannot be used, the cache cannot be written, or fewer
            images are left than asked for.
    """
    arrays, sha256 = _cached(dataset, home / "cache")
    (images, labels), test = _subset(dataset, arrays["train"]), _subset(dataset, arrays["test"])
    held_out = max(1, len(labels) // VALIDATION_SHARE)
    available = len(labels) - held_out
    if available < 1 or len(test[1]) < 1:
        raise InputError(
            f"dataset {dataset.id}: {len(labels)} training and {len(test[1])} test images are too "
            "few; 2 and 1 are the least"
        )
    if train_size is not None and not 1 <= train_size <= available:
        raise InputError(
            f"train_size: {train_size} is not possible with dataset {dataset.id}, which has "
            f"{available} training images beside its {held_out} for validation; give 1 to "
            f"{available}"
        )
    end = held_out + (available if train_size is None else train_size)

    def split(images: np.ndarray, labels: np.ndarray) -> Split:
        return Split(
            torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device), dataset.white
        )

    return Data(
        train=split(images[held_out:end], labels[held_out:end]),
        validation=split(images[:held_out], labels[:held_out]),
        test=split(*test),
        sha256=sha256,
    )


def _subset(
    dataset: Dataset, arrays: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = arrays
    if dataset.subset is None:
        return images, labels
    known, chosen = len(dataset.classes), set(dataset.subset)
    differ = len(chosen) == len(dataset.subset) >= 2
    if not differ or not chosen <= set(range(known)):
        raise InputError(
            f"dataset {dataset.id}: a subset needs two or more different labels in 0 to {known - 1}"
        )
    position = np.full(known, -1)
    position[list(dataset.subset)] = np.arange(len(dataset.subset))
    kept = np.flatnonzero(position[labels] >= 0)
    return images[kept], position[labels[kept]]


# --- the cache ---


def _cached(dataset: Dataset, cache: Path) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], str]:
    source = find(dataset)
    folder = cache / f"{dataset.name}-{source.fingerprint}"
    if not folder.is_dir():
        try:
            _write(dataset, source, folder)
        except OSError as error:
            raise InputError(
                f"{cache}: cannot be written: {error.strerror or error}; let REGBENCH_HOME be a "
                "folder that can"
            ) from error
    try:
        # Mapped copy-on-write: torch wants memory that it may write to, and the file must never
        # change.
        arrays = {}
        for split in ("train", "test"):
            images = np.load(folder / f"{split}_images.npy", mmap_mode="c")
            arrays[split] = images, np.load(folder / f"{split}_labels.npy")
        return arrays, json.loads((folder / "source.json").read_text())["sha256"]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"{folder}: this cache of {dataset.name} is damaged ({error}); delete the folder"
        ) from error


def _write(dataset: Dataset, source: Source, folder: Path) -> None:
    """Decodes into a temporary folder beside `folder`, then renames: a killed writer leaves nothing
    under its name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as temporary:
        arrays = Path(temporary) / "arrays"
        arrays.mkdir()
        digest = hashlib.sha256()
        for split in ("train", "test"):
            images, labels = source.read(split)
            if not len(labels):
                raise InputError(
                    f"{source.title}: the {split} split is empty; give at least one image"
                )
            if images.max() > dataset.white:
                raise InputError(
                    f"{source.title}: a {split} pixel is {images.max()}, but {dataset.name} stores "
                    f"white as {dataset.white}; give images of that range"
                )
            digest.update(f"{split} {images.shape}".encode())
            digest.update(np.ascontiguousarray(images).data)
            digest.update(np.ascontiguousarray(labels, "<i8").data)
            order = fixed_order(len(labels))
            mapped = np.lib.format.open_memmap(
                arrays / f"{split}_images.npy", "w+", np.uint8, images.shape
            )
            np.take(images, order, axis=0, out=mapped)
            mapped.flush()
            np.save(arrays / f"{split}_labels.npy", labels[order])
        (arrays / "source.json").write_text(
            json.dumps({"source": source.title, "sha256": digest.hexdigest()})
        )
        try:
            os.rename(arrays, folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster: its arrays are the same
                raise
