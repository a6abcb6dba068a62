"""Datasets in the forms in which they come: Parquet in the hub's layout, and IDX."""

import gzip
import io
import struct
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

import registry
from registry.spec import Dataset

ROOT = Path(registry.__file__).parents[1]


def spec(name: str, **changes) -> Dataset:
    return Dataset(
        **tomllib.loads((ROOT / "registry" / "datasets" / f"{name}.toml").read_text()) | changes
    )


def png(pixels: np.ndarray) -> bytes:
    """An [H, W, 3] or [H, W] uint8 array as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def made(dataset: Dataset, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n random images [n, H, W, C] and labels [n] of a dataset's shape."""
    rng, (channels, height, width) = np.random.default_rng(seed), dataset.shape
    images = rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    return images, rng.integers(0, len(dataset.classes), n)


def write_parquet(path: Path, dataset: Dataset, images, labels) -> None:
    """As the hub stores images: a struct of the file's bytes and its path. `images` are arrays or
    encoded bytes.
    """
    rows = [
        {"bytes": image if isinstance(image, bytes) else png(image.squeeze()), "path": None}
        for image in images
    ]
    type_ = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {dataset.image_column: pa.array(rows, type_), dataset.label_column: pa.array(labels)}
    if dataset.name == "cifar100":
        columns["coarse_label"] = pa.array([0] * len(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=7)


def write_idx(path: Path, array: np.ndarray) -> None:
    content = (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def as_set(images, labels) -> list[tuple[bytes, int]]:
    return sorted(
        (bytes(np.ascontiguousarray(image)), int(label))
        for image, label in zip(images, labels, strict=True)
    )


def read_back(data) -> tuple[list, list]:
    """(training with validation, test) as sorted pairs of bytes and label."""
    images = torch.cat([data.train.images, data.validation.images]).numpy()
    labels = torch.cat([data.train.labels, data.validation.labels])
    return as_set(images, labels), as_set(data.test.images.numpy(), data.test.labels)
