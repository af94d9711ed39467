"""Which files this process may read from now on; none may be written. Linux 5.13 and newer; elsewhere nothing happens.

Source: Landlock, Documentation/userspace-api/landlock.rst and linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
VERSION_FLAG, PATH_BENEATH = 1, 1
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
EVERY_FILE_RIGHT = {1: 13, 2: 14, 3: 15, 4: 15}  # ABI -> number of rights that it knows; from 5 on 16
NET_RIGHTS = 0b11  # bind and connect of TCP, from ABI 4 on
SCOPES = 0b11  # abstract sockets and signals to others, from ABI 6 on


def read_only(folders: Iterable[str]) -> int:
    """Let this thread and those it begins read these folders and files, and nothing else. Cannot be undone.

    Needs `no_new_privs`, or a privilege.

    Returns:
        the ABI that the kernel holds us to; 0 = it has no Landlock, and nothing was changed.
    """
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    if abi < 1:
        return 0
    files = (1 << EVERY_FILE_RIGHT.get(abi, 16)) - 1
    rules = struct.pack("=QQQ", files, NET_RIGHTS, SCOPES)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = libc.syscall(CREATE_RULESET, rules, len(rules), 0)
    if ruleset < 0:
        return 0
    try:
        for folder in folders:
            _allow(libc, ruleset, folder)
        return int(abi) if libc.syscall(RESTRICT_SELF, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be allowed
    try:
        rights = EXECUTE | READ_FILE | (READ_DIR if os.path.isdir(path) else 0)  # noqa: PTH112
        libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
