"""Images in a folder for each class: read whole, or refused in one line."""

import numpy as np
import pytest
import torch

from benchmark.data.splits import load
from registry.spec import InputError

from .image_files import as_set, made, png, read_back, spec


def write_class_folders(folder, dataset, images, labels):
    """The n-th image as `<class>/<n>.png`."""
    for name in dataset.classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / dataset.classes[label] / f"{n:03}.png").write_bytes(png(image.squeeze()))


@pytest.fixture
def folders(data_folder):
    """CIFAR-10's folder with 60 training and 40 test images as PNG files; what is in them."""
    dataset, held = spec("cifar10"), []
    for split, n in (("train", 60), ("test", 40)):
        images, labels = made(dataset, n, n)
        write_class_folders(data_folder / "cifar10" / split, dataset, images, labels)
        held.append(as_set(images.transpose(0, 3, 1, 2), labels))
    return data_folder / "cifar10", held


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


def _another_format(folder):
    for path in (folder / "train" / "cat").glob("*.png"):
        path.rename(path.with_suffix(".jpg"))
    return r"train/cat: holds no \*\.png; add some"


def _a_dangling_link(folder):
    (folder / "train" / "cat" / "a.png").symlink_to(folder / "gone.png")
    return r"train/cat/a\.png: cannot be read: No such file or directory; put the file there"


def _a_link_to_itself(folder):
    (folder / "train" / "cat" / "a.png").symlink_to("a.png")
    return r"train/cat/a\.png: cannot be read: Too many levels of symbolic links"


def _a_folder_named_as_an_image(folder):
    (folder / "test" / "cat" / "a.png").mkdir()
    return r"test/cat/a\.png: cannot be read: Is a directory; put the file there, or delete it"


@pytest.mark.parametrize(
    "spoil",
    [
        _a_class_less,
        _a_class_more,
        _no_test,
        _another_size,
        _no_image,
        _another_format,
        _a_dangling_link,
        _a_link_to_itself,
        _a_folder_named_as_an_image,
    ],
)
def test_class_folders_that_cannot_be_used_are_refused_in_one_line(folders, tmp_path, spoil):
    expected = spoil(folders[0])
    with pytest.raises(InputError, match=expected) as refused:
        load(spec("cifar10"), tmp_path / "home")
    assert len(str(refused.value).splitlines()) == 1
