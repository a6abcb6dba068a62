"""Challenges that mean harm: data that is not what it should be is refused in one line, and nothing
large is read.
"""

import json
import os
import resource
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import benchmark
from benchmark.records.challenges import ACCEPTED, IMAGES, TOML, accepted
from benchmark.review.challenge import check
from registry.places import CHALLENGES
from registry.spec import InputError

from ..benchmark import challenge_files as files

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, home, monkeypatch):
    monkeypatch.setenv("REGBENCH_RESULTS", str(files.registered_rows(tmp_path / "results")))
    monkeypatch.setenv("REGBENCH_SUBMISSIONS", str(tmp_path / "submissions"))
    return tmp_path / "submissions" / CHALLENGES / "hostile"


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        return benchmark.load_images("digits", 5)[0]


def refused(folder, expected):
    with pytest.raises(InputError) as error:
        check(folder)
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value).isprintable()
    assert not (folder / ACCEPTED).exists()


PLACES = torch.arange(5)


@pytest.mark.parametrize(
    ("places", "change", "expected"),
    [
        (PLACES, lambda x: x[:, 0], "holds images F32 [5, 8, 8]"),
        (PLACES, lambda x: x[:4], "holds"),
        (PLACES, lambda x: x.double(), "images F64"),
        (PLACES.int(), lambda x: x, "indices I32"),
        (PLACES[:0], lambda x: x[:0], "holds"),
        (torch.tensor(0), lambda x: x[0], "holds"),
        (PLACES.flip(0), lambda x: x, "indices must rise, each once, within 0 to 359"),
        (torch.tensor([0, 1, 1, 2, 3]), lambda x: x, "indices must rise"),
        (PLACES - 1, lambda x: x, "indices must rise"),
        (PLACES + 355 + 1, lambda x: x, "indices must rise"),
        (torch.tensor([0, 1, 2, 3, 2**62]), lambda x: x, "indices must rise"),
        (PLACES, lambda x: x * torch.nan, "test image 0: has pixels that are not within 0 to 1"),
        (PLACES, lambda x: x + torch.inf, "has pixels that are not within 0 to 1"),
        (PLACES, lambda x: x - 1e-7, "has pixels that are not within 0 to 1"),
        (PLACES, lambda x: x.clamp(min=1 + 2e-7), "has pixels that are not within 0 to 1"),
        (PLACES, lambda x: 1 - x, "more than epsilon 0.1 in norm inf; project it"),
        (PLACES + 5, lambda x: x, "more than epsilon 0.1 in norm inf; project it"),
    ],
)
def test_images_that_are_no_test_images_moved_within_the_ball_are_refused(
    folder, clean, places, change, expected
):
    files.write(folder, places, change(clean).contiguous())
    refused(folder, expected)


def test_one_step_of_float32_beyond_epsilon_and_tolerance_is_outside(folder, clean):
    """And one step nearer is not: it is refused for want of weights alone."""
    x = clean.clone()
    zero = tuple(torch.nonzero(x[0] == 0)[0])
    largest = np.float32(0.1 + 1e-6)  # the nearest float32; that below it lies within
    while float(largest) > 0.1 + 1e-6:
        largest = np.nextafter(largest, np.float32(0))
    x[0][zero] = float(largest)
    files.write(folder, PLACES, x)
    with pytest.raises(InputError, match="REGBENCH_WEIGHTS is not set"):
        check(folder)
    x[0][zero] = float(np.nextafter(largest, np.float32(1)))
    save_file({"indices": PLACES, "images": x}, folder / IMAGES)
    refused(folder, "test image 0: is moved by 0.10000100")


def _tensors(**more):
    return {"indices": PLACES, "images": torch.zeros(5, 1, 8, 8)} | more


def test_tensors_beside_the_two_are_refused(folder, clean):
    files.write(folder, PLACES, clean)
    save_file(_tensors(extra=torch.zeros(1)), folder / IMAGES)
    refused(folder, "extra F32 [1]")


def _pickled(path):
    """What torch.load would run."""

    class Harm:
        def __reduce__(self):
            return os.system, (f"touch {path}.ran",)

    torch.save(Harm(), path)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _header_beyond_the_file(path):
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")


def _tensors_that_overlap(path):
    one = {"dtype": "F32", "shape": [5, 1, 8, 8], "data_offsets": [0, 1280]}
    two = {"dtype": "I64", "shape": [5], "data_offsets": [0, 40]}
    header = json.dumps({"images": one, "indices": two}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(1280))


def _a_shape_of_terabytes(path):
    one = {"dtype": "F32", "shape": [2**40, 1, 8, 8], "data_offsets": [0, 1280]}
    two = {"dtype": "I64", "shape": [2**40], "data_offsets": [1280, 1320]}
    header = json.dumps({"images": one, "indices": two}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(1320))


@pytest.mark.parametrize(
    "spoil", [_pickled, _cut, _header_beyond_the_file, _tensors_that_overlap, _a_shape_of_terabytes]
)
def test_a_file_that_is_no_whole_safetensors_is_refused_and_nothing_of_it_runs(
    folder, clean, spoil
):
    files.write(folder, PLACES, clean)
    spoil(folder / IMAGES)
    refused(folder, "is no whole safetensors file")
    assert not (folder / f"{IMAGES}.ran").exists()


def test_a_huge_file_is_refused_unread(folder, clean):
    files.write(folder, PLACES, clean)
    with (folder / IMAGES).open("r+b") as file:
        file.truncate(2**40)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder, "has 1,099,511,627,776 bytes, more than")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def _link(folder):
    (folder / IMAGES).unlink()
    (folder / IMAGES).symlink_to("/dev/zero")
    return f"{IMAGES} is a link"


def _pipe(folder):
    (folder / TOML).unlink()
    os.mkfifo(folder / TOML)
    return f"{TOML} is no file"


def _code(folder):
    (folder / "attack.py").write_text("raise SystemExit")
    return "attack.py is no file of a challenge"


def _unprintable(folder):
    (folder / "\x1b[2J").touch()
    return r"'\x1b[2J' is no file of a challenge"


def _long(folder):
    (folder / TOML).write_text("#" * 20_000)
    return f"{TOML}: has 20,000 bytes"


def _absent(folder):
    (folder / IMAGES).unlink()
    return f"has no {IMAGES}"


@pytest.mark.parametrize("spoil", [_link, _pipe, _code, _unprintable, _long, _absent])
def test_a_folder_with_other_things_in_it_is_refused_by_the_check_and_by_rank(folder, clean, spoil):
    files.write(folder, PLACES, clean)
    expected = spoil(folder)
    refused(folder, expected)
    (folder / ACCEPTED).write_text("{}")
    with pytest.raises(InputError) as error:
        list(accepted())
    assert expected in str(error.value)


def test_a_folder_that_is_a_link_is_refused(folder, clean, tmp_path):
    files.write(tmp_path / "elsewhere", PLACES, clean)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is no folder"):
        check(folder)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"author": "A\\u001b[2Jda"}, "author: must be one line of printable characters"),
        ({"author": " "}, "author: must be one line"),
        ({"author": "a" * 101}, "author: "),
        ({"entry": "digits/lenet_300_100/jacobian/0.2"}, "entry: 'digits/lenet_300_100/jac"),
        ({"key": "0" * 16}, "key: '0000000000000000' is not that of digits/lenet"),
        ({"key": "../../../etc/pwd"}, "key: "),
        ({"epsilon": 0.3}, "threat: quickstart ranks by norm inf and epsilon 0.1"),
        ({"epsilon": "nan"}, "threat: epsilon: "),
        ({"epsilon": -1}, "threat: epsilon: "),
    ],
)
def test_a_toml_that_names_something_else_is_refused(folder, clean, fields, expected):
    files.write(folder, PLACES, clean, **fields)
    refused(folder, expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('track = "quickstart"', 'track = "quikstart"', "did you mean 'quickstart'?"),
        ("seed = 0", "seed = 3", "seed: 3 is none of 0 to 2"),
        ("seed = 0", 'seed = 0\nrun = "harm"', "unknown field 'run'"),
        ("seed = 0", "seed = ", "not valid TOML"),
        ("seed = 0", "\xff", "not valid TOML"),
    ],
)
def test_a_toml_that_does_not_fit_is_refused(folder, clean, old, new, expected):
    files.write(folder, PLACES, clean)
    toml = folder / TOML
    toml.write_text(toml.read_text().replace(old, new))
    refused(folder, expected)


def test_a_trial_without_a_row_cannot_be_challenged(folder, clean, tmp_path):
    files.write(folder, PLACES, clean)
    for file in (tmp_path / "results").iterdir():
        file.unlink()
    refused(folder, "has no row to challenge")


def test_a_forged_acceptance_is_refused_or_counts_nothing(folder, clean):
    files.write(folder, PLACES, clean)
    (folder / ACCEPTED).write_text('{"images": [0, 1]}')
    with pytest.raises(InputError, match=r"is not what `regbench challenge check` writes"):
        list(accepted())
    forged = {"sha256": "0" * 64, "weights_sha256": "", "data_sha256": "", "images": [0, 1]}
    (folder / ACCEPTED).write_text(json.dumps(forged | {"images": [-1]}))
    with pytest.raises(InputError, match=r"is not what `regbench challenge check` writes"):
        list(accepted())
    (folder / ACCEPTED).write_text(json.dumps(forged))
    assert list(accepted()) == []
