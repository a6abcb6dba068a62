"""Submitted code runs here and nowhere else: in a child process under bubblewrap that can reach
nothing but its task.

The child sees the Python installation, this package and the submission's code, all read-only, a
folder with its task, a scratch folder in memory, and memory that it shares with its parent. It has
no network, no home, no other process, no environment of ours, and limits of its own. Both sides
speak in lines of JSON through one socket; what the child says is believed only where it can be
checked: `benchmark.sandbox.training` does that.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .bubblewrap import ROOT, SUBMISSION, TASK, arguments, filter_file, require

MIB = 2**20
# What a child says before any submitted code has run: its processor time by then.
READY = "ready"
CLOSING = 5.0  # seconds that a child may take to end after it has closed its socket
LONGEST_REASON = 300  # characters


class SandboxError(Exception):
    """What submitted code did that ended it. The message is one line."""


@dataclass(frozen=True)
class Limits:
    """What a child may use. Memory counts beyond what torch itself takes."""

    wall_seconds: float = 3600.0
    cpu_seconds: int = 3600
    memory: int = 8192 * MIB
    scratch: int = 64 * MIB  # also the largest file
    printed: int = MIB
    said: int = MIB  # in answer to one request


class Child:
    """One child process, as its parent speaks with it. `started` makes one.

    seconds: its processor time since its task began, as the kernel counted it; once it has ended.
    ended_by_itself: whether it did, when its socket was closed. Else bubblewrap was killed before
        it could count the child's time.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], channel: socket.socket, limits: Limits
    ) -> None:
        assert process.stdout is not None
        self.seconds, self.ended_by_itself = 0.0, False
        self._process, self._channel, self._limits = process, channel, limits
        self._stdout, self._printed = process.stdout, bytearray()
        self._deadline = time.monotonic() + limits.wall_seconds
        self._rest, self._said = b"", 0  # an unfinished line; bytes since the last request
        self._items: deque[dict[str, Any]] = deque()
        self._doing, self._before, self._status = "", None, None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._channel, selectors.EVENT_READ)

    def ask(self, **request: Any) -> None:
        """Raises SandboxError where it has left too much unread."""
        self._said = 0
        content = json.dumps(request).encode() + b"\n"
        try:
            sent = self._channel.send(content, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:  # it has ended, and `hear` will say why
            return
        if sent < len(content):
            raise self._error("does not read what it is asked")

    def hear(self) -> dict[str, Any]:
        """The next thing that it says, of a kind that its task knows; lines that are no JSON object
        are dropped.

        Raises SandboxError where it breaks a limit, dies, or says what error ended it.
        """
        while not self._items:
            self._listen()
        item = self._items.popleft()
        reason = item.get("error")
        if isinstance(reason, str):
            raise self._error(reason)
        return item

    def _listen(self) -> None:
        """Takes in what has come, waiting for something to come."""
        left = self._deadline - time.monotonic()
        ready = self._selector.select(left) if left > 0 else []
        if not ready:
            seconds = self._limits.wall_seconds
            raise self._error(f"took longer than its limit of {seconds:g} s")
        for key, _ in ready:
            try:
                chunk = os.read(key.fd, 65536)
            except ConnectionResetError:  # it ended with requests unread
                chunk = b""
            if key.fd == self._stdout.fileno():
                self._printed += chunk
                if len(self._printed) > self._limits.printed:
                    most = self._limits.printed / MIB
                    raise self._error(f"printed more than its limit of {most:g} MiB")
                if not chunk:
                    self._selector.unregister(self._stdout)
            elif chunk:
                self._take(chunk)
            else:
                self._hear_out()
                raise self._error(self._death())

    def _take(self, chunk: bytes) -> None:
        self._said += len(chunk)
        if self._said > self._limits.said:
            raise self._error(f"answered more than its limit of {self._limits.said / MIB:g} MiB")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for text in lines:
            try:
                item = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if not isinstance(item, dict):
                continue
            if isinstance(item.get("doing"), str):
                self._doing = item["doing"]
            elif READY in item:
                if self._before is None and isinstance(item[READY], int | float):
                    self._before = float(item[READY])
            else:
                self._items.append(item)

    def _hear_out(self) -> None:
        """Gives a child that has closed its socket time to end by itself; takes in what it has
        said and printed.
        """
        deadline = time.monotonic() + CLOSING
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while not self.ended_by_itself and time.monotonic() < deadline:
            self.ended_by_itself = os.waitid(os.P_PID, self._process.pid, look) is not None
            time.sleep(0.005)
        self.end()
        os.set_blocking(self._stdout.fileno(), False)
        rest = self._stdout.read() or b""
        self._printed += rest[: self._limits.printed]

    def _death(self) -> str:
        """Why a child that has ended did not do its task."""
        code = self._process.returncode
        if {-code, code - 128} & {9, 24}:  # bubblewrap tells of a signal as a shell does
            seconds = self._limits.cpu_seconds
            return f"was ended: out of memory, or of its {seconds} s of processor time"
        last = (self._printed.decode(errors="replace").strip().splitlines() or [""])[-1]
        return f"ended with exit code {code} before its task was done: {last}".removesuffix(": ")

    def _error(self, why: str) -> SandboxError:
        self.end()
        return SandboxError(line(why + (f", in {self._doing!r}" if self._doing else "")))

    def end(self) -> None:
        """Ends all its processes, if it has not ended, and takes down its time."""
        if self._process.returncode is not None:
            return
        # Bubblewrap's death ends its namespace of processes. Popen.kill would reap it, and its
        # processor time be lost.
        os.kill(self._process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = max(usage.ru_utime + usage.ru_stime - (self._before or 0.0), 0.0)

    def finish(self) -> None:
        """Closes the socket, at which an honest child ends by itself, so that bubblewrap counts its
        time; and ends it.
        """
        self._selector.close()
        self._channel.close()
        if self._process.returncode is None:
            self._hear_out()
        self._stdout.close()


@contextmanager
def started(
    task: dict[str, Any],
    submission: Path,
    limits: Limits,
    *,
    memory: int | None = None,
    trusted: bool = False,
) -> Iterator[Child]:
    """A child that does one task in a sandbox. Leaving, however it happens, ends all its processes.

    Args:
        task: plain data with its `job`.
        submission: the folder whose code the child may load.
        memory: file descriptor of the memory that it shares.
        trusted: without the sandbox, in a plain child process that only keeps to the limits.
    Raises:
        InputError: there is no sandbox here.
    """
    if not trusted:
        require()
    with tempfile.TemporaryDirectory(prefix="regbench-task-") as name, filter_file() as seccomp_fd:
        folder, (ours, theirs) = Path(name), socket.socketpair()
        place = str(submission.resolve()) if trusted else f"{SUBMISSION}/{submission.name}"
        told = {
            "limits": asdict(limits),
            "channel": theirs.fileno(),
            "memory": memory,
            "submission": place,
            "trusted": trusted,
        }
        (folder / "task.json").write_text(json.dumps(task | told))
        start = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from benchmark.sandbox.child import main; main(sys.argv[1])"
        )
        command = [sys.executable, "-I", "-B", "-c", start, name if trusted else TASK]
        if not trusted:
            bubblewrap = arguments(folder, submission, limits.scratch, seccomp_fd)
            command = [str(shutil.which("bwrap")), *bubblewrap, *command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno(), seccomp_fd, *([] if memory is None else [memory])],
            env={"OMP_NUM_THREADS": "1"},
            cwd=name,
        )
        theirs.close()
        child = Child(process, ours, limits)
        try:
            yield child
        except BaseException:
            child.end()
            raise
        finally:
            child.finish()


def line(text: str) -> str:
    """One printable line of at most 300 characters."""
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_REASON].strip()
