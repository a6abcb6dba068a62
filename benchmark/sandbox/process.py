"""Submitted code runs here and nowhere else: in a child process under bubblewrap that can reach
nothing but its task.

The child sees the Python installation, this package and the submission, all read-only, a folder
with its task, and a scratch folder in memory. It has no network, no home, no other process, no
environment of ours, and limits of its own. What it gives back comes through one pipe and is
believed only where it can be checked: `benchmark.sandbox.training` does that.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .bubblewrap import ROOT, SUBMISSION, TASK, arguments, filter_file, require

MIB = 2**20
# In front of every child: its parent's word that the task has begun, before any submitted code has
# run.
READY = "ready"
CLOSING = 5.0  # seconds that a child may take to end after it has closed its streams


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
    answer: int = MIB  # beside weights


@dataclass(frozen=True)
class Answer:
    """What a child said: JSON objects, then perhaps weights (a safetensors file, unread).
    `seconds`: its processor time since its task began, as the kernel counted it."""

    said: list[dict[str, Any]]
    weights: bytes
    seconds: float


def run(
    task: dict[str, Any],
    files: dict[str, bytes],
    submission: Path,
    limits: Limits,
    *,
    weights: int = 0,
    trusted: bool = False,
) -> Answer:
    """Runs one task of `benchmark.sandbox.child` in a sandbox.

    Args:
        task: plain data with its `kind`.
        files: name → content of what lies beside it in the task's folder.
        submission: the folder whose code the child may load.
        weights: the most bytes of weights to take back.
        trusted: without the sandbox, in a plain child process that only keeps to the limits.
    Raises:
        SandboxError: the child broke a limit, died or raised.
        InputError: there is no sandbox here.
    """
    if not trusted:
        require()
    with tempfile.TemporaryDirectory(prefix="regbench-task-") as name, filter_file() as seccomp_fd:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        answers, theirs = os.pipe()
        place = str(submission.resolve()) if trusted else f"{SUBMISSION}/{submission.name}"
        (folder / "task.json").write_text(
            json.dumps(task | {"limits": asdict(limits), "answer": theirs, "submission": place})
        )
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from benchmark.sandbox.child import main; main(sys.argv[1])"
        command = [sys.executable, "-I", "-B", "-c", start, name if trusted else TASK]
        if not trusted:
            command = [
                str(shutil.which("bwrap")),
                *arguments(folder, submission, limits.scratch, seccomp_fd),
                *command,
            ]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[seccomp_fd, theirs],
            env={"OMP_NUM_THREADS": "1"},
            cwd=name,
        )
        os.close(theirs)
        return _heard(child, answers, limits, limits.answer + weights)


def _heard(child: subprocess.Popen[bytes], answers: int, limits: Limits, most: int) -> Answer:
    """Follows a child to its end. Leaving here, however it happens, ends all its processes."""
    assert child.stdout is not None
    streams = {child.stdout.fileno(): bytearray(), answers: bytearray()}
    allowed = {child.stdout.fileno(): limits.printed, answers: most}
    why = ""
    try:
        for stream, chunk in _chunks(list(streams), time.monotonic() + limits.wall_seconds):
            if chunk is None:
                why = f"took longer than its limit of {limits.wall_seconds:g} s"
                break
            streams[stream] += chunk
            if len(streams[stream]) > allowed[stream]:
                what = "answered" if stream == answers else "printed"
                why = f"{what} more than its limit of {allowed[stream] / MIB:g} MiB"
                break
        if not why:
            _wait(child.pid, CLOSING)
    finally:
        # Bubblewrap's death ends its namespace of processes. Popen.kill would reap it, and its
        # processor time be lost.
        os.kill(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        os.close(answers)
        child.stdout.close()
    said, weights = _parsed(bytes(streams[answers]))
    if not why:
        why = _death(child.returncode, said, bytes(streams[next(iter(streams))]), limits)
    if why:
        doing = next(
            (item["doing"] for item in reversed(said) if isinstance(item.get("doing"), str)), ""
        )
        raise SandboxError(line(why + (f", in {doing!r}" if doing else "")))
    before = next(
        (float(item[READY]) for item in said if isinstance(item.get(READY), int | float)), 0.0
    )
    return Answer(said, weights, max(usage.ru_utime + usage.ru_stime - before, 0.0))


def _chunks(streams: Sequence[int], deadline: float) -> Iterator[tuple[int, bytes | None]]:
    """What arrives on each stream until all are closed; (…, None) at the deadline."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            ready = selector.select(left) if left > 0 else []
            if not ready:
                yield streams[0], None
                return
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if chunk:
                    yield key.fd, chunk
                else:
                    selector.unregister(key.fd)


def _wait(pid: int, seconds: float) -> None:
    """Gives a child that has closed its streams time to end by itself, and leaves it to be reaped."""
    deadline = time.monotonic() + seconds
    while (
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.005)


def _parsed(answer: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """Lines of JSON objects; after one that says {"weights": true} all that follows is weights.
    Other lines are dropped.
    """
    said: list[dict[str, Any]] = []
    while answer:
        line, _, answer = answer.partition(b"\n")
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict):
            if item.get("weights") is True:
                return said, answer
            said.append(item)
    return said, b""


def _death(code: int, said: list[dict[str, Any]], printed: bytes, limits: Limits) -> str:
    """Why a child that came to its end did not do its task; "" where it did."""
    error = next((item["error"] for item in said if isinstance(item.get("error"), str)), None)
    if error is not None:
        return error
    if code == 0 and any(item.get("done") is True for item in said):
        return ""
    if code - 128 in (9, 24):  # bubblewrap tells of a signal as a shell does
        return f"was ended: out of memory, or of its {limits.cpu_seconds} s of processor time"
    last = (printed.decode(errors="replace").strip().splitlines() or [""])[-1]
    return f"ended with exit code {code} before its task was done" + (f": {last}" if last else "")


def line(text: str) -> str:
    """One printable line of at most 300 characters."""
    return "".join(c if c.isprintable() else " " for c in text)[:300].strip()
