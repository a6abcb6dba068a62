"""Every form in which images may come, and what a user is told where they cannot be used."""

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from benchmark.data.splits import load
from registry.spec import InputError

from .image_files import made, png, spec, write_idx, write_parquet


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def mnist(own):
    """MNIST's folder with 30 training and 10 test images in Parquet."""
    dataset = spec("mnist")
    for split, n in (("train", 30), ("test", 10)):
        write_parquet(
            own / "mnist" / f"{split}-00000-of-00001.parquet", dataset, *made(dataset, n, n)
        )
    return own / "mnist"


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


# --- what is read
# -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mnist", ""),
        ("cifar10", "plain_text"),
        ("cifar100", ""),
        ("svhn", "cropped_digits"),
        ("tiny_imagenet", "data"),
    ],
)
def test_parquet_in_the_hubs_layout_gives_the_images_that_were_written(own, tmp_path, name, place):
    dataset = spec(name)
    train, more, test = made(dataset, 20, 0), made(dataset, 9, 1), made(dataset, 8, 2)
    folder = own / name / place
    write_parquet(folder / "train-00000-of-00002.parquet", dataset, *train)
    write_parquet(folder / "train-00001-of-00002.parquet", dataset, *more)
    write_parquet(folder / f"{dataset.test_split}-00000-of-00001.parquet", dataset, *test)
    written = [np.concatenate(parts) for parts in zip(train, more, strict=True)]
    for ours, (images, labels) in zip(
        read_back(load(dataset, tmp_path)), (written, test), strict=True
    ):
        assert ours == as_set(images.transpose(0, 3, 1, 2), labels)


def test_greyscale_images_of_a_colour_dataset_get_three_equal_channels(own, tmp_path):
    dataset = spec("tiny_imagenet")
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    write_parquet(own / "tiny_imagenet" / "train-0.parquet", dataset, [grey] * 3, [0, 1, 199])
    write_parquet(own / "tiny_imagenet" / "test-0.parquet", dataset, [grey], [5])
    test = load(dataset, tmp_path).test
    assert torch.equal(test.images[0], torch.from_numpy(grey).expand(3, 64, 64))


def test_idx_plain_or_packed_and_parquet_give_the_same_data(own, tmp_path, monkeypatch):
    dataset = spec("mnist")
    hashes = set()
    for form, suffix in (("idx", ""), ("packed", ".gz"), ("parquet", None)):
        folder = own / form / "mnist"
        folder.mkdir(parents=True)
        for split, prefix, n in (("train", "train", 30), ("test", "t10k", 10)):
            images, labels = made(dataset, n, n)
            if suffix is None:
                write_parquet(folder / f"{split}-00000-of-00001.parquet", dataset, images, labels)
            else:
                write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images[..., 0])
                write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", labels)
        monkeypatch.setenv("REGBENCH_DATA", str(own / form))
        data = load(dataset, tmp_path)
        hashes.add((data.sha256, bytes(data.train.images.numpy())))
    assert len(hashes) == 1 and len(list((tmp_path / "cache").iterdir())) == 3


def test_the_users_folder_goes_before_the_package(own, tmp_path):
    dataset = spec("digits")
    for split in ("train", "test"):
        images = np.full((3, 8, 8), 16, np.uint8)
        write_parquet(own / "digits" / f"{split}-0.parquet", dataset, images, [0, 1, 2])
    data = load(dataset, tmp_path)
    assert len(data.test) == 3 and data.test.pixels().eq(1).all()


# --- what is refused
# --------------------------------------------------------------------------------------------


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
def idx(own):
    folder = own / "mnist"
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


def test_a_dataset_without_any_source_says_how_to_supply_it(own, tmp_path):
    message = refusal("digits", tmp_path, packaged=str(tmp_path / "absent"))
    beginning = f"dataset digits: no source answers ({own / 'digits'} is no folder; "
    assert message.startswith(beginning)
    assert message.endswith(
        "into a folder digits/ and set REGBENCH_DATA to the folder that holds it"
    )


# --- a folder for each class
# -----------------------------------------------------------------------------------------------


def write_class_folders(folder, dataset, images, labels):
    """The n-th image as `<class>/<n>.png`."""
    for name in dataset.classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / dataset.classes[label] / f"{n:03}.png").write_bytes(png(image.squeeze()))


@pytest.fixture
def folders(own):
    """CIFAR-10's folder with 60 training and 40 test images as PNG files; what is in them."""
    dataset, held = spec("cifar10"), []
    for split, n in (("train", 60), ("test", 40)):
        images, labels = made(dataset, n, n)
        write_class_folders(own / "cifar10" / split, dataset, images, labels)
        held.append(as_set(images.transpose(0, 3, 1, 2), labels))
    return own / "cifar10", held


def test_a_folder_for_each_class_is_read_whole(folders, tmp_path):
    _, held = folders
    assert list(read_back(load(spec("cifar10"), tmp_path / "home"))) == held


def test_the_classes_order_is_the_labels(folders, tmp_path):
    """Of a data set whose classes stand in another order the labels are others."""
    first = spec("cifar10")
    turned = spec("cifar10", classes=list(reversed(first.classes)))
    one, other = (load(dataset, tmp_path / "home") for dataset in (first, turned))
    assert (torch.bincount(one.test.labels) == torch.bincount(other.test.labels).flip(0)).all()
    assert one.sha256 != other.sha256


def _a_class_less(folder):
    for path in (folder / "test" / "cat").iterdir():
        path.unlink()
    (folder / "test" / "cat").rmdir()
    return r"test: lacks cat; give a folder for each of the 10 classes of cifar10"


def _a_class_more(folder):
    (folder / "train" / "zebra").mkdir()
    return r"train: zebra is none of them; give a folder for each"


def _no_test(folder):
    (folder / "test").rename(folder / "tests")
    return "test: lacks airplane, lacks automobile, "


def _another_size(folder):
    (folder / "train" / "cat" / "a.png").write_bytes(png(np.zeros((8, 8, 3), np.uint8)))
    return r"a\.png: is an image of mode RGB and 8×8 pixels, but cifar10 has"


def _no_image(folder):
    (folder / "train" / "cat" / "a.png").write_bytes(b"GIF")
    return r"a\.png: is no readable image"


@pytest.mark.parametrize(
    "spoil", [_a_class_less, _a_class_more, _no_test, _another_size, _no_image]
)
def test_class_folders_that_cannot_be_used_are_refused_in_one_line(folders, tmp_path, spoil):
    expected = spoil(folders[0])
    with pytest.raises(InputError, match=expected) as refused:
        load(spec("cifar10"), tmp_path / "home")
    assert len(str(refused.value).splitlines()) == 1
