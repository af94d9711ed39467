"""Closed-loop clients: threads of a process of their own, each asks again when it was answered.

python clients.py SECONDS COUNT QUESTION.json      # prints milliseconds of the answers, as JSON
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers.asks import Ask, Question, ask_of

WARM_S = 0.7  # seconds that every client asks before it is counted


def measured(question: Question, count: int, seconds: float) -> dict[str, float]:
    """Rate (answers per second), p50 and p95 (ms) of some clients."""
    command = [sys.executable, __file__, str(seconds), str(count), json.dumps(question)]
    said = subprocess.run(command, stdout=subprocess.PIPE, timeout=seconds * 10 + 120, check=False)
    if said.returncode:
        raise SystemExit(f"{question['kind']}, {count} clients: {said.stdout.decode()}")
    times = json.loads(said.stdout)
    p50, p95 = np.percentile(times, [50, 95])
    return {"rate": len(times) / seconds, "p50_ms": float(p50), "p95_ms": float(p95)}


def first_answer(question: Question, timeout_s: float = 120.0) -> np.ndarray[Any, Any]:
    """Of a server that is just starting."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            return ask_of(question)()
        except Exception:  # whatever its client says while it starts
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def main() -> None:
    """Ask, and print."""
    seconds, count, question = float(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
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

    threads = [threading.Thread(target=one, args=(ask_of(question),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(errors[0] if errors else json.dumps(_counted(ends, seconds)))
    sys.exit(bool(errors))


def _counted(ends: list[tuple[float, float]], seconds: float) -> list[float]:
    """Milliseconds of the answers inside the window."""
    since = min(end - took for end, took in ends) + WARM_S
    return [took * 1000 for end, took in ends if since <= end < since + seconds]


if __name__ == "__main__":
    main()
