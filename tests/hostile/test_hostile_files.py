"""What lies beside the code, or hides in it, never runs in its place."""

import inspect
import os
import py_compile
import sysconfig
import traceback
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmark.commands.submit import submit, verify
from benchmark.regularizer import load_regularizer
from benchmark.review.check import examine
from registry.load import Registry
from registry.places import HERE
from registry.spec import InputError

pytestmark = pytest.mark.slow

FRAUD = """
from benchmark.regularizer import Regularizer
class Fraud(Regularizer):
    def penalty(self, step): return step.losses * 0
"""
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")


def compiled_beside(folder):
    """A bytecode cache that Python's own loader would take for the source's: other code, its time
    and size.
    """
    code = folder / "regularizer.py"
    honest, status = code.read_text(), code.stat()
    code.write_text(FRAUD.ljust(len(honest)))
    os.utime(code, ns=(status.st_atime_ns, status.st_mtime_ns))
    cache = Path(str(py_compile.compile(str(code))))
    code.write_text(honest)
    os.utime(code, ns=(status.st_atime_ns, status.st_mtime_ns))
    return cache


def test_of_a_source_with_a_forged_bytecode_cache_the_source_runs_and_no_cache_is_written(
    submission,
):
    folder = submission()
    cache = compiled_beside(folder)
    forged = cache.read_bytes()
    assert type(load_regularizer(folder, {})).__name__ == "InputGradientNorm"
    assert cache.read_bytes() == forged
    assert list(cache.parent.iterdir()) == [cache]


def _extension(folder):
    (folder / f"regularizer{SUFFIX}").write_bytes(b"\x7fELF")
    return f"regularizer{SUFFIX} is no file of a submission"


def _cache(folder):
    compiled_beside(folder)
    return "__pycache__ is no file of a submission"


def _link(folder):
    (folder / "README.md").symlink_to("/etc/passwd")
    return "README.md is a link"


def _pipe(folder):
    (folder / "entries.toml").unlink()
    os.mkfifo(folder / "entries.toml")
    return "entries.toml is no file"


def _folder(folder):
    (folder / "README.md").mkdir()
    return "README.md is no file"


def _unprintable(folder):
    (folder / "\x1b[2Jx").touch()
    return r"'\x1b[2Jx' is no file of a submission"


@pytest.mark.parametrize("beside", [_extension, _cache, _link, _pipe, _folder, _unprintable])
def test_a_folder_with_something_beside_its_six_files_is_refused_by_every_command(
    submission, beside
):
    folder = submission()
    (folder / "results.jsonl").write_text("{}\n")
    expected = beside(folder)
    report = examine(folder)
    assert [finding.ok for finding in report.findings] == [False]
    assert expected in report.verdict and len(report.verdict.splitlines()) == 1
    with pytest.raises(InputError) as on_run:
        Registry(HERE, folder.parent).select(["digits/lenet_300_100/hostile/0.05"])
    with pytest.raises(InputError) as on_verify:
        verify(folder, workers=1)
    for refused in (on_run, on_verify):
        assert expected in str(refused.value) and len(str(refused.value).splitlines()) == 1
    with pytest.raises(typer.Exit) as on_submit:
        submit(folder, workers=1)
    assert on_submit.value.exit_code == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# \u202e evil \u202c\n", r"line 1: holds the character U\+202E"),
        ("x = 1  # \u2028y = 2\n", r"line 1: holds the character U\+2028"),
        ("\nx = 1 # \ry = 2\n", r"line 2: holds the character U\+000D"),
        ("x = '\x00'\n", r"line 1: holds the character U\+0000"),
        (b"x = '\xff'\n", "byte 5 is not UTF-8"),
    ],
)
def test_code_that_an_editor_would_show_otherwise_than_python_runs_it_is_refused(
    tmp_path, text, expected
):
    (tmp_path / "regularizer.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=expected):
        load_regularizer(tmp_path, {})


def test_a_coding_cookie_does_not_change_what_is_read(tmp_path):
    """Under UTF-7 the comment would end and a raise begin."""
    hidden = "# coding: utf-7\n# +AAo-raise SystemExit\n" + FRAUD
    (tmp_path / "regularizer.py").write_text(hidden)
    assert type(load_regularizer(tmp_path, {})).__name__ == "Fraud"


def test_a_traceback_and_getsource_show_the_source(tmp_path):
    path = tmp_path / "regularizer.py"
    path.write_text(FRAUD.replace("step.losses * 0", "step.nothing  # here"))
    regularizer: Any = load_regularizer(tmp_path, {})
    assert "def penalty" in inspect.getsource(type(regularizer))
    try:
        regularizer.penalty(None)
    except AttributeError:
        assert "step.nothing  # here" in traceback.format_exc()
    else:
        raise AssertionError("it did not raise")
