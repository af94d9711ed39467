"""Heavy CPU work leaves the event loop: a pool of processes, begun by `spawn`, for picklable functions."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from irp_kernel.errors import Unavailable
from irp_kernel.lifeline import end_with_parent

T = TypeVar("T")

_pool: ProcessPoolExecutor | None = None
_size = 1


def start_workers(size: int) -> None:
    """Say how many worker processes there may be; they begin with the first work."""
    global _size
    _size = max(1, size)


async def in_worker(work: Callable[..., T], *arguments: object) -> T:
    """Run `work(*arguments)` in a worker process; exceptions come back as they are.

    Raises:
        Unavailable: the worker died (killed, out of memory); a fresh one takes the next call.
    """
    global _pool
    if _pool is None:
        _pool = ProcessPoolExecutor(_size, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        return await asyncio.get_running_loop().run_in_executor(_pool, work, *arguments)
    except BrokenProcessPool:
        _pool = None
        raise Unavailable("a worker process ended before its answer") from None


def stop_workers() -> None:
    """End the pool; work that has begun is abandoned, for every job may run twice."""
    global _pool
    if _pool is not None:
        for process in list((_pool._processes or {}).values()):
            process.terminate()
        _pool.shutdown(wait=False, cancel_futures=True)
        _pool = None
