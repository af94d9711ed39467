"""What an engine process costs: beside the bare network, at its first answer, and after a hundred loads.

No house is needed: the engines of the classification server are used as it uses them, with `models/cine.zip` in
OpenVINO. Prints JSON, which also goes to out/bench/engines.json:

- `pass_ms`: one input, the bare network beside the same network in its process, in pairs that alternate;
- `cold_s`: from nothing (empty cache) to the first answer, and from the cache;
- `cycles`: memory and descriptors of this process and of all its children, before and after loading and unloading;
- `processes`: with 1, 2... processes of the version, each with its share of the threads and one client: inputs per
  second, and processor time per input (which says the same on a busy machine), for passes of 1 and 8 inputs.

    python benchmarks/bench_engines.py
    python benchmarks/bench_engines.py --cycles 20 --processes 1 2
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from bench_house import keep
from irp_bundle import read_bundle
from irp_inference.adapters.engines import Engines, ProcessNets
from irp_inference.adapters.export_cache import folder_of

ROOT = Path(__file__).resolve().parents[1]
PAIRS, WARM_UP_CYCLES, ROUND_S = 200, 3, 2.0


def summary(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {"p50": round(statistics.median(times), 3), "p95": round(float(np.percentile(times, 95)), 3)}


def kib(pid: int | str, field: str) -> int:
    """A field of /proc/PID/smaps_rollup, in KiB; 0 if the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), 0)


def children() -> list[int]:
    """Processes that this one began and that live."""
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def held() -> dict[str, int]:
    """What this process and all its children have now."""
    return {
        "parent_mib": kib("self", "Rss") >> 10,
        "children": len(children()),
        "children_mib": sum(kib(pid, "Rss") for pid in children()) >> 10,
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def processor_s(pid: int) -> float:
    """Seconds of processor time of a process. Source: proc(5), utime and stime."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _median(pairs: list[tuple[float, float]], which: int) -> float:
    return statistics.median(pair[which] for pair in pairs)


class Bench:
    """One bundle on engines of its own."""

    def __init__(self, cache: Path) -> None:
        self._data = (ROOT / "models" / "cine.zip").read_bytes()
        self._bundle, self._cache = read_bundle(self._data), cache
        self._image = np.random.default_rng(1).normal(size=(1, *self._bundle.input_shape("segment")))
        self._image = self._image.astype(np.float32)

    async def cold(self) -> dict[str, float]:
        """Seconds from nothing to the first answer: with an empty cache, and again."""
        found = {}
        for name in ("empty_cache", "from_cache"):
            engines, began = Engines("openvino", cache=self._cache), time.perf_counter()
            await self._answer(await engines.open(self._data, self._bundle))
            found[name] = round(time.perf_counter() - began, 2)
            await engines.close()
        return found

    async def passes(self) -> dict[str, Any]:
        """Milliseconds bare and through the process, and their difference, in alternating pairs."""
        path = folder_of(self._cache, self._bundle.digest) / "segment.xml"
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        bare = ov.Core().compile_model(path, "CPU", options)
        engines = Engines("openvino", cache=self._cache)
        nets = await engines.open(self._data, self._bundle)
        alone, through = [], []
        for _ in range(PAIRS):
            began = time.perf_counter()
            bare(self._image)
            middle = time.perf_counter()
            await self._answer(nets)
            alone.append(1000 * (middle - began))
            through.append(1000 * (time.perf_counter() - middle))
        await engines.close()
        added = [one - other for one, other in zip(through, alone, strict=True)]
        return {"bare": summary(alone), "process": summary(through), "added": summary(added)}

    async def cycles(self, count: int) -> dict[str, Any]:
        """Load, answer, unload, again and again."""
        engines, times, found = Engines("openvino", threads=1, cache=self._cache), [], dict[str, Any]()
        for number in range(WARM_UP_CYCLES + count):
            if number == WARM_UP_CYCLES:
                found["before"] = held()
            began = time.perf_counter()
            nets = await engines.open(self._data, self._bundle)
            await self._answer(nets)
            await nets.close()
            times.append(time.perf_counter() - began)
        found |= {"after": held(), "count": count, "seconds": summary(times)}
        await engines.close()
        return found

    async def rates(self, processes: list[int], rounds: int) -> dict[str, Any]:
        """Inputs per second, processor time of each, and memory, by processes."""
        kinds = {count: Engines("openvino", cache=self._cache, processes=count) for count in processes}
        opened = {count: await engines.open(self._data, self._bundle) for count, engines in kinds.items()}
        rates: dict[str, list[tuple[float, float]]] = {}
        for _, rows, count in itertools.product(range(rounds), (1, 8), processes):
            before = sum(map(processor_s, kinds[count].processes))
            inputs, took = await self._inputs(opened[count], rows, clients=count)
            used = sum(map(processor_s, kinds[count].processes)) - before
            rates.setdefault(f"{count}_processes_{rows}_rows", []).append((inputs / took, 1000 * used / inputs))
        found: dict[str, Any] = {
            name: {"per_s": round(_median(each, 0), 1), "processor_ms": round(_median(each, 1), 2)}
            for name, each in rates.items()
        }
        for count, engines in kinds.items():
            found[f"{count}_processes_mib"] = {
                field.lower(): sum(kib(pid, field) for pid in engines.processes) >> 10 for field in ("Rss", "Pss")
            }
            await engines.close()
        return found

    async def _inputs(self, nets: ProcessNets, rows: int, clients: int) -> tuple[int, float]:
        """How many inputs were answered, and in how many seconds."""
        batch, began = np.repeat(self._image, rows, 0), time.perf_counter()
        until = began + ROUND_S

        async def ask() -> int:
            answers = 0
            while time.perf_counter() < until:
                await nets.forward("segment", batch)
                answers += rows
            return answers

        return sum(await asyncio.gather(*(ask() for _ in range(clients)))), time.perf_counter() - began

    async def _answer(self, nets: ProcessNets) -> None:
        await nets.forward("segment", self._image)


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        found: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
        found["cold_s"] = await bench.cold()
        found["pass_ms"] = await bench.passes()
        found["cycles"] = await bench.cycles(arguments.cycles)
        found["processes"] = await bench.rates(arguments.processes, arguments.rounds)
        return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100, help="loads and unloads (default: 100)")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2], help="of one version (default: 1 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of each rate (default: 3)")
    found = asyncio.run(measure(parser.parse_args()))
    keep("engines", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
