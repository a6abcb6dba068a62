"""The home: where the database, the weights and the caches live, and who may write there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.read import shown
from registry.spec import Unavailable

DATABASE = "regbench.duckdb"
WEIGHTS = "weights.safetensors"


def home() -> Path:
    """$REGBENCH_HOME, or runs/ in the working folder."""
    return Path(os.environ.get("REGBENCH_HOME") or "runs").expanduser().resolve()


@contextmanager
def sole_runner(home: Path) -> Iterator[None]:
    """Raises Unavailable where another run works on the same home. The lock goes with the process,
    however it ends.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / ".runner"
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise Unavailable(
                f"{shown(home)}: process {file.read().strip() or '?'} is running trials there; wait for it, "
                "or set REGBENCH_HOME to another folder"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file so that a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
