"""Where and with what a trial ran: recorded with every outcome, part of no key."""

from __future__ import annotations

import platform
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .processor import Processor


@cache
def commit() -> str:
    """Of the checkout that this code is in, marked where it was changed; "unknown" outside one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "unknown"  # git would answer for a repository that the installed package lies in
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # a clone without the program
        return "unknown"
    return git.stdout.strip() or "unknown"


# Libraries that multiply matrices and convolve, as `torch.__config__.show` names them.
LIBRARIES = {
    "blas": re.compile(r"(Math Kernel Library Version.*Build \d+|(?<=BLAS_INFO=)\w+)"),
    "onednn": re.compile(r"(?:MKL-DNN|oneDNN) v?([\d.]+)"),
}


@cache
def provenance(device: str) -> dict[str, Any]:
    """As plain data: among it all that decides a result's last bits.

    That is the device by name; of the processor family, stepping and vector extensions; which of
    these torch uses; the number of threads; the versions of the libraries below.
    """
    import torch

    processor = Processor.here()
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor.named
    packages = ("torch", "timm", "numpy", "pyautoattack")
    return {
        "commit": commit(),
        "executor": "local",
        "device": device,
        "device_name": name,
        "processor": processor.family,
        "vector_extensions": processor.vectors,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        **libraries(torch.__config__.show()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "deterministic": not device.startswith("cuda"),
        **{package: version(package) for package in packages},
    }


def libraries(shown: str) -> dict[str, str]:
    """BLAS and oneDNN with their versions; "none" where torch is built without.

    Args:
        shown: as `torch.__config__.show` gives it.
    """
    found = {name: pattern.search(shown) for name, pattern in LIBRARIES.items()}
    return {name: match[1] if match else "none" for name, match in found.items()}
