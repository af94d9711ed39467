"""The next batches are made while the net learns from this one: a GPU need not wait for the processor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def made_ahead(make: Callable[[int], T], numbers: Iterable[int], threads: int) -> Iterator[T]:
    """make(number) for each number, in order.

    Args:
        make: depends on its number alone and changes nothing: then threads change nothing either.
        numbers: what is made.
        threads: that work ahead; as many results are waiting at most. 0 = none: each is made when it is asked for.
    """
    if threads == 0:
        yield from map(make, numbers)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        try:
            for number in numbers:
                waiting.append(pool.submit(make, number))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
