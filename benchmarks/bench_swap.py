"""What the reader feels when a model is swapped, and when the classification server starts.

    python benchmarks/bench_swap.py --clients 8 --swaps 6 --seconds 4

Starts a house of its own on free ports, uploads a real short-axis cine, and lets clients ask for slice after slice
(never the same twice) through the gateway while two versions of the cine model are promoted in turns. Printed: failed
requests (0 is promised), and p50, p95 and the longest answer in the second after a promotion beside all other times.
Then the room is killed: seconds until the supervisor's new process answers its first mask, with the exported networks
in the cache and without. Ratios are to the same run, for a busy machine is slower. JSON goes to out/bench/swap.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_house import keep, standing
from bench_segment import engines_of, export_models, until_proposed, upload_one
from irp_bundle import read_bundle, write_bundle
from openirp.house import House
from openirp.problem import Problem
from openirp.project import Project

ROOT = Path(__file__).resolve().parents[1]
AFTER_S = 1.0  # seconds after a promotion that count as its hump

Answer = tuple[float, float]  # when it was asked, seconds; how long it took, milliseconds


def another_version(data: bytes) -> bytes:
    """The same networks in another archive: it has a digest of its own, and its answers are comparable."""
    bundle = read_bundle(data)
    metadata = {key: value for key, value in bundle.metadata.items() if key != "name"}
    weights = bundle.weights
    card = f"{bundle.card}\nThe same networks again.\n"
    return write_bundle("cine", weights["model"], weights.get("locate"), bundle.config, metadata, card, bundle.licence)


class Asking:
    """Clients that ask for slice after slice until the block ends.

    Attributes:
        answers: of every request, failed or not.
        failed: what failed.
    """

    def __init__(self, house: House, project: Project, uid: str, clients: int) -> None:
        frames, slices = project.one_series(uid)["shape"][:2]
        self._places = itertools.cycle(itertools.product(range(frames), range(slices)))
        self._uid, self._done = uid, threading.Event()
        self.answers: list[Answer] = []
        self.failed: list[str] = []
        projects = [house.client().project(project.name) for _ in range(clients)]
        self._threads = [threading.Thread(target=self._ask, args=(one,)) for one in projects]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, project: Project) -> None:
        while not self._done.is_set():
            frame, number = next(self._places)
            began = time.perf_counter()
            try:
                project.segment(self._uid, "cine", slices=[number], frames=[frame])
            except Exception as error:  # whatever it is, the reader got no mask
                self.failed.append(f"{type(error).__name__}: {error}")
            self.answers.append((began, (time.perf_counter() - began) * 1000))


def swapping(house: House, project: Project, uid: str, options: argparse.Namespace) -> dict[str, Any]:
    """Clients ask while versions are promoted in turns."""
    irp = house.client()
    first = irp.models("cine")[-1]["version"]
    second = irp.push_model(another_version((ROOT / "models" / "cine.zip").read_bytes()), "cine")["version"]
    swaps: list[float] = []
    with Asking(house, project, uid, options.clients) as asking:
        for version in itertools.islice(itertools.cycle((second, first)), options.swaps):
            time.sleep(options.seconds)
            swaps.append(time.perf_counter())
            irp.promote_model("cine", version)
        time.sleep(options.seconds)

    def is_near(answer: Answer) -> bool:
        began, took = answer
        return any(began - swap <= AFTER_S and began + took / 1000 >= swap for swap in swaps)

    near = [answer[1] for answer in asking.answers if is_near(answer)]
    calm = [answer[1] for answer in asking.answers if not is_near(answer)]
    counts = {"asked": len(asking.answers), "swaps": len(swaps), "failed": len(asking.failed)}
    return {**counts, "failures": asking.failed[:3], "beside_a_swap": summary(near), "calm": summary(calm)}


def summary(times: list[float]) -> dict[str, float]:
    """Milliseconds."""
    p50, p95 = np.percentile(times, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1), "longest_ms": round(max(times), 1)}


def starting(house: House, project: Project, uid: str, *, cached: bool) -> float:
    """Seconds from the room's death to its first mask."""
    if not cached:
        shutil.rmtree(engines_of(house))
    house.kill("inference")
    began = time.perf_counter()
    while time.perf_counter() < began + 300:
        try:
            project.segment(uid, "cine", slices=[0], frames=[0])
        except Problem:
            time.sleep(0.05)
        else:
            return round(time.perf_counter() - began, 2)
    raise TimeoutError("the room did not come back")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--swaps", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=4.0, help="between two promotions")
    options = parser.parse_args()
    os.environ["IRP_ANSWER_CACHE_BYTES"] = "0"  # every request costs its passes
    with standing(before=export_models) as (house, project):
        uid = upload_one(project)
        until_proposed(project, uid)
        found = swapping(house, project, uid, options)
        found["start_s"] = {
            kind: starting(house, project, uid, cached=kind == "cached") for kind in ("cached", "uncached")
        }
    keep("swap", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
