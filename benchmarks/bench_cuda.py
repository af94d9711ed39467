"""What each option of the torch engine brings on a GPU, and whether its answers stay those of the CPU in float32.

Needs a GPU, torch and numpy; with MONAI also the shipped network (`models/cine.zip`) and its engine process, else a
U-Net of its own. Prints JSON: per option the largest difference of logits over their largest magnitude beside what is
allowed, and milliseconds per pass at 1, 8 and 32 inputs of 192 x 192 pixels (the median of alternating rounds).
For the engine process: memory that comes back, and what happens when the GPU is full.

    python benchmarks/bench_cuda.py
    python benchmarks/bench_cuda.py --seconds 60 --without compile
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from irp_inference.adapters.torch_networks import CudaOptions, TorchNetworks
from irp_inference.domain.difference import difference
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
SIDE, BATCHES, ROUNDS, PASSES = 192, (1, 8, 32), 9, 20
ALLOWED = {"f32": 2e-3, "bf16": 5e-2, "f16": 1e-2}
GRAPHS = CudaOptions(graphs=True)
OPTIONS: Mapping[str, tuple[str, CudaOptions]] = {
    "plain": ("f32", CudaOptions()),
    "channels_last": ("f32", CudaOptions(channels_last=True)),
    "pinned": ("f32", CudaOptions(pinned=True)),
    "graphs": ("f32", GRAPHS),
    "graphs+pinned": ("f32", CudaOptions(graphs=True, pinned=True)),
    "bf16": ("bf16", CudaOptions()),
    "bf16+channels_last": ("bf16", CudaOptions(channels_last=True)),
    "f16+channels_last": ("f16", CudaOptions(channels_last=True)),
    "f16+channels_last+graphs+pinned": ("f16", CudaOptions(channels_last=True, graphs=True, pinned=True)),
    "compile": ("f32", CudaOptions(compiled=True)),
    "compile+graphs+pinned": ("f32", CudaOptions(compiled=True, graphs=True, pinned=True)),
}

Array = NDArray[np.float32]
Run = Callable[[Array], Array]


class Level(torch.nn.Module):
    """One level of a U-Net with all that lies below it."""

    def __init__(self, inputs: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        here, below = channels[0], channels[1:]
        self.down = _convolutions(inputs, here)
        self.pool = torch.nn.MaxPool2d(2)
        self.below = Level(here, below) if below else None
        if below:
            self.up = torch.nn.ConvTranspose2d(below[0], here, 2, stride=2)
            self.join = _convolutions(2 * here, here)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features of the same size."""
        down: torch.Tensor = self.down(images)
        if self.below is None:
            return down
        joined: torch.Tensor = self.join(torch.cat([down, self.up(self.below(self.pool(down)))], 1))
        return joined


def _convolutions(inputs: int, outputs: int) -> torch.nn.Module:
    layers: list[torch.nn.Module] = []
    for channels in (inputs, outputs):
        layers += [torch.nn.Conv2d(channels, outputs, 3, padding=1), torch.nn.InstanceNorm2d(outputs), torch.nn.PReLU()]
    return torch.nn.Sequential(*layers)


def a_network() -> tuple[str, torch.nn.Module]:
    """The shipped network of stage 2 where MONAI is there, else one like it."""
    try:
        from irp_bundle import read_bundle

        bundle = read_bundle((ROOT / "models" / "cine.zip").read_bytes())
        return "models/cine.zip, segment", bundle.build("segment")
    except ModuleNotFoundError as missing:
        torch.manual_seed(1)
        whole = torch.nn.Sequential(Level(1, (16, 32, 64, 128)), torch.nn.Conv2d(16, 4, 1))
        return f"a U-Net of four levels ({missing.name} is not there)", whole.eval()


def images(rows: int, side: int = SIDE) -> Array:
    """Noise with a bright disc, as float32 (rows, 1, side, side)."""
    noise = np.random.default_rng(7).normal(size=(rows, 1, side, side)).astype(np.float32)
    down, across = np.mgrid[:side, :side] - side / 2
    return noise + 2 * (down**2 + across**2 < (side / 5) ** 2).astype(np.float32)


def on_gpu(network: Callable[[], torch.nn.Module], precision: str, options: CudaOptions) -> tuple[TorchNetworks, Run]:
    """The networks, and a function that runs a pass."""
    nets = TorchNetworks({"segment": network()}, "cuda:0", precision, options)
    return nets, lambda batch: nets("segment", batch)


def pass_ms(run: Run, batch: Array, passes: int) -> float:
    """Milliseconds of a pass, the copies both ways included."""
    began = time.perf_counter()
    for _ in range(passes):
        run(batch)
    return 1000 * (time.perf_counter() - began) / passes


def compare(seconds: float, without: list[str]) -> dict[str, Any]:
    """Every option: loaded, compared with the CPU, and timed in rounds that alternate."""
    name, network = a_network()
    probe = images(24)
    expected = TorchNetworks({"segment": network})("segment", probe)
    # The first answers' labels: what a reader would see.
    labels = expected.argmax(1)
    runs, found = dict[str, Run](), dict[str, dict[str, Any]]()
    for option, (precision, options) in OPTIONS.items():
        if any(word in option.split("+") for word in without):
            continue
        try:
            began, before = time.perf_counter(), torch.cuda.memory_reserved()
            _, run = on_gpu(lambda: a_network()[1], precision, options)
            answers = run(probe)
            found[option] = {
                "difference": difference(answers, expected),
                "allowed": ALLOWED[precision],
                "pixels_changed": int((answers.argmax(1) != labels).sum()),
                "pixels": labels.size,
                "odd_rows_differ_by": difference(run(probe[:3]), expected[:3]),
            }
            for rows in BATCHES:
                pass_ms(run, images(rows), 3)
            found[option] |= {
                "first_passes_s": round(time.perf_counter() - began, 2),
                "reserved_mib": (torch.cuda.memory_reserved() - before) >> 20,
            }
            runs[option] = run
        except Exception as error:
            found[option] = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
        print(option, found[option], file=sys.stderr, flush=True)
    for option, times in _timed(runs, seconds).items():
        found[option]["ms"] = times
    return {"network": name, "options": found, "tf32": _with_tf32(runs["plain"], probe, expected)}


def _timed(runs: Mapping[str, Run], seconds: float) -> dict[str, dict[str, float]]:
    times: dict[str, dict[int, list[float]]] = {option: {rows: [] for rows in BATCHES} for option in runs}
    until = time.perf_counter() + seconds
    for _ in range(ROUNDS):
        for rows in BATCHES:
            batch = images(rows)
            for option, run in runs.items():
                times[option][rows].append(pass_ms(run, batch, PASSES))
        if time.perf_counter() > until:
            break
    return {
        option: {str(rows): round(statistics.median(each), 3) for rows, each in by_rows.items()}
        for option, by_rows in times.items()
    }


def _with_tf32(run: Run, probe: Array, expected: Array) -> dict[str, float]:
    """What is switched off, and why."""
    torch.backends.cudnn.allow_tf32 = True
    try:
        answers = run(probe)
        return {
            "difference": difference(answers, expected),
            "pixels_changed": int((answers.argmax(1) != expected.argmax(1)).sum()),
            **{f"ms_{rows}": round(pass_ms(run, images(rows), PASSES), 3) for rows in BATCHES},
        }
    finally:
        torch.backends.cudnn.allow_tf32 = False


async def processes(options: CudaOptions) -> dict[str, Any]:
    """An engine process: its memory comes back, a full GPU is said so, and smaller passes go on."""
    from dataclasses import asdict

    from irp_inference.adapters.hosts import EngineHost
    from irp_inference.domain.errors import DeviceOutOfMemory

    path = str(ROOT / "models" / "cine.zip")
    told = {"path": path, "device": "cuda:0", "precision": "f32", "threads": 4, "cuda": asdict(options)}
    told["sizes"] = {"segment": (1, SIDE, SIDE)}
    torch.cuda.init()
    torch.cuda.empty_cache()
    host = EngineHost(120.0)
    try:
        return await _one_process(host, told, DeviceOutOfMemory)
    finally:
        await host.kill()


async def _one_process(host: Any, told: dict[str, Any], full: type[Exception]) -> dict[str, Any]:
    start, found, began = _free(), dict[str, Any](), time.perf_counter()
    loaded = [await host.load(name, "torch", told) for name in ("one", "two")]
    found["load_two_s"], found["told"] = round(time.perf_counter() - began, 2), loaded
    found["taken_mib"] = (start - _free()) >> 20
    batch, big = images(8), images(32, 1024)
    found["pass_8_ms"] = await _process_ms(host, batch)
    expected = TorchNetworks({"segment": a_network()[1]})("segment", batch)
    found["difference"] = difference(await host.forward("one", "segment", batch), expected)
    await host.unload("two")
    found["taken_with_one_mib"] = (start - _free()) >> 20
    for _ in range(5):
        await host.load("two", "torch", told)
        await host.unload("two")
    found["taken_after_five_more_mib"] = (start - _free()) >> 20
    hog = torch.empty(max(0, _free() - (600 << 20)), dtype=torch.uint8, device="cuda:0")
    try:
        await host.forward("one", "segment", big)
        found["full"] = "answered"
    except full as error:
        found["full"] = type(error).__name__
    pid = host.pid
    found["smaller_after_it_differs_by"] = difference(await host.forward("one", "segment", batch[:1]), expected[:1])
    del hog
    torch.cuda.empty_cache()
    found["big_when_there_is_room"] = list((await host.forward("one", "segment", big)).shape)
    found["same_process"] = host.pid == pid
    await host.unload("one")
    found["taken_after_all_mib"] = (start - _free()) >> 20
    return found


async def _process_ms(host: Any, batch: Array) -> float:
    times = []
    for _ in range(60):
        began = time.perf_counter()
        await host.forward("one", "segment", batch)
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times[10:]), 3)


def _free() -> int:
    return int(torch.cuda.mem_get_info(0)[0])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=90.0, help="of the timed rounds, about (default: 90)")
    parser.add_argument("--without", nargs="*", default=[], help="options to leave out, e.g. compile")
    parser.add_argument("--without-processes", action="store_true", help="leave the engine processes out")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no GPU is there")
    found: dict[str, Any] = {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__}
    if not arguments.without_processes:
        for name, options in {"plain": CudaOptions(), "graphs": CudaOptions(graphs=True, pinned=True)}.items():
            try:
                found[f"process_{name}"] = asyncio.run(processes(options))
            except Exception as error:
                found[f"process_{name}"] = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
            print(found[f"process_{name}"], file=sys.stderr, flush=True)
    found |= compare(arguments.seconds, arguments.without)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
