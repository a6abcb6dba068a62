"""What a user is told where images cannot be used: one line, with the place."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.data.splits import load
from registry.spec import InputError

from .image_files import made, png, spec, write_idx, write_parquet


@pytest.fixture
def mnist(data_folder):
    """MNIST's folder with 30 training and 10 test images in Parquet."""
    dataset = spec("mnist")
    for split, n in (("train", 30), ("test", 10)):
        write_parquet(
            data_folder / "mnist" / f"{split}-00000-of-00001.parquet", dataset, *made(dataset, n, n)
        )
    return data_folder / "mnist"


def refusal(name: str, home: Path, **changes) -> str:
    with pytest.raises(InputError) as caught:
        load(spec(name, **changes), home)
    assert "\n" not in str(caught.value)
    return str(caught.value)


GOOD = np.zeros((28, 28), np.uint8)
IMAGES = [
    (
        np.zeros((28, 27), np.uint8),
        "is an image of mode L and 28×27 pixels, but mnist has 1 channels of 28×28",
    ),
    (
        np.zeros((28, 28, 3), np.uint8),
        "is an image of mode RGB and 28×28 pixels, but mnist has 1 channels of 28×28",
    ),
    (png(GOOD)[:40], "is no readable image"),
    (b"", "is no readable image"),
    (b"not an image", "is no readable image"),
]


@pytest.mark.parametrize(
    ("image", "said"), IMAGES, ids=["size", "channels", "cut", "empty", "no_image"]
)
def test_an_image_that_does_not_fit_is_named_by_file_row_and_column(mnist, tmp_path, image, said):
    path = mnist / "test-00000-of-00001.parquet"
    write_parquet(path, spec("mnist"), [GOOD, image], [0, 1])
    assert f"{path}: row 1, column 'image': {said}" in refusal("mnist", tmp_path)


def test_a_parquet_file_that_is_a_link_to_nothing_is_named(mnist, tmp_path):
    path = mnist / "test-00000-of-00001.parquet"
    path.unlink()
    path.symlink_to(mnist / "gone.parquet")
    said = f"{path}: cannot be read: No such file or directory; put the file there, or delete it"
    assert refusal("mnist", tmp_path) == said


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            [0, 10],
            "column 'label': row 1 has label 10, but mnist has 10 classes; "
            "labels must lie in 0 to 9",
        ),
        ([-1, 0], "column 'label': row 0 has label -1"),
        ([0, None], "column 'label' is int64 with 1 empty rows"),
        (["0", "1"], "column 'label' is string"),
    ],
)
def test_a_label_that_does_not_fit_is_named_by_file_column_and_row(mnist, tmp_path, labels, said):
    path = mnist / "train-00000-of-00001.parquet"
    write_parquet(path, spec("mnist"), [GOOD, GOOD], labels)
    assert f"{path}: {said}" in refusal("mnist", tmp_path)


def test_a_missing_column_is_named_with_those_there_are(mnist, tmp_path):
    path = mnist / "train-00000-of-00001.parquet"
    assert f"{path}: has no column 'img', only image, label;" in refusal(
        "mnist", tmp_path, image_column="img"
    )


def test_an_image_column_that_holds_no_images_is_refused(mnist, tmp_path):
    path = mnist / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"image": [1, 2], "label": [0, 1]}), path)
    assert f"{path}: column 'image' is int64; it needs to be a struct with" in refusal(
        "mnist", tmp_path
    )
    rows = pa.array(
        [{"bytes": None, "path": "0.png"}], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pq.write_table(pa.table({"image": rows, "label": [0]}), path)
    assert f"{path}: row 0, column 'image': holds no image" in refusal("mnist", tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_parquet_file_cut_short_is_named(mnist, tmp_path, kept):
    path = mnist / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:kept])
    assert f"{path}: is no readable Parquet file" in refusal("mnist", tmp_path)


def test_parquet_files_that_are_missing_are_named(mnist, tmp_path):
    train, test = mnist / "train-00000-of-00001.parquet", mnist / "test-00000-of-00001.parquet"
    second = train.rename(mnist / "train-00001-of-00002.parquet")
    assert f"{second}: says 2 files make up train, but 1 are there" in refusal("mnist", tmp_path)
    test.unlink()
    second.rename(train)
    assert f"{mnist}: test-*.parquet is missing" in refusal("mnist", tmp_path)
    train.unlink()
    assert f"{mnist}: neither train-*.parquet nor train-images-idx3-ubyte[.gz] is in it" in refusal(
        "mnist", tmp_path
    )


def test_an_empty_split_is_refused(mnist, tmp_path):
    write_parquet(mnist / "test-00000-of-00001.parquet", spec("mnist"), [], np.zeros(0, np.int64))
    assert f"Parquet files in {mnist}: the test split is empty" in refusal("mnist", tmp_path)


def test_pixels_above_white_are_refused(mnist, tmp_path):
    assert re.search(
        r"a train pixel is 255, but mnist stores white as 16", refusal("mnist", tmp_path, white=16)
    )


@pytest.fixture
def idx(data_folder):
    folder = data_folder / "mnist"
    folder.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", np.zeros((4, 28, 28)))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(4))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (
            "train-images-idx3-ubyte",
            lambda raw: raw[:-1],
            "has 3135 bytes after its header, but its sizes (4, 28, 28)",
        ),
        ("train-images-idx3-ubyte", lambda raw: raw + b"0", "has 3137 bytes after its header"),
        ("train-images-idx3-ubyte", lambda raw: raw[:9], "begins with 0x00000803, not"),
        (
            "train-images-idx3-ubyte",
            lambda raw: b"",
            "begins with 0x, not with the magic number 0x00000803",
        ),
        (
            "t10k-labels-idx1-ubyte",
            lambda raw: b"\0\0\x08\x03" + raw[4:],
            "begins with 0x00000803, not with the magic",
        ),
        (
            "t10k-labels-idx1-ubyte",
            lambda raw: raw[:-1] + b"\n",
            "row 3 has label 10, but mnist has 10 classes",
        ),
        (
            "t10k-labels-idx1-ubyte",
            lambda raw: struct.pack(">II", 0x801, 3) + raw[8:-1],
            "holds 3 labels for the 4 images",
        ),
    ],
)
def test_an_idx_file_that_does_not_fit_is_named(idx, tmp_path, name, change, said):
    path = idx / name
    raw = path.read_bytes()
    path.write_bytes(change(raw))
    message = refusal("mnist", tmp_path)
    assert message.startswith(f"{path}: ")
    assert said in message


def test_an_idx_file_that_is_missing_is_named(idx, tmp_path):
    (idx / "t10k-labels-idx1-ubyte").unlink()
    assert f"{idx}: t10k-labels-idx1-ubyte[.gz] is missing" in refusal("mnist", tmp_path)


@pytest.mark.parametrize(
    "raw",
    [gzip.compress(bytes(9999), mtime=0)[:-9], b"not packed", b"\x1f\x8b\x08\0" + bytes(20)],
    ids=["cut short", "not packed", "no data"],
)
def test_a_packed_idx_file_that_is_broken_is_named(idx, tmp_path, raw):
    (idx / "train-images-idx3-ubyte").unlink()
    path = idx / "train-images-idx3-ubyte.gz"
    path.write_bytes(raw)
    assert f"{path}: cannot be read" in refusal("mnist", tmp_path)


def test_idx_images_of_another_shape_are_refused(idx, tmp_path):
    write_idx(idx / "train-images-idx3-ubyte", np.zeros((4, 28, 27)))
    assert "holds greyscale images of 28×27 pixels, but mnist has shape (1, 28, 28)" in refusal(
        "mnist", tmp_path
    )


def test_sizes_that_do_not_add_up_to_the_packaged_digits_are_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("REGBENCH_DATA", raising=False)
    said = "train_size + test_size is 1796, but sklearn:load_digits brings 1797 images"
    assert said in refusal("digits", tmp_path, test_size=359)


def test_a_dataset_without_any_source_says_how_to_supply_it(data_folder, tmp_path):
    message = refusal("digits", tmp_path, packaged=str(tmp_path / "absent"))
    beginning = f"dataset digits: no source answers ({data_folder / 'digits'} is no folder; "
    assert message.startswith(beginning)
    assert message.endswith(
        "into a folder digits/ and set REGBENCH_DATA to the folder that holds it"
    )
