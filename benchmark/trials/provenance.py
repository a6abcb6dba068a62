"""Where and with what a trial ran: recorded with every outcome, part of no key."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any


@cache
def commit() -> str:
    """Of the checkout that this code is in, marked where it was changed; "unknown" outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "unknown"  # git would answer for a repository that the installed package lies in
    git = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
        capture_output=True,
        text=True,
        check=False,
    )
    return git.stdout.strip() or "unknown"


@cache
def provenance(device: str) -> dict[str, Any]:
    """As plain data."""
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor()
    versions = {package: version(package) for package in ("torch", "timm", "numpy", "pyautoattack")}
    return {
        "commit": commit(),
        "executor": "local",
        "device": device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "deterministic": not device.startswith("cuda"),
        **versions,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    cores = os.cpu_count() or 1
    return f"{names[0] if names else platform.processor() or platform.machine()} ({cores} cores)"
