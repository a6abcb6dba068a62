"""Where images come from: the user's own folder, what an installed package brings, or the Hugging
Face hub.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from registry.spec import Dataset, InputError

from .files import Arrays, check_columns, check_labels, decode, first_line
from .folders import Source, fingerprint, laid_out

HUB_TIMEOUT = 10.0  # seconds for the one request that tells whether the hub can be reached


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
        f"and {dataset.test_split}-*.parquet, IDX files or train/<class>/*.png into a folder "
        f"{dataset.name}/ and set REGBENCH_DATA to the folder that holds it"
    )


# --- the user's folder ---


def _own_folder(dataset: Dataset) -> Source | str:
    root = os.environ.get("REGBENCH_DATA")
    if not root:
        return "REGBENCH_DATA is not set"
    folder = Path(root).expanduser() / dataset.name
    if not folder.is_dir():
        return f"{folder} is no folder"
    found = laid_out(dataset, folder)
    if found is None:
        raise InputError(
            f"{folder}: neither train-*.parquet nor train-images-idx3-ubyte[.gz] is in it, nor "
            "train/ with a folder for each class; add them, or remove the folder"
        )
    return found


def _packaged(dataset: Dataset) -> Source | str:
    if dataset.packaged is None:
        return "no package brings it"
    if dataset.packaged.startswith("sklearn:"):
        return _sklearn(dataset, dataset.packaged.removeprefix("sklearn:"))
    folder = Path(dataset.packaged)
    found = laid_out(dataset, folder) if folder.is_dir() else None
    return found or f"{folder} is not installed"


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
    return Source(title, fingerprint(dataset, title, dataset.train_size, dataset.test_size), read)


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

    return Source(title, fingerprint(dataset, title, dataset.config, dataset.test_split), read)


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
