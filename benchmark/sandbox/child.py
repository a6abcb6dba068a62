"""What runs inside the sandbox: reads its task, applies its limits, then does the job that its
parent named.

Everything that it says is untrusted from the moment a submission is loaded: its parent checks all
of it.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.spec import InputError

from .process import READY

Say = Callable[..., None]
Begin = Callable[[], None]
# Gets the task, the folder that it lies in, `say`, and `begin`, which it calls before it loads what
# it was given; gives back weights, or nothing. Imports made before `begin` do not count against the
# limits.
Job = Callable[[dict[str, Any], Path, Say, Begin], bytes]


def main(place: str) -> None:
    """Does the task in the folder `place` and ends the process. What submitted code would run at
    its end is not run.
    """
    folder = Path(place)
    task = json.loads((folder / "task.json").read_text())

    def write(content: bytes) -> None:
        while content:
            content = content[os.write(task["answer"], content) :]

    def say(**item: Any) -> None:
        write(json.dumps(item).encode() + b"\n")

    try:
        module, _, name = task["job"].partition(":")
        job: Job = getattr(importlib.import_module(module), name)
        weights = job(task, folder, say, lambda: _begin(task["limits"], say))
        say(done=True)
        if weights:
            say(weights=True)
            write(weights)
    except BaseException as error:  # whatever it is, it is the verdict
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        say(error=str(error) if isinstance(error, InputError) else reason)
        os._exit(1)
    os._exit(0)


def _begin(limits: dict[str, Any], say: Say) -> None:
    """Limits for good, and the mark from which on submitted code may run. Memory counts from here:
    torch maps much.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    mapped = pages * os.sysconf("SC_PAGE_SIZE")
    most = {
        resource.RLIMIT_AS: mapped + limits["memory"],
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["scratch"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in most.items():
        resource.setrlimit(kind, (limit, limit))
    say(**{READY: time.process_time()})
