"""Code that does harm as soon as it is loaded: a verdict of one line, and the host untouched."""

import re

import pytest

from benchmark.sandbox.process import MIB, Limits

from .verdict import verdict_of

pytestmark = pytest.mark.slow

LIMITS = Limits(wall_seconds=60, cpu_seconds=30, memory=1024 * MIB)

THREADS = """
import threading, time
threading.stack_size(65536)
begun = 0
try:
    for _ in range(6000):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        begun += 1
except RuntimeError:
    pass
raise RuntimeError(f"began {begun} threads")
"""
QUEUES = """
import ctypes
libc = ctypes.CDLL(None)
message, held = ctypes.create_string_buffer(8192 + 8), 0
message[0] = 1
for _ in range(20000):
    queue = libc.msgget(0, 0o1600)
    while queue >= 0 and held < 300 * 2**20 and libc.msgsnd(queue, message, 8192, 0o4000) == 0:
        held += 8192
for name in range(256):
    queue = libc.mq_open(b"/%d" % name, 0o102, 0o600, None)
    while queue >= 0 and held < 300 * 2**20 and libc.mq_send(queue, message, 8192, 0) == 0:
        held += 8192
raise RuntimeError(f"the kernel holds {held} bytes")
"""
CASES = {
    "begins 6,000 threads": (THREADS, "began 0 threads"),
    "fills message queues": (QUEUES, "the kernel holds 0 bytes"),
    "forks without end": ("import os\nwhile True: os.fork()", "PermissionError"),
    "eats memory": ("x = [bytearray(2**26) for _ in range(10**6)]", "MemoryError"),
    "replaces a function of torch": (
        "import torch\ntorch.nn.functional.cross_entropy = None",
        "replaces .*cross_entropy",
    ),
    "replaces the evaluator": (
        "import benchmark.evaluation.evaluate\nbenchmark.evaluation.evaluate.evaluate = None",
        "imports benchmark.*: a method may use",
    ),
    "raises": ("raise RuntimeError('no\\nsecond line')", "RuntimeError: no"),
    "prints a gigabyte": ("while True: print('x' * 10**6)", "printed more than its limit of 1 MiB"),
    "ends its process as if all were well": (
        "import os\nos._exit(0)",
        "ended with exit code 0 before its task was done",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_submission_that_does_harm_when_loaded_ends_in_a_verdict(submission, case):
    code, expected = CASES[case]
    folder = submission(code)
    before = (folder / "regularizer.py").read_bytes()
    assert re.search(expected, verdict_of(folder, LIMITS))
    assert (folder / "regularizer.py").read_bytes() == before


def test_a_submission_that_sleeps_for_ever_is_ended(submission):
    folder = submission("import time\ntime.sleep(10**6)")
    assert "took longer than its limit of 8 s" in verdict_of(folder, Limits(wall_seconds=8))
