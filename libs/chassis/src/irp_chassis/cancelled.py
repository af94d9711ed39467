"""Who was cancelled? A task hears of both in the same way: that it shall end, and that what it waits for has ended."""

from __future__ import annotations

import asyncio


def is_told_to_end() -> bool:
    """The present task itself was cancelled, not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
