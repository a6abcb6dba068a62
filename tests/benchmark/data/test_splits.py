"""Splits, subsets and the cache, on small IDX files and on the real data that packages bring."""

import gzip
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import registry
from benchmark.data.splits import Data, Split, load
from registry.spec import Dataset, InputError

DATASETS = sorted((Path(registry.__file__).parent / "datasets").glob("*.toml"))
ROOT = Path(registry.__file__).parents[1]


def spec(name: str, **changes) -> Dataset:
    path = next(path for path in DATASETS if path.stem == name)
    return Dataset(**tomllib.loads(path.read_text()) | changes)


def write_idx(path: Path, array: np.ndarray) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(
        (0x800 + array.ndim).to_bytes(4, "big") + sizes + array.astype(np.uint8).tobytes()
    )


def numbered(n: int, start: int) -> np.ndarray:
    """n images of 28×28 that each carry a number of their own in the first two pixels."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(start, start + n), 256)
    return images


def numbers(split: Split) -> list[int]:
    return (split.images[:, 0, 0, 0].int() * 256 + split.images[:, 0, 0, 1].int()).tolist()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """200 training and 50 test images of MNIST's shape in order of their labels; image i has label
    i // 20 % 10.
    """
    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for prefix, n, start in (("train", 200, 0), ("t10k", 50, 200)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", numbered(n, start))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(start, start + n) // 20 % 10)
    monkeypatch.setenv("REGBENCH_DATA", str(tmp_path / "data"))
    return folder


def same(a: Data, b: Data) -> bool:
    pairs = [(a.train, b.train), (a.validation, b.validation), (a.test, b.test)]
    return a.sha256 == b.sha256 and all(
        torch.equal(x.images, y.images) and torch.equal(x.labels, y.labels) for x, y in pairs
    )


# --- the registered datasets
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DATASETS, ids=lambda path: path.stem)
def test_a_registered_dataset_is_complete(path):
    dataset = Dataset(**tomllib.loads(path.read_text()))
    assert dataset.name == path.stem
    assert len(set(dataset.classes)) == len(dataset.classes)
    assert dataset.hub or dataset.packaged
    assert dataset.revision is None or (len(dataset.revision) == 40 and int(dataset.revision, 16))
    assert all(0 < value < 1 for value in (*dataset.mean, *dataset.std))


def test_digits_are_those_of_scikit_learn(tmp_path, monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.delenv("REGBENCH_DATA", raising=False)
    dataset = spec("digits")
    bunch: Any = load_digits()
    data = load(dataset, tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (1366, 71, 360)
    splits = (data.train, data.validation, data.test)
    ours = torch.cat(
        [torch.cat([s.pixels().flatten(1), s.labels[:, None]], 1) for s in splits]
    ).numpy()
    theirs = np.concatenate([bunch.images.reshape(-1, 64) / 16, bunch.target[:, None]], 1).astype(
        np.float32
    )
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))
    training = torch.cat([data.train.pixels(), data.validation.pixels()]).double()
    assert training.mean().item() == pytest.approx(dataset.mean[0], abs=5e-5)
    assert training.std(correction=0).item() == pytest.approx(dataset.std[0], abs=5e-5)
    assert data.test.labels.bincount().min() > 20  # the fixed order mixes the classes


def test_fashion_mnist_of_the_package_is_read_whole(tmp_path, monkeypatch):
    dataset = spec("fashion_mnist")
    assert dataset.packaged is not None
    folder = Path(dataset.packaged)
    if not folder.is_dir():
        assert "CI" not in os.environ, "CI must install dataset-fashion-mnist"
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    monkeypatch.delenv("REGBENCH_DATA", raising=False)
    data = load(dataset, tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (57000, 3000, 10000)
    labels = torch.cat([data.train.labels, data.validation.labels])
    assert (
        labels.bincount().tolist() == [6000] * 10
        and data.test.labels.bincount().tolist() == [1000] * 10
    )
    raw = np.frombuffer(
        gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    )
    assert raw.mean() / 255 == pytest.approx(dataset.mean[0], abs=5e-5)
    assert raw.std() / 255 == pytest.approx(dataset.std[0], abs=5e-5)
    by_bytes = sorted(raw.reshape(-1, 784), key=bytes)
    ours = torch.cat([data.train.images, data.validation.images]).flatten(1).numpy()
    assert all(np.array_equal(a, b) for a, b in zip(sorted(ours, key=bytes), by_bytes, strict=True))


# --- splits ---------------------------------------------------------------------------------------


def test_the_splits_part_the_images_and_keep_their_labels(own, tmp_path):
    data = load(spec("mnist"), tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (190, 10, 50)
    assert sorted(numbers(data.train) + numbers(data.validation)) == list(range(200))
    assert sorted(numbers(data.test)) == list(range(200, 250))
    for split in (data.train, data.validation, data.test):
        assert split.labels.tolist() == [number // 20 % 10 for number in numbers(split)]
        assert split.labels.dtype == torch.int64 and split.images.dtype == torch.uint8


def test_the_order_is_mixed_and_always_the_same(own, tmp_path):
    data = load(spec("mnist"), tmp_path / "a")
    assert same(data, load(spec("mnist"), tmp_path / "b"))
    assert (
        len(set(data.test.labels[:20].tolist())) > 1 and data.train.labels[:20].unique().numel() > 5
    )
    assert numbers(data.test)[:5] == [
        202,
        235,
        215,
        243,
        248,
    ]  # a NumPy that changed it would change every result


def test_pixels_are_floats_in_0_to_1(own, tmp_path):
    train = load(spec("mnist"), tmp_path).train
    index = torch.tensor([5, 3])
    assert train.pixels().dtype == torch.float32 and train.pixels().shape == (190, 1, 28, 28)
    assert torch.equal(train.pixels(index), train.images[index].double().div(255).float())
    assert torch.equal(train.pixels(slice(0, 4)), train.pixels()[:4])


def test_train_size_keeps_the_first_images_and_the_same_validation(own, tmp_path):
    whole, part = load(spec("mnist"), tmp_path), load(spec("mnist"), tmp_path, train_size=7)
    assert numbers(part.train) == numbers(whole.train)[:7]
    assert numbers(part.validation) == numbers(whole.validation) and numbers(part.test) == numbers(
        whole.test
    )
    for size in (0, 191):
        with pytest.raises(
            InputError, match=rf"train_size: {size} .* 190 training images .*give 1 to 190"
        ):
            load(spec("mnist"), tmp_path, train_size=size)


def test_a_subset_keeps_its_labels_and_numbers_them_in_its_order(own, tmp_path):
    two = load(spec("mnist", subset=(7, 1)), tmp_path)
    assert (len(two.train), len(two.validation)) == (38, 2)
    assert two.train.labels.tolist() == [
        {7: 0, 1: 1}[number // 20] for number in numbers(two.train)
    ]
    assert sorted(numbers(two.train) + numbers(two.validation)) == [
        *range(20, 40),
        *range(140, 160),
    ]
    assert (
        sorted(numbers(two.test)) == list(range(220, 240)) and two.test.labels.tolist() == [1] * 20
    )


@pytest.mark.parametrize("subset", [(1,), (1, 1), (1, 10), (-1, 2)])
def test_a_subset_that_names_no_two_classes_is_refused(own, tmp_path, subset):
    with pytest.raises(InputError, match=r"dataset mnist:.*two or more different labels in 0 to 9"):
        load(spec("mnist", subset=subset), tmp_path)


def test_one_image_goes_to_validation_where_few_are_given(own, tmp_path):
    write_idx(own / "train-images-idx3-ubyte", numbered(2, 0))
    write_idx(own / "train-labels-idx1-ubyte", np.array([0, 1]))
    data = load(spec("mnist"), tmp_path)
    assert (len(data.train), len(data.validation)) == (1, 1)
    write_idx(own / "train-images-idx3-ubyte", numbered(1, 0))
    write_idx(own / "train-labels-idx1-ubyte", np.array([0]))
    with pytest.raises(InputError, match="1 training and 50 test images are too few"):
        load(spec("mnist"), tmp_path)


# --- the cache
# --------------------------------------------------------------------------------------------------


def test_a_later_load_reads_no_source(own, tmp_path):
    first = load(spec("mnist"), tmp_path)
    for path in own.iterdir():  # unreadable from now on, under the same size and time
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert same(first, load(spec("mnist"), tmp_path))
    os.utime(path)
    with pytest.raises(InputError, match="begins with 0x00000000"):
        load(spec("mnist"), tmp_path)


def test_writing_into_a_tensor_leaves_the_cache_as_it_is(own, tmp_path):
    data = load(spec("mnist"), tmp_path)
    before = numbers(data.train)
    data.train.images.fill_(9)
    assert numbers(load(spec("mnist"), tmp_path).train) == before


def test_the_hash_tells_data_apart(own, tmp_path):
    before = load(spec("mnist"), tmp_path)
    write_idx(own / "t10k-labels-idx1-ubyte", np.full(50, 3))
    assert load(spec("mnist"), tmp_path).sha256 != before.sha256


def test_a_failed_decoding_leaves_nothing(own, tmp_path):
    write_idx(own / "t10k-labels-idx1-ubyte", np.full(50, 10))
    with pytest.raises(InputError):
        load(spec("mnist"), tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(own, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"home/cache: cannot be written: \w.*; let REGBENCH_HOME"):
        load(spec("mnist"), tmp_path / "home")


def test_a_damaged_cache_is_named(own, tmp_path):
    load(spec("mnist"), tmp_path)
    images = next((tmp_path / "cache").glob("mnist-*/train_images.npy"))
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"cache/mnist-\w+: .*delete the folder"):
        load(spec("mnist"), tmp_path)


LOAD = """
import sys, time, tomllib
from pathlib import Path
from benchmark.data import load
from registry.spec import Dataset
dataset = Dataset(**tomllib.loads(Path("registry/datasets/mnist.toml").read_text()))
print("ready", flush=True)
sys.stdin.readline()
print(load(dataset, Path(sys.argv[1])).sha256)
"""


def loader(home: Path) -> subprocess.Popen:
    """A process that has imported everything and loads MNIST once it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", LOAD, str(home)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def write_many(folder: Path, n: int) -> None:
    for prefix in ("train", "t10k"):
        write_idx(
            folder / f"{prefix}-images-idx3-ubyte", np.broadcast_to(numbered(1, 0), (n, 28, 28))
        )
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.zeros(n))


def test_two_writers_may_race(own, tmp_path):
    write_many(own, 20_000)
    both = [loader(tmp_path), loader(tmp_path)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    hashes = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert hashes == {load(spec("mnist"), tmp_path).sha256 + "\n"}
    assert [path.name[:6] for path in (tmp_path / "cache").iterdir()] == ["mnist-"]


def test_what_a_killed_writer_leaves_is_not_believed(own, tmp_path):
    write_many(own, 60_000)
    process = loader(tmp_path)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cache").glob(".unfinished-*/arrays/train_images.npy")):
        assert time.monotonic() < deadline and process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert [path.name[:12] for path in (tmp_path / "cache").iterdir()] == [".unfinished-"]
    data = load(spec("mnist"), tmp_path)
    assert (len(data.train), len(data.test)) == (57_000, 60_000)
