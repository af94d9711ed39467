"""One slice through HTTP beside the raw pipeline and the raw forward pass, in one run: the price of everything around.

Starts a house of its own on free ports, uploads a real short-axis cine, asks for slice after slice (none twice, then
one again and again, which is remembered), and prints the medians, the 95th percentiles and their ratio, and the median
of each stage that Server-Timing names; JSON goes to out/bench/segment.json. Also: resident memory of each room.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from bench_house import keep, standing
from irp_bundle import Engine, Pipeline, read_bundle
from irp_inference.adapters.export import export_bundle
from irp_inference.adapters.export_cache import folder_of
from irp_kernel import decode_volume
from openirp.demo.hearts import dicom_heart, examples_folder
from openirp.house import House
from openirp.problem import Problem
from openirp.project import JSON, NRRD, Project
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


def stages_ms(found: list[dict[str, float]]) -> dict[str, float]:
    """Median of each stage."""
    return {stage: round(statistics.median(one.get(stage, 0.0) for one in found), 2) for stage in found[-1]}


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


def until_proposed(project: Project, uid: str) -> None:
    """The house proposes for the series by itself: it is not measured beside that."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        with contextlib.suppress(Problem):  # annotation has not heard of the series yet
            if project.segmentations(uid):
                return
        time.sleep(0.2)
    raise TimeoutError("nothing was proposed")


def resident_mib(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def engines_of(house: House) -> Path:
    """Where a house keeps exported networks."""
    return house.layout.data / "engines"


def export_models(house: House) -> None:
    """Fill the house's cache with the shipped networks, so that nothing is exported beside the measurement."""
    cache = engines_of(house)
    cache.mkdir(parents=True)
    for path in (ROOT / "models").glob("*.zip"):
        beside = Path(shutil.copy(path, cache))
        export_bundle(str(beside), str(cache), read_bundle(path.read_bytes()).digest, 1 << 30)
        beside.unlink()


def bare_engine(exported: Path) -> Engine:
    """OpenVINO in float32 in this process, with nothing around it."""
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    nets = {
        stage: ov.Core().compile_model(exported / f"{stage}.xml", "CPU", options) for stage in ("locate", "segment")
    }
    return lambda stage, images: np.asarray(nets[stage](images)[0])


def main() -> None:
    """Run and print."""
    print(__doc__, file=sys.stderr)
    bundle = read_bundle((ROOT / "models" / "cine.zip").read_bytes())
    image = np.zeros((1, *bundle.input_shape("segment")), np.float32)
    with standing(before=export_models) as (house, project):
        bare = bare_engine(folder_of(engines_of(house), bundle.digest))
        uid = upload_one(project)
        until_proposed(project, uid)
        volume = decode_volume(project.volume(uid))
        frames, slices = volume.geometry.frames, volume.geometry.shape[0]
        places = itertools.product(range(frames), range(slices))
        again = itertools.product(range(frames), range(slices))
        said: list[dict[str, float]] = []

        def ask(frame: int, number: int, kind: str = NRRD) -> None:
            said.append(project.segment(uid, "cine", slices=[number], frames=[frame], media_type=kind).timings_ms)

        http = timed_ms(lambda: ask(*next(places)))
        stages = stages_ms(said[3:])
        contours = timed_ms(lambda: ask(*next(places), kind=JSON))
        known = timed_ms(lambda: ask(0, 0))
        pipeline = Pipeline(bundle, bare)
        located = pipeline.locate(volume)

        def compute(frame: int, number: int) -> None:
            pipeline.run(volume, frames=[frame], slices=[number], located=located)

        whole = timed_ms(lambda: compute(*next(again)))
        forward = timed_ms(lambda: bare("segment", image))
        memory = {state.name: resident_mib(state.pid) for state, _ in house.looks() if state}
    found: dict[str, Any] = {
        "http": summary(http),
        "http_contours": summary(contours),
        "http_known": summary(known),
        "pipeline": summary(whole),
        "forward": summary(forward),
        "stages_ms": stages,
        "resident_mib": memory,
    }
    found["beyond_pipeline_ms"] = round(found["http"]["p50_ms"] - found["pipeline"]["p50_ms"], 2)
    found["ratio_p50"] = round(found["http"]["p50_ms"] / found["forward"]["p50_ms"], 2)
    keep("segment", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
