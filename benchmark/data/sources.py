"""Where images come from: the user's own folder, what an installed package brings, or the Hugging
Face hub.

A source decodes to uint8 arrays once; `splits` keeps them in a cache.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from registry.spec import Dataset, InputError

from .files import (
    Arrays,
    check_columns,
    check_labels,
    decode,
    first_line,
    idx_file,
    read_idx,
    read_parquet,
    shards,
)

HUB_TIMEOUT = 10.0  # seconds for the one request that tells whether the hub can be reached
LAYOUT = 1  # part of every fingerprint: raise it when decoding or the cache's files change


@dataclass(frozen=True)
class Source:
    """Decoded only when `read` is called, with "train" or "test"; `fingerprint` changes when what
    it reads does.
    """

    title: str
    fingerprint: str
    read: Callable[[str], Arrays]


def find(dataset: Dataset) -> Source:
    """The first source that answers: `$REGBENCH_DATA/<name>/`, a package's data, the hub (asked
    only when read).

    Raises:
        InputError: where the user's folder is incomplete, or where no source is left.
    """
    refusals = []
    for look in (_own_folder, _packaged):
        found = look(dataset)
        if isinstance(found, Source):
            return found
        refusals.append(found)
    if dataset.hub is None:
        raise _nothing(dataset, refusals)
    return _hub(dataset, refusals)


def _nothing(dataset: Dataset, refusals: Iterable[str]) -> InputError:
    return InputError(
        f"dataset {dataset.name}: no source answers ({'; '.join(refusals)}); put train-*.parquet "
        f"and {dataset.test_split}-*.parquet, or the IDX files train-*-ubyte and t10k-*-ubyte, "
        f"into a folder {dataset.name}/ and set REGBENCH_DATA to the folder that holds it"
    )


def _fingerprint(dataset: Dataset, *parts: object) -> str:
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
    paths = [path.resolve() for path in itertools.chain(*files.values())]
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return Source(title, _fingerprint(dataset, *stamps), read)


# --- the user's folder ---


def _own_folder(dataset: Dataset) -> Source | str:
    root = os.environ.get("REGBENCH_DATA")
    if not root:
        return "REGBENCH_DATA is not set"
    folder = Path(root).expanduser() / dataset.name
    if not folder.is_dir():
        return f"{folder} is no folder"
    laid_out_as_the_hub = [folder / name for name in (dataset.config, "data") if name]
    for place in (folder, *laid_out_as_the_hub):
        if sorted(place.glob("train-*.parquet")):
            return _parquet(dataset, place)
    if idx_file(folder, "train-images-idx3-ubyte"):
        return _idx(dataset, folder)
    raise InputError(
        f"{folder}: neither train-*.parquet nor train-images-idx3-ubyte[.gz] is in it; "
        "add them, or remove the folder"
    )


def _packaged(dataset: Dataset) -> Source | str:
    if dataset.packaged is None:
        return "no package brings it"
    if dataset.packaged.startswith("sklearn:"):
        return _sklearn(dataset, dataset.packaged.removeprefix("sklearn:"))
    folder = Path(dataset.packaged)
    return _idx(dataset, folder) if folder.is_dir() else f"{folder} is not installed"


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


# --- scikit-learn ---


def _sklearn(dataset: Dataset, function: str) -> Source | str:
    """A loader of `sklearn.datasets` that returns greyscale `images` and `target`; the split is a
    fixed permutation.
    """
    try:
        # Without importing it, which takes a second.
        version = importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError:
        return "scikit-learn is not installed"

    def read(split: str) -> Arrays:
        bunch = getattr(importlib.import_module("sklearn.datasets"), function)()
        if (total := dataset.train_size + dataset.test_size) != len(bunch.images):
            raise InputError(
                f"dataset {dataset.name}: train_size + test_size is {total}, but "
                f"{dataset.packaged} brings {len(bunch.images)} images; correct the dataset's TOML"
            )
        order = fixed_order(len(bunch.images))
        chosen = order[: dataset.train_size] if split == "train" else order[dataset.train_size :]
        images = bunch.images[chosen].astype(np.uint8)[:, None]
        return images, check_labels(bunch.target[chosen], dataset, str(dataset.packaged))

    title = f"scikit-learn {version}'s {function}"
    return Source(title, _fingerprint(dataset, title, dataset.train_size, dataset.test_size), read)


def fixed_order(n: int) -> np.ndarray:
    """The same permutation of 0..n−1 on every machine: NumPy freezes the stream of RandomState, not
    of Generator.
    """
    return np.random.RandomState(20170512).permutation(n)


# --- the Hugging Face hub ---


def _hub(dataset: Dataset, refusals: list[str]) -> Source:
    title = f"{dataset.hub}@{dataset.revision}"

    def read(split: str) -> Arrays:
        table = _hub_split(dataset, refusals, dataset.test_split if split == "test" else split)
        where = f"{title}, split {split}"
        check_columns([dataset.image_column, dataset.label_column], table.column_names, where)
        return decode(dataset, where, table.with_format("arrow").iter(batch_size=512))

    return Source(title, _fingerprint(dataset, title, dataset.config, dataset.test_split), read)


def _hub_split(dataset: Dataset, refusals: list[str], split: str) -> Any:
    # Its client's errors have no common base class, nor the same ones over its versions: hence
    # `except Exception`.
    from huggingface_hub import HfApi, constants

    assert dataset.hub is not None
    assert dataset.revision is not None
    title, offline = f"{dataset.hub}@{dataset.revision}", constants.HF_HUB_OFFLINE
    # load_dataset retries for half a minute where nothing answers, so ask once before.
    if not offline:
        try:
            HfApi().dataset_info(dataset.hub, revision=dataset.revision, timeout=HUB_TIMEOUT)
        except Exception as error:
            raise _nothing(dataset, [*refusals, f"hub {title}: {first_line(error)}"]) from error
    import datasets

    try:
        table = datasets.load_dataset(
            dataset.hub, dataset.config, revision=dataset.revision, split=split
        )
    except Exception as error:
        title += ", HF_HUB_OFFLINE is set" if offline else ""
        raise _nothing(dataset, [*refusals, f"hub {title}: {first_line(error)}"]) from error
    # Offline it takes any revision that it finds in its own cache, whose folders are named by
    # revision.
    if offline and any(dataset.revision not in file["filename"] for file in table.cache_files):
        raise _nothing(
            dataset, [*refusals, f"hub {title}, HF_HUB_OFFLINE is set: not in its cache"]
        )
    return table
