"""From a bundle to what an engine process reads: OpenVINO files by digest, with a probe that says what torch answers.

Runs in a process of its own, for tracing a network holds Python's lock for seconds. The folder is a cache: bounded,
written whole or not at all, its files checked by hash before they are used.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import openvino as ov
from irp_bundle import Bundle, TorchEngine, read_bundle
from irp_bundle.openvino_engine import to_openvino
from irp_kernel import sha256_of

MANIFEST, PROBE, BUNDLE = "manifest.json", "probe.npz", "bundle.zip"
PROBE_ROWS = 3


def export_bundle(bundle_path: str, cache: str, digest: str, limit_bytes: int) -> str:
    """Folder with `<stage>.xml`, `<stage>.bin` and the probe of a bundle; made if it is not there or broken."""
    folder = folder_of(Path(cache), digest)
    if not is_whole(folder):
        data = Path(bundle_path).read_bytes()

        def write(building: Path) -> None:
            (building / BUNDLE).write_bytes(data)
            _write(read_bundle(data), building)

        lay_out(folder, write)
    _prune(Path(cache), folder, limit_bytes)
    return str(folder)


def lay_out(folder: Path, write: Callable[[Path], None]) -> None:
    """Make a folder of the cache, with its manifest: whole, or not at all."""
    shutil.rmtree(folder, ignore_errors=True)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
    write(building)
    hashes = {path.name: sha256_of(path.read_bytes()) for path in building.iterdir()}
    (building / MANIFEST).write_text(json.dumps(hashes))
    try:
        building.rename(folder)
    except OSError:  # another room was faster
        shutil.rmtree(building, ignore_errors=True)


def use(folder: Path) -> IO[bytes]:
    """Hold a folder: it is not pruned until the file is closed, or its process has ended."""
    held = (folder / MANIFEST).open("rb")
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


def folder_of(cache: Path, digest: str) -> Path:
    """Where a bundle's networks lie, for this version of OpenVINO."""
    return cache / f"{digest}-{ov.__version__.split('-')[0]}"


def is_whole(folder: Path) -> bool:
    """True if every file is there and is what was written; says that the folder is in use."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text())
        os.utime(folder)
        return all(sha256_of((folder / name).read_bytes()) == known for name, known in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _write(bundle: Bundle, folder: Path) -> None:
    generator, engine = np.random.default_rng(0), TorchEngine(bundle)
    probe: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    for stage in bundle.stages:
        size = bundle.input_shape(stage)
        ov.save_model(to_openvino(bundle, stage), folder / f"{stage}.xml", compress_to_fp16=False)
        probe[f"{stage}.inputs"] = generator.normal(size=(PROBE_ROWS, *size)).astype(np.float32)
        probe[f"{stage}.logits"] = engine(stage, probe[f"{stage}.inputs"])
    np.savez(folder / PROBE, allow_pickle=False, **probe)


def _prune(cache: Path, keep: Path, limit_bytes: int) -> None:
    """The least recently used folders go first, but for those that are held: a process may have to load again."""
    folders = sorted((f for f in cache.iterdir() if f.is_dir() and f != keep), key=lambda f: f.stat().st_mtime)
    sizes = {folder: sum(path.stat().st_size for path in folder.iterdir()) for folder in [*folders, keep]}
    total = sum(sizes.values())
    for folder in folders:
        if total > limit_bytes and not _is_held(folder):
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def _is_held(folder: Path) -> bool:
    try:
        with (folder / MANIFEST).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # never finished
        return False
    return False
