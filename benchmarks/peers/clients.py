"""Closed-loop clients: threads of a process of their own, each asks again when it was answered."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import Any

import numpy as np
from peers.asks import KINDS, Ask

WARM_S = 0.7  # seconds that every client asks before it is counted


def measured(kind: str, arguments: tuple[Any, ...], count: int, seconds: float) -> dict[str, float]:
    """Rate (answers per second), p50 and p95 (ms) of some clients."""
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    process = context.Process(target=_clients, args=(kind, arguments, count, seconds, said))
    process.start()
    times = said.get(timeout=seconds * 4 + 120)
    process.join()
    if isinstance(times, str):
        raise SystemExit(f"{kind}, {count} clients: {times}")
    p50, p95 = np.percentile(times, [50, 95])
    return {"rate": len(times) / seconds, "p50_ms": float(p50), "p95_ms": float(p95)}


def first_answer(kind: str, arguments: tuple[Any, ...], timeout_s: float = 60.0) -> np.ndarray[Any, Any]:
    """Of a server that is just starting."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            return KINDS[kind](*arguments)()
        except Exception:  # whatever its client says while it starts
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _clients(kind: str, arguments: tuple[Any, ...], count: int, seconds: float, said: Any) -> None:
    """Answers that end inside a window that begins when all are under way; an error instead, if there was one."""
    ends: list[tuple[float, float]] = []
    errors: list[str] = []
    begin = threading.Barrier(count)

    def one(ask: Ask) -> None:
        try:
            ask()
            begin.wait()
            ended = time.perf_counter()
            until = ended + WARM_S + seconds
            while ended < until and not errors:
                began = ended
                ask()
                ended = time.perf_counter()
                ends.append((ended, ended - began))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
            begin.abort()

    threads = [threading.Thread(target=one, args=(KINDS[kind](*arguments),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said.put(errors[0] if errors else _counted(ends, seconds))


def _counted(ends: list[tuple[float, float]], seconds: float) -> list[float]:
    """Milliseconds of the answers inside the window."""
    since = min(end - took for end, took in ends) + WARM_S
    return [took * 1000 for end, took in ends if since <= end < since + seconds]
