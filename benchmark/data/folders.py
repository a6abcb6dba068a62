"""A folder of files as a source of images: Parquet as on the hub, IDX, or a folder for each class.

A source decodes to uint8 arrays once; `splits` keeps them in a cache.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from registry.spec import Dataset, InputError

from .files import (
    Arrays,
    check_labels,
    idx_file,
    read_bytes,
    read_idx,
    read_image,
    read_parquet,
    shards,
    stamp,
)

LAYOUT = 1  # part of every fingerprint: raise it when decoding or the cache's files change


@dataclass(frozen=True)
class Source:
    """Decoded only when `read` is called, with "train" or "test"; `fingerprint` changes when what
    it reads does.
    """

    title: str
    fingerprint: str
    read: Callable[[str], Arrays]


def fingerprint(dataset: Dataset, *parts: object) -> str:
    """A digest of what was found and of how its bytes are decoded: the cache's name."""
    # Fields that decide how the same bytes decode are part of it.
    decoding = (
        LAYOUT,
        dataset.shape,
        dataset.white,
        dataset.image_column,
        dataset.label_column,
        len(dataset.classes),
    )
    return hashlib.sha256(repr((decoding, parts)).encode()).hexdigest()[:16]


def _of_files(
    dataset: Dataset, title: str, files: dict[str, list[Path]], read: Callable[[str], Arrays]
) -> Source:
    stamps = [stamp(path) for path in itertools.chain(*files.values())]
    return Source(title, fingerprint(dataset, *stamps), read)


def laid_out(dataset: Dataset, folder: Path) -> Source | None:
    """The folder's images, in whichever of the three forms it has; None where it has none of them.

    Raises InputError where a part of one is missing.
    """
    laid_out_as_the_hub = [folder / name for name in (dataset.config, "data") if name]
    for place in (folder, *laid_out_as_the_hub):
        if sorted(place.glob("train-*.parquet")):
            return _parquet(dataset, place)
    if idx_file(folder, "train-images-idx3-ubyte"):
        return _idx(dataset, folder)
    if (folder / "train").is_dir():
        return _class_folders(dataset, folder)
    return None


# --- Parquet ---


def _parquet(dataset: Dataset, folder: Path) -> Source:
    files = {
        "train": shards(folder, "train"),
        "test": shards(folder, dataset.test_split) or shards(folder, "test"),
    }
    if not files["test"]:
        raise InputError(
            f"{folder}: {dataset.test_split}-*.parquet is missing beside train-*.parquet; add it"
        )

    def read(split: str) -> Arrays:
        parts = [read_parquet(dataset, path) for path in files[split]]
        images = np.concatenate([images for images, _ in parts])
        return images, np.concatenate([labels for _, labels in parts])

    return _of_files(dataset, f"Parquet files in {folder}", files, read)


# --- IDX, the format of MNIST ---


def _idx(dataset: Dataset, folder: Path) -> Source:
    files: dict[str, list[Path]] = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        files[split] = []
        for name in names:
            if (path := idx_file(folder, name)) is None:
                raise InputError(f"{folder}: {name}[.gz] is missing; add it")
            files[split].append(path)

    def read(split: str) -> Arrays:
        images_path, labels_path = files[split]
        images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
        if (1, *images.shape[1:]) != dataset.shape:
            raise InputError(
                f"{images_path}: holds greyscale images of {images.shape[1]}×{images.shape[2]} "
                f"pixels, but {dataset.name} has shape {dataset.shape}; give images of that shape"
            )
        if len(images) != len(labels):
            raise InputError(
                f"{labels_path}: holds {len(labels)} labels for the {len(images)} images of "
                f"{images_path.name}; give the two files of one set"
            )
        return images[:, None], check_labels(labels, dataset, str(labels_path))

    return _of_files(dataset, f"IDX files in {folder}", files, read)


# --- a folder for each class ---


def _class_folders(dataset: Dataset, folder: Path) -> Source:
    """`train/<class>/*.png` and `test/<class>/*.png`; the folders are named as the dataset's
    classes, and files are read in the order of their names.
    """
    files: dict[str, list[Path]] = {}
    for split in ("train", "test"):
        found = sorted(path.name for path in (folder / split).glob("*") if path.is_dir())
        if found != sorted(dataset.classes):
            wrong = [f"lacks {name}" for name in dataset.classes if name not in found]
            wrong += [f"{name} is none of them" for name in found if name not in dataset.classes]
            raise InputError(
                f"{folder / split}: {', '.join(wrong)}; give a folder for each of the "
                f"{len(dataset.classes)} classes of {dataset.name}, named as it"
            )
        places = [folder / split / name for name in dataset.classes]
        for place in places:
            if not any(place.glob("*.png")):
                raise InputError(f"{place}: holds no *.png; add some")
        files[split] = [path for place in places for path in sorted(place.glob("*.png"))]

    def read(split: str) -> Arrays:
        labels = [dataset.classes.index(path.parent.name) for path in files[split]]
        images = np.empty((len(labels), *dataset.shape), np.uint8)
        for i, path in enumerate(files[split]):
            images[i] = read_image(dataset, read_bytes(path), str(path))
        return images, np.asarray(labels, np.int64)

    return _of_files(dataset, f"PNG files in {folder}", files, read)
