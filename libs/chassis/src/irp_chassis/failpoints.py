"""Named places where tests stop a process: between object, commit, publish, acknowledgement and removal.

A failpoint is armed by a file of its name in `failpoint_dir`; the process removes the file and kills itself, once.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

AFTER_OBJECT = "after_object"
AFTER_COMMIT = "after_commit"
AFTER_PUBLISH = "after_publish"
BEFORE_REMOVAL = "before_removal"

_directory: Path | None = None


def arm_from(directory: Path | None) -> None:
    """Look for armed failpoints in this folder; None = never."""
    global _directory
    _directory = directory


def pass_failpoint(name: str) -> None:
    """Die here with SIGKILL if the failpoint is armed."""
    if _directory is None:
        return
    try:
        (_directory / name).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
