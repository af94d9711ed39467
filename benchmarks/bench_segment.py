"""One slice through HTTP beside the raw forward pass, in one run: the price of everything around the nets.

Starts a house of its own on free ports, uploads a real short-axis cine, asks for slice after slice, and prints the
medians, the 95th percentiles and their ratio; JSON goes to out/bench/segment.json. Also: resident memory of each room.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from irp_bundle import read_bundle
from irp_inference.adapters.engines import Engines
from openirp.demo.hearts import dicom_heart, examples_folder
from openirp.documents import template
from openirp.house import House
from openirp.project import Project
from openirp.upload import upload

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 60


def timed_ms(work: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Milliseconds of each repetition, after three that warm up."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def summary(times: list[float]) -> dict[str, float]:
    """p50 and p95 in milliseconds."""
    return {"p50_ms": round(statistics.median(times), 2), "p95_ms": round(float(np.percentile(times, 95)), 2)}


def upload_one(project: Project) -> str:
    """Upload a real cine; its series UID once it can be segmented."""
    report = upload(project, dicom_heart(examples_folder(), "SCD0000101").files)
    uid = next(iter(report.series))
    project.complete(uid)
    until = time.monotonic() + 120
    while project.one_series(uid)["state"] != "assembled":
        if time.monotonic() > until:
            raise TimeoutError("the series was not assembled")
        time.sleep(0.2)
    return uid


def resident_mib(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


async def forward_ms() -> tuple[list[float], str]:
    """A forward pass of the second net in its engine process, with nothing around it."""
    data, engines = (ROOT / "models" / "cine.zip").read_bytes(), Engines()
    bundle = read_bundle(data)
    nets, size = await engines.open(data, bundle), bundle.spec.segment.size
    image = np.random.default_rng(0).normal(size=(1, 1, size, size)).astype(np.float32)
    times = []
    for number in range(REPEATS + 3):
        began = time.perf_counter()
        await nets.forward("segment", image)
        if number >= 3:
            times.append((time.perf_counter() - began) * 1000)
    await engines.close()
    return times, nets.engine


def main() -> None:
    """Run and print."""
    print(__doc__, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "irp", ports="auto")
        house.start()
        try:
            house.wait_ready()
            project = house.client().create_project({**template("myocarditis"), "name": "bench"})
            uid = upload_one(project)
            http = timed_ms(lambda: project.segment(uid, "cine", slices=[5], frames=[0]))
            forward, engine = asyncio.run(forward_ms())
            memory = {state.name: resident_mib(state.pid) for state, _ in house.looks() if state}
        finally:
            house.stop()
    found = {"http": summary(http), "forward": summary(forward), "engine": engine, "resident_mib": memory}
    found["ratio_p50"] = round(found["http"]["p50_ms"] / found["forward"]["p50_ms"], 2)
    out = ROOT / "out" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "segment.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
