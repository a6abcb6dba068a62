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

from . import seccomp
from .process import READY


class Channel:
    """A child's end of the socket, and what it is told at its start."""

    def __init__(self, task: dict[str, Any]):
        self.task = task
        self._socket: int = task["channel"]
        self._requests = os.fdopen(os.dup(self._socket), "rb")

    def say(self, **item: Any) -> None:
        content = json.dumps(item).encode() + b"\n"
        while content:
            content = content[os.write(self._socket, content) :]

    def asked(self) -> dict[str, Any] | None:
        """The parent's next request; None once it has none left."""
        request = self._requests.readline()
        return json.loads(request) if request else None

    def begin(self) -> None:
        """Limits for good, and the mark from which on submitted code may run.

        Memory counts from here: torch maps much. Threads are those that there are.
        """
        limits: dict[str, Any] = self.task["limits"]
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
        if not self.task["trusted"]:
            seccomp.refuse_threads()
        self.say(**{READY: time.process_time()})


# Calls `begin` before it loads what it was given: imports made before do not count against the
# limits.
Job = Callable[[Channel], None]


def main(place: str) -> None:
    """Does the task in the folder `place` and ends the process. What submitted code would run at
    its end is not run.
    """
    channel = Channel(json.loads((Path(place) / "task.json").read_text()))
    try:
        module, _, name = channel.task["job"].partition(":")
        job: Job = getattr(importlib.import_module(module), name)
        job(channel)
    except BaseException as error:  # whatever it is, it is the verdict
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        channel.say(error=str(error) if isinstance(error, InputError) else reason)
        os._exit(1)
    os._exit(0)
