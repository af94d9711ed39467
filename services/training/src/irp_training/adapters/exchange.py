"""What is said between a room and the processes that work for it: one pipe each, messages as pairs.

Child -> parent: ("next", None) for each case file, ("again", splits) to begin anew with those of some splits only,
("said", ...) as often as it likes, then ("outcome", ...) or ("error", IrpError). Parent -> child: ("case", CaseFile) or
("end", None), only to who has asked: a child that waits for a file takes it at once, and a parent that hands none over
hears what is said. So neither waits for the other, however many files there are; and of them no more lie in memory than
are worked on, and one.

A child whose parent is gone ends; one that says nothing more was killed, and its work is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import structlog
from irp_kernel.errors import IrpError, Unavailable

from irp_training.app.work_ports import CaseFiles
from irp_training.domain.errors import WorkCrashed
from irp_training.domain.learning.plan import CaseFile, FileBytes
from irp_training.domain.learning.pupils import HELD_OUT

Message = tuple[str, Any]
NICENESS = 5  # training gives way to whoever answers people


class WorkerDied(Unavailable):
    """The training process was killed before its result.

    The run goes on from its latest checkpoint by itself, unless five in a row brought it no further.
    """

    retry_after_s = 2.0


class Feed:
    """The same case files for every process, each when all have asked for it; the one after is read meanwhile."""

    def __init__(self, pipes: Sequence[Connection], files: CaseFiles, only: Collection[str] = ()) -> None:
        self._pipes, self._files = pipes, files(only) if only else files()
        self._asked = 0
        self._ahead: Message | None = None

    async def ask(self) -> None:
        """One process wants its next."""
        self._asked += 1
        if self._asked % len(self._pipes):
            return
        message = self._ahead or await self._read()
        # One that ended meanwhile is found out by who hears.
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_send, self._pipes, message)
        self._ahead = await self._read() if message[0] == "case" else None

    async def _read(self) -> Message:
        file = await anext(self._files, None)
        return ("end", None) if file is None else ("case", file)


async def hear(pipes: Sequence[Connection]) -> Message:
    """The next message of any process.

    Raises:
        WorkerDied: one was killed.
        IrpError: what one of them ended with.
    """
    while (ready := await asyncio.to_thread(_ready, pipes)) is None:
        pass
    try:
        kind, content = await asyncio.to_thread(ready.recv)
    except (EOFError, OSError):
        raise WorkerDied from None
    if kind == "error":
        if isinstance(content, WorkCrashed):
            structlog.get_logger().error("work_crashed", error=content.message, **content.details)
        raise content
    return kind, content


def child(work: Any, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    """Where a process begins: the work, and the last word on it."""
    os.nice(NICENESS)
    _leave_with_parent()
    try:
        pipe.send(("outcome", work(pipe, *arguments)))
    except IrpError as error:
        pipe.send(("error", error))
    except Exception as error:
        # Kind and place only: its text may hold what it worked on.
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        where = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        pipe.send(("error", WorkCrashed(type(error).__name__, where=where)))


def files_from(pipe: Connection) -> Iterator[CaseFile]:
    """The case files, in the child; each is asked for when it is wanted."""
    while True:
        pipe.send(("next", None))
        kind, content = pipe.recv()
        if kind == "end":
            return
        case, part, volume, mask = content
        yield case, part, _opened(volume), _opened(mask)


class RunFiles:
    """The case files of a run, in the child: at first all of them; whoever reads again gets those that are held out."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._read = pipe, False

    def __iter__(self) -> Iterator[CaseFile]:
        if self._read:
            self._pipe.send(("again", HELD_OUT))
        self._read = True
        yield from files_from(self._pipe)


def _send(pipes: Sequence[Connection], message: Message) -> None:
    for pipe in pipes:
        pipe.send(message)


def _ready(pipes: Sequence[Connection]) -> Connection | None:
    """The first that has something, or has ended: its next recv says what is wrong."""
    try:
        found = wait(pipes, 1.0)
    except OSError:
        return pipes[0]
    return next((pipe for pipe in pipes if pipe in found), None)


def _opened(file: bytes | Path) -> FileBytes:
    """Mapped, where it is a path: processes that read the same file share its pages."""
    if isinstance(file, bytes):
        return file
    with file.open("rb") as opened:
        return memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))


def _leave_with_parent() -> None:
    """When the parent is gone, so are we, whatever we are at."""
    parent = parent_process()

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()
