"""Bytes → arrays: Parquet in the hub's layout, and IDX files. What cannot be used is refused, with
its place.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from registry.spec import Dataset, InputError

Arrays = tuple[np.ndarray, np.ndarray]  # images uint8 [N, C, H, W], labels int64 [N]


def shards(folder: Path, split: str) -> list[Path]:
    """A split's Parquet files, in order. Raises InputError where some of a set are missing."""
    paths = sorted(folder.glob(f"{split}-*.parquet"))
    for path in paths:
        numbered = re.search(r"-\d+-of-(\d+)", path.name)
        if numbered and len(paths) != int(numbered[1]):
            raise InputError(
                f"{path}: says {int(numbered[1])} files make up {split}, but {len(paths)} are "
                "there; complete them, or keep one set only"
            )
    return paths


def stamp(path: Path) -> tuple[str, int, int]:
    """A file's own path, its size in bytes and its time in nanoseconds. Raises InputError where it
    is a link to nothing.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    return str(path.resolve()), status.st_size, status.st_mtime_ns


def read_bytes(path: Path) -> bytes:
    """Raises InputError where the path is a folder, or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> InputError:
    """That a path among the images is no file to be read."""
    return InputError(
        f"{path}: cannot be read: {error.strerror or error}; put the file there, or delete it"
    )


def read_parquet(dataset: Dataset, path: Path) -> Arrays:
    """Raises InputError where the file is damaged, or holds something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [dataset.image_column, dataset.label_column]
    try:
        with pq.ParquetFile(path) as file:
            check_columns(columns, file.schema_arrow.names, str(path))
            return decode(dataset, str(path), file.iter_batches(batch_size=512, columns=columns))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is no readable Parquet file ({first_line(error)}); download it again"
        ) from error


def check_columns(wanted: Iterable[str], present: Iterable[str], where: str) -> None:
    """Raises InputError naming the first of `wanted` that is not among `present`."""
    for column in wanted:
        if column not in present:
            raise InputError(
                f"{where}: has no column '{column}', only {', '.join(present)}; rename the column "
                "in the file, or set image_column and label_column in the dataset's TOML"
            )


def decode(dataset: Dataset, where: str, batches: Iterable[Any]) -> Arrays:
    """Arrow batches with a struct column of encoded images and a column of integer labels, as
    arrays.
    """
    import pyarrow as pa

    images, labels = [np.empty((0, *dataset.shape), np.uint8)], [np.empty(0, np.int64)]
    row = 0
    for batch in batches:
        encoded, targets = batch.column(dataset.image_column), batch.column(dataset.label_column)
        if not pa.types.is_struct(encoded.type) or encoded.type.get_field_index("bytes") < 0:
            raise InputError(
                f"{where}: column '{dataset.image_column}' is {encoded.type}; it needs to be a "
                "struct with the field 'bytes' that holds an encoded image"
            )
        if not pa.types.is_integer(targets.type) or targets.null_count:
            raise InputError(
                f"{where}: column '{dataset.label_column}' is {targets.type} with "
                f"{targets.null_count} empty rows; it needs to hold an integer in every row"
            )
        labels.append(targets.to_numpy())
        decoded = np.empty((len(targets), *dataset.shape), np.uint8)
        for i, image in enumerate(encoded.to_pylist()):
            place = f"{where}: row {row + i}, column '{dataset.image_column}'"
            decoded[i] = _decode_image(dataset, image, place)
        images.append(decoded)
        row += len(targets)
    place = f"{where}: column '{dataset.label_column}'"
    return np.concatenate(images), check_labels(np.concatenate(labels), dataset, place)


def _decode_image(dataset: Dataset, image: dict[str, Any] | None, where: str) -> np.ndarray:
    if image is None or image["bytes"] is None:
        raise InputError(f"{where}: holds no image; every row needs the encoded image in 'bytes'")
    return read_image(dataset, image["bytes"], where)


def read_image(dataset: Dataset, encoded: bytes, where: str) -> np.ndarray:
    """uint8 [C, H, W] of a PNG's or JPEG's bytes. Raises InputError where they are none of the
    dataset's shape.
    """
    from PIL import Image

    channels, height, width = dataset.shape
    try:
        with Image.open(BytesIO(encoded)) as picture:
            picture.load()
    # Pillow's decoders share no base class for what they raise on broken bytes.
    except Exception as error:
        raise InputError(
            f"{where}: is no readable image ({first_line(error)}); write the file again"
        ) from error
    if channels == 3 and picture.mode == "L":  # some Tiny-ImageNet images are greyscale
        picture = picture.convert("RGB")
    mode = {1: "L", 3: "RGB"}.get(channels)
    if (picture.mode, picture.height, picture.width) != (mode, height, width):
        raise InputError(
            f"{where}: is an image of mode {picture.mode} and {picture.height}×{picture.width} "
            f"pixels, but {dataset.name} has {channels} channels of {height}×{width}; give images "
            "of that shape"
        )
    return np.asarray(picture).reshape(height, width, channels).transpose(2, 0, 1)


def check_labels(labels: np.ndarray, dataset: Dataset, where: str) -> np.ndarray:
    """int64 [N], all of them within the dataset's classes."""
    known = len(dataset.classes)
    for row in np.flatnonzero((labels < 0) | (labels >= known))[:1]:
        raise InputError(
            f"{where}: row {row} has label {labels[row]}, but {dataset.name} has {known} classes; "
            f"labels must lie in 0 to {known - 1}"
        )
    return labels.astype(np.int64, copy=False)


def idx_file(folder: Path, name: str) -> Path | None:
    """The file of that name, packed or not; None where neither is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """uint8 array of the file's shape: magic 0x0000 08 ⟨dimensions⟩, big-endian sizes, then the
    bytes (LeCun).
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read ({first_line(error)}); download it again"
        ) from error
    magic, header = 0x800 + dimensions, 4 + 4 * dimensions
    if len(raw) < header or int.from_bytes(raw[:4], "big") != magic:
        raise InputError(
            f"{path}: begins with 0x{raw[:4].hex()}, not with the magic number 0x{magic:08x} of an "
            f"IDX file of {dimensions} dimensions; give the file of that name"
        )
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, header, 4))
    if len(raw) - header != math.prod(shape):
        raise InputError(
            f"{path}: has {len(raw) - header} bytes after its header, but its sizes {shape} need "
            f"{math.prod(shape)}; download it again"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
