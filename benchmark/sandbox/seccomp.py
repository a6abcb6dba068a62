"""A filter of system calls for submitted code: no new process, and nothing that gets around the
sandbox's other limits.

Threads stay possible: torch needs them. The filter is a program of classic BPF, as seccomp(2)
describes it.
"""

from __future__ import annotations

import errno
import platform
import struct

CLONE_THREAD = 0x00010000
X32 = 0x40000000  # x86_64's second numbering of the same calls

# Per machine: audit architecture, clone, clone3 and what is refused. Numbers are those of the
# kernel's unistd.h.
_REFUSED = (
    "fork",
    "vfork",
    "ptrace",
    "mount",
    "umount2",
    "unshare",
    "setns",
    "bpf",
    "userfaultfd",
    "perf_event_open",
    "add_key",
    "request_key",
    "keyctl",
    "io_uring_setup",
    "memfd_create",
    "memfd_secret",
    "shmget",
    "process_vm_readv",
    "process_vm_writev",
)
_MACHINES: dict[str, tuple[int, int, int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        56,
        435,
        dict(
            zip(
                _REFUSED,
                (
                    57,
                    58,
                    101,
                    165,
                    166,
                    272,
                    308,
                    321,
                    323,
                    298,
                    248,
                    249,
                    250,
                    425,
                    319,
                    447,
                    29,
                    310,
                    311,
                ),
            )
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        435,
        dict(
            zip(
                _REFUSED[2:],
                (  # it has neither fork nor vfork
                    117,
                    40,
                    39,
                    97,
                    268,
                    280,
                    282,
                    241,
                    217,
                    218,
                    219,
                    425,
                    279,
                    447,
                    194,
                    270,
                    271,
                ),
            )
        ),
    ),
}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FLAGS = (
    0,
    4,
    16,
)  # offsets in struct seccomp_data; clone's flags are its first argument
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def program() -> bytes | None:
    """The filter for this machine, as `bwrap --seccomp` reads it; None for a machine whose numbers
    are not known here.
    """
    known = _MACHINES.get(platform.machine())
    if known is None:
        return None
    architecture, clone, clone3, refused = known
    denied = _ERROR | errno.EPERM
    lines: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, X32),
        (_RETURN, 0, 0, denied),
    ]
    for number in refused.values():
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    lines += [
        (_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),  # flags in memory; libc uses clone then
        (_EQUAL, 1, 0, clone),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FLAGS),
        (_ANY_BIT, 0, 1, CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, denied),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
