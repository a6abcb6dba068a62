"""What a sandboxed child can see and reach, as bubblewrap's arguments; and whether there is a
sandbox here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from registry.places import HERE, further
from registry.spec import InputError

from . import seccomp

ROOT = HERE.parent
PACKAGES = ("site-packages", "dist-packages")  # the folders that hold installed packages
# Inside the sandbox.
TASK, SUBMISSION, SCRATCH = "/task", "/submission", "/scratch"


def refusal() -> str | None:
    """Why there is no sandbox on this machine, in one line; None where there is one."""
    if not sys.platform.startswith("linux"):
        return f"bubblewrap needs Linux, and this is {sys.platform}"
    if seccomp.program() is None:
        return f"no filter of system calls is known for {os.uname().machine}"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "bubblewrap is not installed (Debian, Ubuntu, Fedora: package bubblewrap)"
    return _probe(bwrap)


@cache
def _probe(bwrap: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder, filter_file() as seccomp_fd:
        (Path(folder) / "regularizer.py").touch()
        command = [
            bwrap,
            *arguments(Path(folder), Path(folder), 64 * 2**20, seccomp_fd),
            sys.executable,
            "-I",
            "-S",
            "-c",
            "",
        ]
        tried = subprocess.run(
            command, pass_fds=[seccomp_fd], capture_output=True, text=True, check=False
        )
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
    return f"bubblewrap does not work here ({lines[-1]})"


def require() -> None:
    """Raises InputError where there is no sandbox."""
    reason = refusal()
    if reason:
        raise InputError(
            f"submitted code runs only in a sandbox: {reason}; mend that, or give --trust to run "
            "it without one after reading it"
        )


@contextmanager
def filter_file() -> Iterator[int]:
    """The open file descriptor of the filter of system calls."""
    with tempfile.TemporaryFile() as file:
        file.write(seccomp.program() or b"")
        file.flush()
        file.seek(0)
        yield file.fileno()


def arguments(task: Path, submission: Path, scratch: int, seccomp_fd: int) -> list[str]:
    """bubblewrap's: everything is absent unless it is named here."""
    # As pid 1 it is bubblewrap's own child, whose processor time is counted when it ends.
    arguments = [
        "--unshare-all",
        "--as-pid-1",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--uid",
        "65534",
        "--gid",
        "65534",
        "--hostname",
        "sandbox",
        "--clearenv",
    ]
    for name, value in {
        "PATH": "/usr/bin:/bin",
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "USER": "nobody",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }.items():
        arguments += ["--setenv", name, value]
    for place in ("/lib", "/lib64", "/lib32", "/bin", "/sbin"):
        if os.path.islink(place):
            arguments += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            arguments += ["--ro-bind", place, place]
    for place in _python():
        arguments += ["--ro-bind", str(place), str(place)]
    for place in ("/etc/ld.so.cache", "/etc/alternatives", "/sys/devices/system/cpu"):
        arguments += ["--ro-bind-try", place, place]
    for place in _hidden():
        arguments += ["--tmpfs", str(place), "--remount-ro", str(place)]
    for package in ("benchmark", "registry"):
        arguments += ["--ro-bind", str(ROOT / package), str(ROOT / package)]
    for place in further():  # networks of one's own
        networks = str(place / "architectures")
        arguments += ["--ro-bind-try", networks, networks]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    arguments += [
        "--ro-bind",
        str(task),
        TASK,
        "--ro-bind",
        str(submission.resolve() / "regularizer.py"),
        f"{SUBMISSION}/{submission.name}/regularizer.py",
    ]
    arguments += [
        "--size",
        str(scratch),
        "--tmpfs",
        SCRATCH,
        "--remount-ro",
        "/",
        "--chdir",
        SCRATCH,
    ]
    return [*arguments, "--seccomp", str(seccomp_fd)]


@cache
def _python() -> list[Path]:
    """The folders of the Python installation, /usr first, none inside another."""
    # A .pth file may name a folder of packages outside the installation.
    packages = [place for place in sys.path if Path(place).name in PACKAGES]
    places = [
        Path(place).resolve() for place in (sys.base_prefix, *site.getsitepackages(), *packages)
    ]
    places += [Path(sys.prefix), Path(sys.prefix).resolve()]
    found = [Path("/usr")]
    for place in sorted(set(places)):
        if place.is_dir() and not any(place.is_relative_to(other) for other in found):
            found.append(place)
    return found


@cache
def _hidden() -> list[Path]:
    """Folders inside the visible ones that hold data sets, labels and all."""
    found = [Path("/usr/share"), Path("/usr/local/share")]
    spec = importlib.util.find_spec("sklearn")
    if spec is not None and spec.submodule_search_locations:
        found += [Path(place) for place in spec.submodule_search_locations]
    return [
        place
        for place in found
        if place.is_dir() and any(place.is_relative_to(other) for other in _python())
    ]
