"""Networks behind one port: each model in an engine process of its own on a CPU, one process per GPU.

OpenVINO (the CPU's default) must answer what torch answers before a model is served.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from irp_bundle import Bundle, Stage
from irp_bundle.openvino_engine import HINT
from irp_bundle.reduced import Precision
from irp_kernel.lifeline import end_with_parent
from numpy.typing import NDArray

from irp_inference.adapters.export import BUNDLE, PROBE, export_bundle, folder_of, is_whole, use
from irp_inference.adapters.hosts import EngineHost
from irp_inference.adapters.reduced_files import lay_out_reduced
from irp_inference.domain.errors import EngineDisagrees, ModelCrashed, ModelParked

# Largest difference of logits over their largest magnitude: from torch's, or for networks that the guard has accepted,
# from what they answered where they were judged.
TOLERANCE: dict[Precision, float] = {"float32": 2e-3, "bfloat16": 5e-2, "int8": 5e-2}
CRASHES, WITHIN_S = 3, 600.0  # so many in so long: the model is parked
EXPORTER_STAYS_S = 20.0  # its torch takes memory that nobody else uses

Array = NDArray[np.float32]


class ProcessNets:
    """See app.ports.Nets."""

    def __init__(
        self,
        host: EngineHost,
        model: str,
        close: Callable[[], Awaitable[None]],
        *,
        engine: str,
        device: str,
        precision: Precision,
        told: dict[str, Any],
    ) -> None:
        self._host, self._model, self._close = host, model, close
        self.engine, self.device, self.precision, self.precision_note = engine, device, precision, ""
        self.memory_bytes: int = told["resident"]
        self.best_batch = max(int(net["rows"]) for net in told["best"].values())
        self.row_s: dict[str, float] = {stage: net["row_s"] for stage, net in told["best"].items()}
        self._crashes: deque[float] = deque(maxlen=CRASHES)

    @property
    def parked(self) -> bool:
        """True if it crashed three times in ten minutes."""
        return len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] < WITHIN_S

    @property
    def pid(self) -> int | None:
        """Of its process, if it lives."""
        return self._host.pid

    async def forward(self, stage: Stage, inputs: Array) -> Array:
        """One pass.

        Raises:
            ModelCrashed, DeviceOutOfMemory, LogitsNotFinite, PassFailed: see EngineHost.forward.
            ModelParked: it crashed too often; not tried until the model is loaded again.
        """
        if self.parked:
            raise ModelParked
        try:
            return await self._host.forward(self._model, stage, inputs)
        except ModelCrashed:
            self._crashes.append(time.monotonic())
            raise

    async def close(self) -> None:
        """Give the memory back: on a CPU the process ends."""
        await self._close()


class Engines:
    """Opens models.

    Args:
        wish: "auto" = torch on a GPU where there is one, else OpenVINO.
        threads: CPU threads per engine; 0 = every core.
        timeout_s: a pass that takes longer is a hang.
        cache: folder of exported networks; None = one that lives as long as this process.
        cache_bytes: bound of that folder.
    """

    def __init__(
        self,
        wish: str = "auto",
        threads: int = 0,
        *,
        timeout_s: float = 30.0,
        cache: Path | None = None,
        cache_bytes: int = 2 << 30,
    ) -> None:
        self._on_gpu = torch.cuda.is_available() and wish in {"auto", "torch"}
        self._engine = "torch" if self._on_gpu or wish == "torch" else "openvino"
        self._threads, self._timeout_s, self._cache_bytes = threads or os.cpu_count() or 1, timeout_s, cache_bytes
        self._own = None if cache else tempfile.TemporaryDirectory(prefix="irp-engines-")
        self._cache = cache or Path(self._own.name if self._own else "")
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._hosts: dict[str, EngineHost] = {}
        self._numbers, self._exporting, self._exporter = itertools.count(), asyncio.Lock(), _Exporter()

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
        model, device = f"{bundle.digest[:16]}-{next(self._numbers)}", "cuda:0" if self._on_gpu else "cpu"
        exported = await self._export(data, bundle.digest)
        # One process per GPU; on a CPU one per model, so that ending it returns all its memory.
        host = self._hosts.setdefault(device if self._on_gpu else model, EngineHost(self._timeout_s))
        held = [await asyncio.to_thread(use, exported)]
        close = partial(self._close, host, model, held)
        try:
            own = None
            if reduced is not None:
                own = await asyncio.to_thread(lay_out_reduced, reduced, bundle.digest, self._cache)
                held.append(await asyncio.to_thread(use, own))
            told = await host.load(model, self._engine, self._options(bundle, exported, own, precision, device))
            nets = ProcessNets(host, model, close, engine=self._engine, device=device, precision=precision, told=told)
            await _require_agreement(nets, [exported, *([own] if own else [])], bundle, TOLERANCE[precision])
        except BaseException:
            await close()
            raise
        return nets

    @property
    def processes(self) -> list[int]:
        """Engine processes that live."""
        return [pid for host in self._hosts.values() if (pid := host.pid) is not None]

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(*(host.kill() for host in self._hosts.values()))
        self._exporter.end()
        if self._own is not None:
            self._own.cleanup()

    async def _export(self, data: bytes, digest: str) -> Path:
        folder = folder_of(self._cache, digest)
        async with self._exporting:
            if not await asyncio.to_thread(is_whole, folder):
                with tempfile.NamedTemporaryFile(dir=self._cache, suffix=".zip") as file:
                    await asyncio.to_thread(Path(file.name).write_bytes, data)
                    await self._exporter(file.name, str(self._cache), digest, self._cache_bytes)
        return folder

    def _options(
        self, bundle: Bundle, exported: Path, own: Path | None, precision: Precision, device: str
    ) -> dict[str, Any]:
        common = {
            "sizes": {stage: bundle.input_shape(stage) for stage in bundle.stages},
            "precision": HINT[precision],
            "threads": self._threads,
        }
        if self._engine == "openvino":
            plain = {stage: exported / f"{stage}.xml" for stage in bundle.stages}
            found = {path.stem: path for path in own.glob("*.xml")} if own else {}
            return common | {"nets": {stage: str(found.get(stage, path)) for stage, path in plain.items()}}
        return common | {"path": str(exported / BUNDLE), "device": device}

    async def _close(self, host: EngineHost, model: str, held: list[IO[bytes]]) -> None:
        """Let go of a model; on a CPU its process ends. A GPU's process is kept for the next one."""
        self._hosts.pop(model, None)
        await host.unload(model)
        for folder in held:
            folder.close()


class _Exporter:
    """The exporting process: begun when it is needed, ended when it was not needed for a while."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._alarm: asyncio.TimerHandle | None = None

    async def __call__(self, path: str, cache: str, digest: str, limit_bytes: int) -> str:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
            )
        try:
            return await loop.run_in_executor(self._pool, export_bundle, path, cache, digest, limit_bytes)
        except BaseException:
            self.end()
            raise
        finally:
            self._alarm = loop.call_later(EXPORTER_STAYS_S, self.end)

    def end(self) -> None:
        """Give its memory back."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


async def _require_agreement(nets: ProcessNets, folders: list[Path], bundle: Bundle, tolerance: float) -> None:
    """As the probes of the folders say; where two have one, the later."""
    probe: dict[str, Array] = {}
    for folder in folders:
        probe |= await asyncio.to_thread(_probe, folder / PROBE)
    for stage in bundle.stages:
        expected = probe[f"{stage}.logits"]
        found = await nets.forward(stage, probe[f"{stage}.inputs"])
        worst = float(np.abs(expected - found).max() / max(1.0, float(np.abs(expected).max())))
        if not worst <= tolerance:
            raise EngineDisagrees(f"stage {stage}: logits differ by {worst:.1e}, allowed are {tolerance:.0e}")


def _probe(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
