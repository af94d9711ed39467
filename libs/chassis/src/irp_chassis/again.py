"""Transactions that lost against another one are run again: on PostgreSQL two that write the same rows do collide."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from irp_kernel.errors import Aborted

ATTEMPTS = 12
P = ParamSpec("P")
T = TypeVar("T")


def again_if_aborted(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a whole transaction up to `ATTEMPTS` times, with growing random pauses; then ABORTED."""

    @functools.wraps(work)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS):
            try:
                return await work(*args, **kwargs)
            except Aborted:
                await asyncio.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))
        return await work(*args, **kwargs)

    return run
