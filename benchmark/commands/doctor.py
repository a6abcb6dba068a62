"""`regbench doctor`: is this machine ready to run, and if not, what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from registry.load import Registry
from registry.spec import InputError

from .. import sandbox
from ..records import home, open_store


@dataclass(frozen=True)
class Condition:
    """One thing that a run needs, or, where it is optional, does without."""

    name: str
    ok: bool
    detail: str
    optional: bool = False


def _home() -> tuple[bool, str]:
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free / 2**30
    except OSError as error:
        return False, f"{folder}: {error.strerror}; set REGBENCH_HOME to another folder"
    free_room = f"{free:.0f} GiB free (set REGBENCH_HOME for another)"
    return os.access(folder, os.W_OK), f"{folder}, {free_room}"


def conditions() -> list[Condition]:
    """Of this machine, one line each."""
    conditions: list[Condition] = []

    def found(name: str, ok: bool, detail: str, optional: bool = False) -> None:
        conditions.append(Condition(name, ok, detail, optional))

    found(
        "python",
        sys.version_info >= (3, 11),
        f"{platform.python_version()} (3.11 or newer is needed)",
    )
    for package in ("torch", "timm", "pyautoattack", "datasets", "duckdb", "streamlit"):
        try:
            found(package, True, version(package))
        except PackageNotFoundError:
            found(package, False, "not installed; run `make setup`")
    with suppress(ImportError):
        import torch

        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        found("device", True, ", ".join(gpus) if gpus else f"no GPU; {os.cpu_count()} CPU cores")
    found("home", *_home())
    try:
        store = open_store()
        found("database", True, f"{store.count()} trials in {store.path.name}")
    except InputError as error:
        found("database", False, str(error))
    reason = sandbox.refusal()
    found(
        "sandbox",
        reason is None,
        f"{reason}; submitted code is refused without" if reason else "bubblewrap",
        optional=True,
    )
    registry = Registry()
    for kind, names, read in (
        ("tracks", registry.track_names, registry.track),
        ("regularizers", list(registry.regularizer_folders), registry.regularizer),
        ("datasets", registry.dataset_names, registry.dataset),
    ):
        try:
            found(kind, True, f"{len([read(name) for name in names])} registered")
        except InputError as error:
            found(kind, False, str(error))
    return conditions
