"""What you learn here: each model runs in a process of its own; it may die or hang, and nobody else is harmed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from irp_bundle import TorchEngine, build_network, read_bundle, write_bundle
from irp_inference.adapters.engines import Engines, ProcessNets
from irp_inference.adapters.export_cache import PROBE, folder_of
from irp_inference.adapters.hosts import EngineHost
from irp_inference.domain.errors import EngineDisagrees, LogitsNotFinite, ModelCrashed, ModelParked
from irp_kernel import sha256_of
from prometheus_client import REGISTRY

NET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2]}


def a_bundle(seed: int = 1, size: int = 32) -> bytes:
    torch.manual_seed(seed)
    config = {"network_def": NET, "irp_pipeline": {"segment": {"size": size}}}
    structures = {"structures": ["lv_blood_pool", "lv_myocardium"]}
    return write_bundle(
        "heart", build_network(NET).state_dict(), None, config, structures, "A phantom's.", "Apache-2.0"
    )


def images(rows: int = 2) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(3).normal(size=(rows, 1, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture
async def engines(cache: Path) -> AsyncIterator[Engines]:
    engines = Engines(threads=1, timeout_s=5, cache=cache)
    yield engines
    await engines.close()


async def opened(engines: Engines, seed: int = 1) -> ProcessNets:
    data = a_bundle(seed)
    return await engines.open(data, read_bundle(data))


def alive(pid: int | None) -> bool:
    """A process that is neither gone nor a zombie."""
    try:
        return pid is not None and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def environment_of(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def parked_models() -> float:
    return REGISTRY.get_sample_value("irp_inference_parked") or 0.0


async def gone(pid: int | None) -> None:
    async with asyncio.timeout(10):
        while alive(pid):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
async def test_a_process_answers_what_torch_answers_here(cache: Path, engine: str) -> None:
    data = a_bundle()
    engines = Engines(engine, threads=1, cache=cache)
    nets = await engines.open(data, read_bundle(data))
    expected = TorchEngine(read_bundle(data))("segment", images())
    assert np.abs(await nets.forward("segment", images()) - expected).max() < 1e-3
    assert (nets.engine, nets.device, nets.precision) == (engine, "cpu", "float32")
    assert nets.best_batch >= 1
    assert nets.memory_bytes > 0
    many = images(300)  # larger than the block was before
    assert np.abs((await nets.forward("segment", many))[:2] - expected).max() < 1e-3
    await engines.close()


async def test_a_killed_process_hurts_one_call_and_no_neighbour(engines: Engines) -> None:
    one, two = await opened(engines), await opened(engines, seed=2)
    before = await one.forward("segment", images())
    os.kill(one.pid or 0, signal.SIGKILL)
    with pytest.raises(ModelCrashed):
        await one.forward("segment", images())
        await one.forward("segment", images())  # the room may learn of the end with this call
    assert (await two.forward("segment", images())).shape == (2, 3, 32, 32)
    assert np.array_equal(await one.forward("segment", images()), before)  # begun anew by itself


async def test_several_processes_of_a_version_share_its_passes_and_one_that_dies_harms_its_own(cache: Path) -> None:
    engines = Engines(threads=1, cache=cache, processes=2)
    nets = await opened(engines)
    first, second = engines.processes
    assert engines.at_once == 2
    os.kill(second, signal.SIGSTOP)
    alone = await nets.forward("segment", images())
    waiting = asyncio.create_task(nets.forward("segment", images()))  # to the first, which has nothing to do
    assert np.array_equal(await waiting, alone)
    os.kill(second, signal.SIGCONT)
    both = await asyncio.gather(*(nets.forward("segment", images()) for _ in range(4)))
    assert all(np.array_equal(one, alone) for one in both)
    os.kill(first, signal.SIGKILL)
    ends = await asyncio.gather(*(nets.forward("segment", images()) for _ in range(2)), return_exceptions=True)
    assert sum(isinstance(end, ModelCrashed) for end in ends) <= 1  # the room may know already that it ended
    await nets.close()
    assert engines.processes == []
    await engines.close()


@pytest.mark.parametrize("engine", ["openvino", "torch"])
async def test_a_killed_process_loads_again_though_its_cache_is_full(tmp_path: Path, engine: str) -> None:
    engines = Engines(engine, threads=1, cache=tmp_path, cache_bytes=1)
    one, two = await opened(engines), await opened(engines, seed=2)
    before = await one.forward("segment", images())
    os.kill(one.pid or 0, signal.SIGKILL)
    await gone(one.pid)
    with contextlib.suppress(ModelCrashed):  # the room may learn of the end with this call
        await one.forward("segment", images())
    assert np.array_equal(await one.forward("segment", images()), before)
    for nets in (one, two):
        await nets.close()
    assert engines.processes == []
    await opened(engines, seed=3)
    assert len(files(tmp_path, "*-*")) == 1  # nobody holds the others any more
    await engines.close()


async def test_a_model_that_cannot_be_loaded_again_is_parked(cache: Path, tmp_path: Path) -> None:
    engines = Engines(threads=1, cache=tmp_path)
    nets = await opened(engines)
    await nets.forward("segment", images())
    for path in files(tmp_path, "*/segment.bin"):
        path.unlink()
    os.kill(nets.pid or 0, signal.SIGKILL)
    for _ in range(3):
        with pytest.raises(ModelCrashed):
            await nets.forward("segment", images())
    with pytest.raises(ModelParked):
        await nets.forward("segment", images())
    await engines.close()


async def test_a_hanging_process_is_killed_and_a_model_that_does_it_again_is_parked(cache: Path) -> None:
    before, engines = parked_models(), Engines(threads=1, timeout_s=0.5, cache=cache)
    nets = await opened(engines)
    for _ in range(3):
        await nets.forward("segment", images())
        os.kill(nets.pid or 0, signal.SIGSTOP)
        stopped = nets.pid
        with pytest.raises(ModelCrashed, match="took too long"):
            await nets.forward("segment", images())
        assert not alive(stopped)
    with pytest.raises(ModelParked):
        await nets.forward("segment", images())
    assert parked_models() == before + 1
    await nets.close()
    assert parked_models() == before
    again = await opened(engines)  # loaded again by somebody: tried again
    assert (await again.forward("segment", images())).shape == (2, 3, 32, 32)
    await engines.close()


async def test_closing_a_model_ends_its_process(engines: Engines) -> None:
    await (await opened(engines)).close()
    descriptors = open_descriptors()
    for _ in range(5):
        nets = await opened(engines)
        pid = nets.pid
        await nets.close()
        assert not alive(pid)
    assert open_descriptors() <= descriptors


async def test_an_export_that_disagrees_with_its_network_is_refused(engines: Engines, cache: Path) -> None:
    await opened(engines, seed=4)
    data, other = a_bundle(4), a_bundle(1)
    await opened(engines, seed=1)
    folder, lies = (folder_of(cache, read_bundle(one).digest) for one in (data, other))
    for name in ("segment.xml", "segment.bin"):
        (folder / name).write_bytes((lies / name).read_bytes())
    _trust(folder)
    processes = engines.processes
    with pytest.raises(EngineDisagrees):
        await opened(engines, seed=4)
    assert engines.processes == processes  # what was refused leaves no process
    (folder / "segment.bin").write_bytes(b"torn")  # a file that is not what was written is made again
    await opened(engines, seed=4)


def _trust(folder: Path) -> None:
    names = ["segment.xml", "segment.bin", PROBE]
    (folder / "manifest.json").write_text(json.dumps({name: sha256_of((folder / name).read_bytes()) for name in names}))


async def test_numbers_that_are_not_finite_are_an_error(engines: Engines) -> None:
    nets = await opened(engines)
    with pytest.raises(LogitsNotFinite):
        await nets.forward("segment", np.full((1, 1, 32, 32), 3e38, np.float32))
    assert np.isfinite(await nets.forward("segment", images())).all()


class Slow:
    """Images whose copy is made in a thread, and takes until somebody says so."""

    shape, nbytes = (120, 1, 96, 96), 120 * 96 * 96 * 4

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.begun, self.go_on, self._loop = asyncio.Event(), threading.Event(), loop

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, np.dtype[np.float32]]:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.go_on.wait(10)
        return np.full(self.shape, 1e6, np.float32)


async def test_a_cancelled_large_copy_does_not_reach_the_next_call(engines: Engines) -> None:
    nets = await opened(engines)
    alone = await nets.forward("segment", images())
    slow: Any = Slow(asyncio.get_running_loop())
    cancelled = asyncio.create_task(nets.forward("segment", slow))
    await slow.begun.wait()
    cancelled.cancel()
    following = asyncio.create_task(nets.forward("segment", images()))
    cancelled.cancel()  # twice: it still waits for its copy
    done, _ = await asyncio.wait({cancelled, following}, timeout=0.2)
    assert not done
    slow.go_on.set()
    assert np.array_equal(await following, alone)
    assert cancelled.cancelled()


async def test_who_leaves_while_a_process_begins_anew_leaves_no_half_of_one(engines: Engines) -> None:
    nets = await opened(engines)
    alone = await nets.forward("segment", images())
    os.kill(nets.pid or 0, signal.SIGKILL)
    with contextlib.suppress(ModelCrashed):  # the room may learn of the end with this call
        await nets.forward("segment", images())
    leaving = asyncio.create_task(nets.forward("segment", images()))
    async with asyncio.timeout(10):
        while nets.pid is None:
            await asyncio.sleep(0.001)
    leaving.cancel()
    assert np.array_equal(await nets.forward("segment", images()), alone)
    assert leaving.cancelled()


async def test_no_process_outlives_a_killed_room(tmp_path: Path) -> None:
    room = textwrap.dedent("""
        import asyncio
        from irp_inference.adapters.hosts import EngineHost
        async def main():
            host = EngineHost(5)
            await host._begin()
            print(host.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", room, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    child = int(await process.stdout.readline())
    assert alive(child)
    process.kill()
    await process.wait()
    await gone(child)


async def test_an_engine_process_is_not_told_the_settings_of_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRP_DATABASE_URL", "postgresql://irp:hidden@db/irp")
    host = EngineHost(5)
    await host._begin()
    assert b"hidden" not in environment_of(host.pid)
    await host.kill()


async def test_a_host_without_its_process_says_so() -> None:
    assert EngineHost(1).pid is None


async def test_openvino_tells_nobody_of_its_use() -> None:
    code = "import irp_inference.adapters.export, openvino.tools.ovc.telemetry_utils as t; print(t.tm.__name__)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().strip() == "openvino.tools.ovc.telemetry_stub"
