"""A process that looks at what came from outside gives away what it does not need, before it looks.

No network, no other processes, no file to write, few to read, bounded memory and time. Each bar is put up by itself and
the answer says which hold: a kernel or a container may refuse one. Import this before anything that begins threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from dataclasses import dataclass

from irp_kernel.landlock import read_only
from irp_kernel.seccomp import PR_SET_NO_NEW_PRIVS, refuse_system_calls

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
LIBRARIES_BYTES = 16 << 30  # of addresses, beyond the memory: libraries are mapped there
DESCRIPTORS = 256
NEEDED = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/dev/null", "/dev/urandom")
MACHINE = ("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/devices/system/node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a confined process may use.

    Attributes:
        memory_bytes: of its own data. The limit counts no shared memory, which is refused where `system_calls` holds.
        seconds: of the processor, all threads together.
    """

    memory_bytes: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Which bars hold.

    Attributes:
        namespace: it is alone in a network without interfaces, and is nobody outside.
        system_calls: sockets, processes, changes of files and shared memory are refused by a filter.
        files: it reads the installed software only.
    """

    namespace: bool
    system_calls: bool
    files: bool

    @property
    def offline(self) -> bool:
        """Nothing can be reached over a network."""
        return self.namespace or self.system_calls


def confine(bounds: Bounds) -> Confinement:
    """Give everything else away, for good."""
    _bound(bounds)
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = _alone(libc)
    with contextlib.suppress(OSError, AttributeError):
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    files = read_only(_readable()) > 0
    return Confinement(namespace=namespace, system_calls=refuse_system_calls(), files=files)


def _bound(bounds: Bounds) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_CPU: bounds.seconds,
        resource.RLIMIT_DATA: bounds.memory_bytes,
        resource.RLIMIT_AS: bounds.memory_bytes + LIBRARIES_BYTES,
    }
    for which, value in limits.items():
        _, hard = resource.getrlimit(which)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (most, most))


def _alone(libc: ctypes.CDLL) -> bool:
    """Namespaces of its own. Refused to a process with threads, and in many containers."""
    with contextlib.suppress(OSError, AttributeError):
        return bool(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) == 0)
    return False


def _readable() -> set[str]:
    """The interpreter, its libraries and packages, and what tells a library which processor this is."""
    code = {path for path in (*sys.path, sys.prefix, sys.base_prefix) if path and os.path.isabs(path)}  # noqa: PTH117
    return {*code, *NEEDED, *MACHINE}
