"""The filter of system calls against the kernel's own numbers, and run by a machine of its own."""

import errno
import re
import struct
from pathlib import Path

import pytest

from benchmark.sandbox import seccomp

# Debian's linux-libc-dev; aarch64 has the numbers that the kernel gives every new architecture.
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
CLONE_THREAD, CLONE_VM = 0x10000, 0x100
ALLOWED, KILLED = 0x7FFF0000, 0x80000000


def refused(number):
    return 0x00050000 | number


def calls(machine):
    path = HEADERS[machine]
    if not path.exists():
        pytest.skip(f"{path} is not there")
    defined = re.findall(r"^#define __NR_(\w+) (\d+)$", path.read_text(), re.MULTILINE)
    return {name: int(number) for name, number in defined}


def decision(content, architecture, number, flags=0):
    """What a program of classic BPF returns on a `struct seccomp_data`."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, flags, 0, 0, 0, 0, 0)
    lines = list(struct.iter_unpack("=HBBI", content))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, constant = lines[at]
        at += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, constant)
            continue
        holds = {
            0x15: accumulator == constant,
            0x35: accumulator >= constant,
            0x45: bool(accumulator & constant),
        }[code]
        at += if_true if holds else if_false


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_the_kernels(machine):
    known, kernel = seccomp.MACHINES[machine], calls(machine)
    assert known.refused.items() <= kernel.items()
    assert (known.clone, known.clone3) == (kernel["clone"], kernel["clone3"])
    absent = seccomp.MACHINES["x86_64"].refused.keys() - known.refused.keys()
    assert not absent & kernel.keys()


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("machine", HEADERS)
def test_what_is_listed_is_refused_and_all_else_is_allowed(machine, threads):
    known, kernel = seccomp.MACHINES[machine], calls(machine)
    content = seccomp.program(machine, threads=threads)
    assert content is not None
    for name, number in kernel.items():
        if name in ("clone", "clone3"):
            continue
        expected = refused(errno.EPERM) if name in known.refused else ALLOWED
        assert decision(content, known.architecture, number) == expected, name
    ask = [
        decision(content, known.architecture, kernel["clone"], flags)
        for flags in (CLONE_VM, CLONE_VM | CLONE_THREAD)
    ]
    assert ask == [refused(errno.EPERM), ALLOWED if threads else refused(errno.EAGAIN)]
    assert decision(content, known.architecture, kernel["clone3"]) == refused(errno.ENOSYS)
    assert decision(content, known.architecture, 0x40000000 + 1) == refused(errno.EPERM)
    assert decision(content, 0x40000003, 1) == KILLED


def test_on_another_machine_there_is_no_filter():
    assert seccomp.program("riscv64") is None
