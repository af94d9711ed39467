"""System calls that this process no longer has: sockets, other processes, changes of files. Linux on x86-64 and ARM64.

Neither has it memory that no limit counts: shared without a file (mmap), or in a file without a name (memfd). A filter
of the kernel's own (classic BPF) answers them with EPERM; threads are still allowed. Source: seccomp(2),
linux/filter.h, and the kernel's system call tables.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, JUMP_EQUAL, JUMP_ANY_BIT, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments have 8 bytes each
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38
CLONE_THREAD = 0x00010000
MAP_SHARED, MAP_ANONYMOUS = 0x01, 0x20
OPEN_FOR_WRITING = 0o1 | 0o2 | 0o100 | 0o1000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC

REFUSED = {
    "x86_64": (
        *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),  # socket connect accept sendto sendmsg bind listen socketpair ...
        *(57, 58, 59, 322, 62, 200, 129, 297, 141, 101, 310, 311, 424, 434, 438),  # fork execve kill ptrace pidfd ...
        *(85, 82, 83, 84, 86, 87, 88, 76, 77, 90, 91, 92, 93, 94, 133),  # creat rename mkdir link unlink chmod chown
        *(258, 259, 260, 263, 264, 265, 266, 268, 316, 188, 189, 190, 132, 235, 261, 280, 452),  # the same, by folder
        *(155, 161, 165, 166, 272, 308, 175, 313, 246, 320, 169),  # pivot_root chroot mount unshare setns modules kexec
        *(248, 249, 250, 298, 321, 323, 425, 426, 427, 29, 68, 64),  # keys perf bpf userfaultfd io_uring shm msg sem
        *(319, 447),  # memfd_create memfd_secret
    ),
    "aarch64": (
        *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269),
        *(221, 281, 129, 130, 138, 240, 140, 117, 270, 271, 424, 434, 438),
        *(33, 34, 35, 36, 37, 38, 45, 46, 52, 53, 54, 55, 276, 5, 6, 7, 88, 452),
        *(41, 51, 40, 39, 97, 268, 105, 273, 104, 294, 142),
        *(217, 218, 219, 241, 280, 282, 425, 426, 427, 194, 186, 190),
        *(279, 447),
    ),
}
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
OPENS = {"x86_64": ((2, 1), (257, 2)), "aarch64": ((56, 2),)}  # number, place of the flags among the arguments
# tgkill, prlimit64: whose they may be, namely its own process's. A process aborts by a signal to itself.
OWN_ONLY = {"x86_64": (234, 302), "aarch64": (131, 261)}
OPENAT2, CLONE3 = 437, 435  # their flags lie where a filter cannot look; callers fall back to openat and clone
CLONE = {"x86_64": 56, "aarch64": 220}
MMAP = {"x86_64": (9, 3), "aarch64": (222, 3)}  # number, place of the flags
OTHER_NUMBERS = {"x86_64": 0x40000000}  # the x32 ABI


def refuse_system_calls() -> bool:
    """Refuse them from now on, to this thread and those it begins. Cannot be undone; False = nothing was changed."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in REFUSED:
        return False
    code = b"".join(_program(machine))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(PR_SET_SECCOMP, MODE_FILTER, program, 0, 0) == 0)


def _program(machine: str) -> list[bytes]:
    say_no, not_there = _answer(ERRNO | EPERM), _answer(ERRNO | ENOSYS)
    steps = [_load(ARCHITECTURE), _step(JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]), _answer(KILL), _load(NUMBER)]
    if machine in OTHER_NUMBERS:
        steps += [_step(JUMP_AT_LEAST, 0, 1, OTHER_NUMBERS[machine]), say_no]
    for number in REFUSED[machine]:
        steps += [_step(JUMP_EQUAL, 0, 1, number), say_no]
    for number in (OPENAT2, CLONE3):
        steps += [_step(JUMP_EQUAL, 0, 1, number), not_there]
    for number, place in OPENS[machine]:
        steps += [_step(JUMP_EQUAL, 0, 4, number), _load(ARGUMENTS + 8 * place)]
        steps += [_step(JUMP_ANY_BIT, 0, 1, OPEN_FOR_WRITING), say_no, _answer(ALLOW)]
    for number, whose in zip(OWN_ONLY[machine], (os.getpid(), 0), strict=True):
        steps += [_step(JUMP_EQUAL, 0, 4, number), _load(ARGUMENTS)]
        steps += [_step(JUMP_EQUAL, 1, 0, whose), say_no, _answer(ALLOW)]
    number, place = MMAP[machine]
    steps += [_step(JUMP_EQUAL, 0, 5, number), _load(ARGUMENTS + 8 * place)]
    steps += [_step(JUMP_ANY_BIT, 0, 2, MAP_ANONYMOUS), _step(JUMP_ANY_BIT, 0, 1, MAP_SHARED), say_no, _answer(ALLOW)]
    steps += [_step(JUMP_EQUAL, 0, 3, CLONE[machine]), _load(ARGUMENTS), _step(JUMP_ANY_BIT, 1, 0, CLONE_THREAD)]
    return [*steps, say_no, _answer(ALLOW)]


def _load(offset: int) -> bytes:
    return _step(LOAD, 0, 0, offset)


def _answer(what: int) -> bytes:
    return _step(RETURN, 0, 0, what)


def _step(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
