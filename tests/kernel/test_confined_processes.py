"""What you learn here: a process that confined itself reaches no network, no other process, no file of the house."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

# Tries everything that it must not, and says for each whether it could.
PROBE = """
import ctypes, json, mmap, os, resource, socket, subprocess, sys, threading
from irp_kernel.confinement import Bounds, confine
held = confine(Bounds(memory_bytes=1 << 30, seconds=30))
secret, parent, port = sys.argv[1], os.getppid(), int(sys.argv[2])
found = {"held": [held.namespace, held.system_calls, held.files, held.offline]}
def attempt(name, act):
    try:
        act()
        found[name] = "done"
    except Exception as error:
        found[name] = type(error).__name__
attempt("connect", lambda: socket.create_connection(("127.0.0.1", port), 1))
attempt("local socket", lambda: socket.socket(socket.AF_UNIX))
attempt("run", lambda: subprocess.run(["/bin/true"]))
attempt("fork", os.fork)
attempt("kill", lambda: os.kill(parent, 0))
def checked(answer):
    if answer:
        raise PermissionError
attempt("signal a thread", lambda: checked(ctypes.CDLL(None).tgkill(parent, parent, 0)))
attempt("limit another", lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE))
attempt("write", lambda: open(secret, "w"))
attempt("read", lambda: open(secret).read())
attempt("remove", lambda: os.unlink(secret))
attempt("environment of the room", lambda: open(f"/proc/{parent}/environ").read())
attempt("memory", lambda: bytearray(2 << 30))
attempt("shared memory", lambda: mmap.mmap(-1, 4 << 20))
attempt("memory as a file", lambda: os.memfd_create("x"))
attempt("private memory", lambda: mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
attempt("thread", lambda: threading.Thread(target=int).start())
print(json.dumps(found))
"""


def test_a_confined_process_reaches_nothing_and_still_computes(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("of the room")
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-I", "-c", PROBE, str(secret), str(server.getsockname()[1])]
        environment = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=True)
    found = json.loads(ended.stdout)
    _, system_calls, files, offline = found.pop("held")
    assert (system_calls, offline) == (True, True)
    could = {name for name, what in found.items() if what == "done"}
    # A kernel without Landlock still has the filter: reading is then what remains.
    assert could - (set() if files else {"read", "environment of the room"}) == {"thread", "private memory"}
    assert found["memory"] == "MemoryError"
    assert secret.read_text() == "of the room"
