"""Whatever lies where a file of the registry should: one line that says what is wrong, at once."""

import os

import pytest

from registry.load import Registry
from registry.read import read_toml, read_whole
from registry.spec import LONGEST, InputError


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def device(path):
    path.symlink_to("/dev/zero")


def itself(path):
    path.symlink_to(path)


def deep(path):
    path.write_text("x = " + "[" * 100_000)


def digits(path):
    path.write_text("x = " + "9" * 5000)


def control(path):
    path.write_text('x = "\x1b[2J"')


def large(path):
    path.write_bytes(b"#" * 2**21)


def line(caught):
    text = str(caught.value)
    assert len(text) <= LONGEST
    assert text.isprintable()
    return text


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (pipe, "is no file"),
        (folder, "cannot be read: Is a directory"),
        (device, "is no file"),
        (itself, "cannot be read: Too many levels of symbolic links"),
        (deep, "is nested too deeply"),
        (digits, "holds no usable number"),
        (control, "not valid TOML"),
        (large, "where at most"),
    ],
)
def test_what_is_no_usable_toml_file_is_refused_in_one_line(tmp_path, make, expected):
    path = tmp_path / "file.toml"
    make(path)
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert expected in line(caught)


def test_a_file_is_read_whole_up_to_its_largest_size(tmp_path):
    (tmp_path / "file").write_bytes(b"four")
    assert read_whole(tmp_path / "file", 4) == b"four"
    with pytest.raises(InputError, match="has 4 bytes, where at most 3 are read"):
        read_whole(tmp_path / "file", 3)


HUGE = "0x" + "f" * 4000


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("seeds = 3", f"seeds = {HUGE}", "seeds: "),
        ("seeds = 3", "seeds = 1001", "seeds: input should be less than or equal to 1000"),
        ("seeds = 3", f'seeds = "{"three" * 40_000}"', "seeds: "),
        ("seeds = 3", f"seeds = 3\n{'s' * 200_000} = 1", "unknown field"),
        ("[0.01, 0.1, 0.4]", f"[0.01, {HUGE}]", "entry 3: lambda 2: "),
        ("reference_epochs = 15", "reference_epochs = 2147483648", "recipe: reference_epochs: "),
    ],
)
def test_a_value_beyond_all_measure_is_refused_in_one_short_line(registry_copy, old, new, field):
    path = registry_copy / "tracks" / "quickstart.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        Registry(registry_copy, registry_copy / "none").track("quickstart")
    assert field in line(caught)
    assert "tracks/quickstart.toml: " in str(caught.value)


def test_a_long_line_keeps_its_beginning_and_its_end():
    message = str(InputError(f"file.toml: title: {'x' * 1000}\x1b; shorten it"))
    assert len(message) == LONGEST
    assert message.startswith("file.toml: title: xxx")
    assert message.endswith("\\x1b; shorten it")
