"""Every form in which images may come gives the images that were written."""

import numpy as np
import pytest
import torch

from benchmark.data.splits import load

from .image_files import as_set, made, read_back, spec, write_idx, write_parquet


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
def test_parquet_in_the_hubs_layout_gives_the_images_that_were_written(
    data_folder, tmp_path, name, place
):
    dataset = spec(name)
    train, more, test = made(dataset, 20, 0), made(dataset, 9, 1), made(dataset, 8, 2)
    folder = data_folder / name / place
    write_parquet(folder / "train-00000-of-00002.parquet", dataset, *train)
    write_parquet(folder / "train-00001-of-00002.parquet", dataset, *more)
    write_parquet(folder / f"{dataset.test_split}-00000-of-00001.parquet", dataset, *test)
    written = [np.concatenate(parts) for parts in zip(train, more, strict=True)]
    for ours, (images, labels) in zip(
        read_back(load(dataset, tmp_path)), (written, test), strict=True
    ):
        assert ours == as_set(images.transpose(0, 3, 1, 2), labels)


def test_greyscale_images_of_a_colour_dataset_get_three_equal_channels(data_folder, tmp_path):
    dataset = spec("tiny_imagenet")
    grey = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    write_parquet(
        data_folder / "tiny_imagenet" / "train-0.parquet", dataset, [grey] * 3, [0, 1, 199]
    )
    write_parquet(data_folder / "tiny_imagenet" / "test-0.parquet", dataset, [grey], [5])
    test = load(dataset, tmp_path).test
    assert torch.equal(test.images[0], torch.from_numpy(grey).expand(3, 64, 64))


def test_idx_plain_or_packed_and_parquet_give_the_same_data(data_folder, tmp_path, monkeypatch):
    dataset = spec("mnist")
    hashes = set()
    for form, suffix in (("idx", ""), ("packed", ".gz"), ("parquet", None)):
        folder = data_folder / form / "mnist"
        folder.mkdir(parents=True)
        for split, prefix, n in (("train", "train", 30), ("test", "t10k", 10)):
            images, labels = made(dataset, n, n)
            if suffix is None:
                write_parquet(folder / f"{split}-00000-of-00001.parquet", dataset, images, labels)
            else:
                write_idx(folder / f"{prefix}-images-idx3-ubyte{suffix}", images[..., 0])
                write_idx(folder / f"{prefix}-labels-idx1-ubyte{suffix}", labels)
        monkeypatch.setenv("REGBENCH_DATA", str(data_folder / form))
        data = load(dataset, tmp_path)
        hashes.add((data.sha256, bytes(data.train.images.numpy())))
    assert len(hashes) == 1 and len(list((tmp_path / "cache").iterdir())) == 3


def test_the_users_folder_goes_before_the_package(data_folder, tmp_path):
    dataset = spec("digits")
    for split in ("train", "test"):
        images = np.full((3, 8, 8), 16, np.uint8)
        write_parquet(data_folder / "digits" / f"{split}-0.parquet", dataset, images, [0, 1, 2])
    data = load(dataset, tmp_path)
    assert len(data.test) == 3 and data.test.pixels().eq(1).all()
