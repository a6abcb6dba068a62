"""A filter of system calls for submitted code: no new process or thread, and nothing that gets
around the sandbox's other limits.

The filter is a program of classic BPF, as seccomp(2) describes it. It stands in front of the whole
child; once torch has the threads that it needs, the child refuses itself any more.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

CLONE_THREAD = 0x00010000
X32 = 0x40000000  # x86_64's second numbering of the same calls

# What is refused, by the numbers of the kernel's unistd.h for x86_64 and aarch64; None where a
# machine has no such call. Queues and semaphores would hold memory that no limit counts.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "fork": (57, None),
    "vfork": (58, None),
    "ptrace": (101, 117),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "io_uring_setup": (425, 425),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
}


@dataclass(frozen=True)
class Machine:
    """Its audit architecture, and the numbers of its calls."""

    architecture: int
    clone: int
    clone3: int
    refused: dict[str, int]


MACHINES = {
    name: Machine(
        architecture,
        clone,
        435,
        {call: number for call, numbers in _REFUSED.items() if (number := numbers[i]) is not None},
    )
    for i, (name, architecture, clone) in enumerate(
        [("x86_64", 0xC000003E, 56), ("aarch64", 0xC00000B7, 220)]
    )
}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in struct seccomp_data; clone's flags are its first argument.
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 16
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2


def program(machine: str | None = None, *, threads: bool = True) -> bytes | None:
    """The filter, as `bwrap --seccomp` reads it; None for a machine whose numbers are not known
    here.

    Args:
        machine: as `uname -m` names it; this one where not given.
        threads: whether new threads are allowed.
    """
    known = MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    denied = _ERROR | errno.EPERM
    lines: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, known.architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, X32),
        (_RETURN, 0, 0, denied),
    ]
    for number in known.refused.values():
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    lines += [
        (_EQUAL, 0, 1, known.clone3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),  # flags in memory; libc uses clone then
        (_EQUAL, 1, 0, known.clone),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FLAGS),
        (_ANY_BIT, 0, 1, CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW if threads else _ERROR | errno.EAGAIN),
        (_RETURN, 0, 0, denied),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_threads() -> None:
    """This process makes no thread from here on, whatever it does.

    Raises OSError where the kernel does not take the filter.
    """
    content = program(threads=False)
    assert content is not None  # there is no sandbox on other machines
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    filter = _Program(len(content) // 8, content)
    for call in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter), 0, 0),
    ):
        if prctl(*call) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"seccomp: {os.strerror(number)}")
