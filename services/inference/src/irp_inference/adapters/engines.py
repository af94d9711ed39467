"""Networks behind one port: each model in an engine process of its own on a CPU, one process per GPU.

OpenVINO (the CPU's default) must answer what torch answers before a model is served.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import structlog
import torch
from irp_bundle import Bundle, Stage
from irp_bundle.reduced import HINT, Precision
from numpy.typing import NDArray
from prometheus_client import Gauge

from irp_inference.adapters.export_cache import BUNDLE, PROBE, enter, folder_of, is_whole, unfinished, use
from irp_inference.adapters.exporter import Exporter
from irp_inference.adapters.host_pool import HostPool
from irp_inference.adapters.hosts import EngineHost
from irp_inference.adapters.reduced_files import lay_out_reduced
from irp_inference.adapters.torch_networks import CudaOptions
from irp_inference.domain.crashes import Crashes
from irp_inference.domain.difference import nearest
from irp_inference.domain.errors import EngineDisagrees, ModelCrashed, ModelParked

# Largest difference of logits over their largest magnitude: from torch's, or for networks that the guard has accepted,
# from what they answered where they were judged.
TOLERANCE: dict[Precision, float] = {"float32": 2e-3, "bfloat16": 5e-2, "int8": 5e-2}
PARKED = Gauge(
    "irp_inference_parked", "Model versions that crashed too often and are not tried until they are loaded again"
)

Array = NDArray[np.float32]


class ProcessNets:
    """See app.ports.Nets."""

    def __init__(
        self,
        pool: HostPool,
        model: str,
        close: Callable[[], Awaitable[None]],
        *,
        engine: str,
        device: str,
        precision: Precision,
        told: dict[str, Any],
    ) -> None:
        self._pool, self._model, self._close = pool, model, close
        self.engine, self.device, self.precision, self.precision_note = engine, device, precision, ""
        self.memory_bytes: int = told["resident"]
        self.best_batch = max(int(net["rows"]) for net in told["best"].values())
        self.row_s: dict[str, float] = {stage: net["row_s"] for stage, net in told["best"].items()}
        self._crashes, self._log = Crashes(), structlog.get_logger(part="engines")

    @property
    def parked(self) -> bool:
        """True if it crashed too often, and is not tried until it is loaded again."""
        return self._crashes.parked

    @property
    def pid(self) -> int | None:
        """Of its first process, if it lives."""
        return next(iter(self._pool.pids), None)

    async def forward(self, stage: Stage, inputs: Array) -> Array:
        """One pass.

        Raises:
            ModelCrashed, DeviceOutOfMemory, LogitsNotFinite, PassFailed: see EngineHost.forward.
            ModelParked: it crashed too often; not tried until the model is loaded again.
        """
        if self.parked:
            raise ModelParked
        if rest_s := self._crashes.rest_s(time.monotonic()):
            await asyncio.sleep(rest_s)
        try:
            return await self._pool.forward(self._model, stage, inputs)
        except ModelCrashed:
            if self._crashes.add(time.monotonic()):
                PARKED.inc()
                self._log.error("model_parked", model=self._model)
            raise

    async def close(self) -> None:
        """Give the memory back: on a CPU the process ends."""
        if self.parked:
            PARKED.dec()
        await self._close()


class Engines:
    """Opens models.

    Args:
        wish: "auto" = torch on a GPU where there is one, else OpenVINO.
        threads: CPU threads per engine; 0 = every core.
        timeout_s: a pass that takes longer is a hang.
        cache: folder of exported networks; None = one that lives as long as this process.
        cache_bytes: bound of that folder.
        cuda: what GPUs may do to be faster.
        processes: of each version on a CPU, whose threads they share; on GPUs there is one per GPU.
    """

    def __init__(
        self,
        wish: str = "auto",
        threads: int = 0,
        *,
        timeout_s: float = 30.0,
        cache: Path | None = None,
        cache_bytes: int = 2 << 30,
        cuda: CudaOptions | None = None,
        processes: int = 1,
    ) -> None:
        self._on_gpu = torch.cuda.is_available() and wish in {"auto", "torch"}
        self._engine = "torch" if self._on_gpu or wish == "torch" else "openvino"
        self._threads, self._timeout_s, self._cache_bytes = threads or os.cpu_count() or 1, timeout_s, cache_bytes
        self._cuda, self._per_version = cuda or CudaOptions(), max(1, processes)
        self._gpus = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count() if self._on_gpu else 0))
        self._own = None if cache else tempfile.TemporaryDirectory(prefix="irp-engines-")
        self._cache = cache or Path(self._own.name if self._own else "")
        self._entered = enter(self._cache)
        self._pools: dict[str, HostPool] = {}
        self._numbers, self._exporting, self._exporter = itertools.count(), asyncio.Lock(), Exporter()

    @property
    def engine(self) -> str:
        """What runs networks: "openvino" or "torch"."""
        return self._engine

    async def open(
        self, data: bytes, bundle: Bundle, precision: Precision = "float32", reduced: bytes | None = None
    ) -> ProcessNets:
        """The networks of a bundle, loaded, warmed up, and found to agree with torch.

        Args:
            data: the bundle's archive.
            bundle: the same, read.
            precision: float32 unless a guard has accepted less.
            reduced: the networks that it accepted (see `irp_bundle.reduced`); None = the bundle's own.

        Raises:
            BundleBroken: what is reduced belongs to another bundle.
            EngineDisagrees: the engine does not give what torch gives.
            ModelCrashed, DeviceOutOfMemory, PassFailed: it could not be loaded.
        """
        model, exported = f"{bundle.digest[:16]}-{next(self._numbers)}", await self._export(data, bundle.digest)
        engine, devices = self._place(bundle, exported)
        pool, folders = self._pool(model, devices), [exported]
        held: list[IO[bytes]] = []
        close = partial(self._close, pool, model, held)
        try:
            held.append(await asyncio.to_thread(use, exported))
            if reduced is not None:
                folders.append(await asyncio.to_thread(lay_out_reduced, reduced, bundle.digest, self._cache))
                held.append(await asyncio.to_thread(use, folders[-1]))
            options = [self._options(engine, device, bundle, folders, precision) for device in devices]
            told = await pool.load(model, engine, options)
            device = devices[0] if len(set(devices)) == 1 else "cuda"
            nets = ProcessNets(pool, model, close, engine=engine, device=device, precision=precision, told=told)
            await _require_agreement(nets, len(pool), folders, bundle, TOLERANCE[precision])
        except BaseException:
            await close()
            raise
        return nets

    @property
    def processes(self) -> list[int]:
        """Engine processes that live."""
        return [pid for pool in self._pools.values() for pid in pool.pids]

    @property
    def at_once(self) -> int:
        """Passes that a device's processes run at once."""
        return max(self._per_version, len(self._gpus))

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(*(pool.kill() for pool in self._pools.values()))
        await self._exporter.close()
        self._entered.close()
        if self._own is not None:
            self._own.cleanup()

    async def _export(self, data: bytes, digest: str) -> Path:
        folder = folder_of(self._cache, digest)
        async with self._exporting:
            if not await asyncio.to_thread(is_whole, folder):
                with unfinished(self._cache) as building:
                    bundle = building / BUNDLE
                    await asyncio.to_thread(bundle.write_bytes, data)
                    await self._exporter(str(bundle), str(self._cache), digest, self._cache_bytes)
        return folder

    def _place(self, bundle: Bundle, exported: Path) -> tuple[str, tuple[str, ...]]:
        """(engine, device of each process): what was wished for, where the bundle's files let it."""
        for_torch = all(bundle.learns(stage) or "torchscript" in bundle.exports[stage] for stage in bundle.stages)
        for_openvino = all((exported / f"{stage}.xml").exists() for stage in bundle.stages)
        if (self._engine == "torch" and for_torch) or not for_openvino:
            return "torch", self._gpus or ("cpu",) * self._per_version
        return "openvino", ("cpu",) * self._per_version

    def _pool(self, model: str, devices: tuple[str, ...]) -> HostPool:
        """One process per GPU for all models; on a CPU a model's own, so that ending them returns all its memory."""
        name = model if devices[0] == "cpu" else devices[0]
        return self._pools.setdefault(name, HostPool([EngineHost(self._timeout_s) for _ in devices]))

    def _options(
        self, engine: str, device: str, bundle: Bundle, folders: list[Path], precision: Precision
    ) -> dict[str, Any]:
        common = {
            "sizes": {stage: bundle.input_shape(stage) for stage in bundle.stages},
            "precision": HINT[precision],
            "threads": max(1, self._threads // self._per_version),
            "device": device,
        }
        if engine == "openvino":
            # What a later folder has stands in the place of an earlier one's.
            found = {path.stem: str(path) for folder in folders for path in folder.glob("*.xml")}
            return common | {"nets": {stage: found[stage] for stage in bundle.stages}}
        return common | {"path": str(folders[0] / BUNDLE), "cuda": asdict(self._cuda)}

    async def _close(self, pool: HostPool, model: str, held: list[IO[bytes]]) -> None:
        """Let go of a model; on a CPU its processes end, on a GPU with their last model."""
        self._pools.pop(model, None)
        await pool.unload(model)
        for folder in held:
            folder.close()


async def _require_agreement(
    nets: ProcessNets, processes: int, folders: list[Path], bundle: Bundle, tolerance: float
) -> None:
    """As the probes of the folders say; where two have one, the later."""
    probe: dict[str, Array] = {}
    for folder in folders:
        probe |= await asyncio.to_thread(_probe, folder / PROBE)
    for stage in bundle.stages:
        expected, inputs = probe[f"{stage}.logits"], probe[f"{stage}.inputs"]
        # As many at once as there are processes: each is asked.
        for found in await asyncio.gather(*(nets.forward(stage, inputs) for _ in range(processes))):
            worst = nearest(found, expected)
            if not worst <= tolerance:
                raise EngineDisagrees(f"stage {stage}: logits differ by {worst:.1e}, allowed are {tolerance:.0e}")


def _probe(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
