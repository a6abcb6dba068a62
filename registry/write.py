"""Files that appear whole or not at all, and what becomes of one that is not whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that a kill leaves the old one or the new one; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Renames a damaged file that can be made again to `.quarantined`, for whoever asks why."""
    aside = path.with_suffix(".quarantined")
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside)
    elif os.path.lexists(aside):  # a folder could not take its place
        aside.unlink()
    path.replace(aside)
