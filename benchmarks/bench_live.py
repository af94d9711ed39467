"""A reader scrolls through a real cine at 15 slices/s for 20 s on the live door: there and back, with pauses.

Starts a house of its own on free ports and prints how long answers took, how many were late (more than 66 ms after
their ask: the reader is at the next slice), were there already (computed ahead), were superseded, and how many forward
passes were for nothing. JSON goes to out/bench/live.json.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from bench_house import keep, standing
from bench_segment import upload_one
from openirp.house import House
from openirp.live import Live, LiveAnswer
from openirp.project import Project

ROOT = Path(__file__).resolve().parents[1]
RATE_HZ, SECONDS, LATE_MS = 15.0, 20.0, 66.0
PAUSE_S = 0.6  # at each turn: the reader looks


def way(slices: int, frames: int) -> Iterator[tuple[int, int, float]]:
    """(slice, frame, seconds until the next): through the stack and back, then the next frames, over and over."""
    frame = 0
    while True:
        for number in [*range(slices), *range(slices - 2, -1, -1)]:
            turns = number in {0, slices - 1}
            yield number, frame, 1 / RATE_HZ + (PAUSE_S if turns else 0.0)
        for _ in range(6):
            frame = (frame + 1) % frames
            yield 0, frame, 1 / RATE_HZ


def scroll(live: Live, uid: str, slices: int, frames: int) -> tuple[dict[str, float], list[tuple[float, LiveAnswer]]]:
    """Moments of the asks by id, and what was heard when."""
    asked: dict[str, float] = {}
    heard: list[tuple[float, LiveAnswer]] = []
    done = threading.Event()

    def listen() -> None:
        while not (done.is_set() and len(heard) >= len(asked)):
            try:
                answer = live.next(timeout_s=1.0)
            except TimeoutError:
                continue
            heard.append((time.perf_counter(), answer))

    thread = threading.Thread(target=listen)
    thread.start()
    end = time.perf_counter() + SECONDS
    for number, frame, wait_s in way(slices, frames):
        now = time.perf_counter()
        if now > end:
            break
        asked[live.ask(uid, "cine", slice=number, frame=frame)] = now
        time.sleep(max(0.0, wait_s - (time.perf_counter() - now)))
    done.set()
    thread.join()
    return asked, heard


def summary(asked: dict[str, float], heard: list[tuple[float, LiveAnswer]]) -> dict[str, Any]:
    """Counts and milliseconds."""
    ends = Counter(answer.header.get("reason", answer.type) for _, answer in heard)
    answers = [(at, answer) for at, answer in heard if answer.type == "answer"]
    times = np.array([(at - asked[answer.id]) * 1000 for at, answer in answers])
    known = [bool(answer.header["known"]) for _, answer in answers]
    return {
        "asks": len(asked),
        "ends": dict(ends),
        "answered": len(answers),
        "known": sum(known),
        "late": int((times > LATE_MS).sum()),
        "p50_ms": round(float(np.median(times)), 2),
        "p95_ms": round(float(np.percentile(times, 95)), 2),
        "known_p50_ms": round(float(np.median(times[known])), 2) if any(known) else None,
        "computed_p50_ms": round(float(np.median(times[~np.array(known)])), 2) if not all(known) else None,
    }


def wasted(house: House) -> float:
    """Forward passes for nothing, as inference counts them."""
    text = httpx.get(f"http://127.0.0.1:{house.ports['inference_http']}/metrics", trust_env=False).text
    lines = (line for line in text.splitlines() if line.startswith("irp_inference_live_wasted_passes_total"))
    return float(next(lines, "0 0").split()[-1])


def run(project: Project, uid: str) -> dict[str, Any]:
    """One reader."""
    frames, slices = project.one_series(uid)["shape"][:2]
    with project.live() as live:
        live.ask(uid, "cine", slice=slices - 1, frame=frames - 1, deadline_s=60)  # the volume is read, the heart found
        next(live.answers())
        return summary(*scroll(live, uid, slices, frames))


def main() -> None:
    """Run and print."""
    print(__doc__, file=sys.stderr)
    with standing() as (house, project):
        found = run(project, upload_one(project))
        found["wasted_passes"] = wasted(house)
    keep("live", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
