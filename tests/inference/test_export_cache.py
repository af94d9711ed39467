"""What you learn here: the folder of exported networks holds what is whole; what was not finished is gone, and soon."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import pytest
from irp_bundle import read_bundle
from irp_inference.adapters.engines import Engines, ProcessNets
from irp_inference.adapters.export_cache import BUNDLE, MANIFEST, enter, is_whole, lay_out, prune, unfinished
from irp_inference.domain.errors import EngineDisagrees, PassFailed

from tests.bundle.exported import a_convolution, exported_bundle, onnx_of, script_of

LIES = exported_bundle({"models/model.ts": script_of(a_convolution(1)), "models/model.onnx": onnx_of(a_convolution(2))})


def folders(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def whole(folder: Path) -> None:
    (folder / "net.bin").write_bytes(b"weights")


def test_what_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        whole(folder)
        raise EngineDisagrees

    for _ in range(3):
        with pytest.raises(EngineDisagrees):
            lay_out(tmp_path / "net", broken, tmp_path)
    assert list(tmp_path.iterdir()) == []
    lay_out(tmp_path / "net", whole, tmp_path)
    assert folders(tmp_path) == ["net"]
    assert is_whole(tmp_path / "net")


def test_a_folder_that_cannot_be_put_in_its_place_is_not_said_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lay_out(tmp_path / "nowhere" / "net", whole, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_room_left_is_removed_when_nobody_else_builds(tmp_path: Path) -> None:
    left = tmp_path / ".building-left"
    left.mkdir()
    (left / "bundle.zip").write_bytes(b"half a bundle")
    lay_out(tmp_path / "net", whole, tmp_path)
    with enter(tmp_path):
        assert folders(tmp_path) == ["net"]
        with unfinished(tmp_path) as building, enter(tmp_path):
            assert building.exists()
    with enter(tmp_path), enter(tmp_path):
        assert folders(tmp_path) == ["net"]


def test_making_room_takes_nothing_that_is_being_built(tmp_path: Path) -> None:
    for name in ("old", "new"):
        lay_out(tmp_path / name, whole, tmp_path)
    with unfinished(tmp_path) as building:
        whole(building)
        prune(tmp_path, tmp_path / "new", limit_bytes=1)
        assert folders(tmp_path) == [building.name, "new"]
    assert (tmp_path / "new" / MANIFEST).exists()


def build_a_part(cache: Path) -> None:
    """As the exporting process does, beside the bundle that it was given."""
    (building,) = cache.glob(".building-*")
    assert (building / BUNDLE).exists()
    whole(Path(tempfile.mkdtemp(dir=building)))


async def half_way(engines: Engines, cache: Path) -> tuple[asyncio.Task[ProcessNets], int]:
    """An export that has begun, with what it would have built so far; and its process."""
    await engines._exporter.close()  # a new one needs seconds to begin
    asked = asyncio.create_task(engines.open(LIES, read_bundle(LIES)))
    async with asyncio.timeout(10):
        while engines._exporter.pid is None:
            await asyncio.sleep(0.001)
    build_a_part(cache)
    return asked, engines._exporter.pid


async def test_a_refused_bundle_leaves_nothing_and_neither_does_one_whose_export_was_cut_off(tmp_path: Path) -> None:
    engines = Engines(threads=1, cache=tmp_path)
    with pytest.raises(EngineDisagrees):
        await engines.open(LIES, read_bundle(LIES))
    assert folders(tmp_path) == []
    asked, pid = await half_way(engines, tmp_path)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(PassFailed, match="its process ended"):
        await asked
    assert folders(tmp_path) == []
    asked, pid = await half_way(engines, tmp_path)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert folders(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await engines.close()
