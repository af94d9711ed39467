"""Threads beside the networks: crops, labels, post-processing, encoding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


class Threads:
    """See app.ports.Offload."""

    def __init__(self, size: int) -> None:
        torch.set_num_threads(
            1
        )  # these threads are the parallelism; torch's own would spin beside the engines' processes
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="beside")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Run in one of the threads; work whose caller went away before it began is not begun."""
        return await asyncio.wrap_future(self._pool.submit(work))

    async def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
