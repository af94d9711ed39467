"""From a bundle to what an engine process reads: OpenVINO files by digest, with a probe that says what torch answers.

Runs in a process of its own, for tracing a network holds Python's lock for seconds. The folder is a cache: bounded,
written whole or not at all, its files checked by hash before they are used.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import openvino as ov
from irp_bundle import Bundle, read_bundle
from irp_kernel import sha256_of

from irp_inference.adapters.export_cache import BUNDLE, MANIFEST, PROBE, folder_of, is_whole, prune
from irp_inference.adapters.exported_nets import agreed_logits, openvino_model

PROBE_ROWS = 3


def export_bundle(bundle_path: str, cache: str, digest: str, limit_bytes: int) -> str:
    """Folder with `<stage>.xml`, `<stage>.bin` and the probe of a bundle; made if it is not there or broken.

    A TorchScript network that OpenVINO does not understand has no such files: torch runs it.

    Raises:
        EngineDisagrees, LogitsNotFinite: see exported_nets.
    """
    folder = folder_of(Path(cache), digest)
    if not is_whole(folder):
        shutil.rmtree(folder, ignore_errors=True)
        building = Path(tempfile.mkdtemp(dir=cache, prefix=".building-"))
        data = Path(bundle_path).read_bytes()
        (building / BUNDLE).write_bytes(data)
        _write(read_bundle(data), building)
        try:
            building.rename(folder)
        except OSError:  # another room was faster
            shutil.rmtree(building, ignore_errors=True)
    prune(Path(cache), folder, limit_bytes)
    return str(folder)


def _write(bundle: Bundle, folder: Path) -> None:
    generator = np.random.default_rng(0)
    probe: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    for stage in bundle.stages:
        inputs = generator.normal(size=(PROBE_ROWS, *bundle.input_shape(stage))).astype(np.float32)
        logits = agreed_logits(bundle, stage, inputs)
        probe |= {f"{stage}.inputs": inputs, f"{stage}.logits": logits}
        model = openvino_model(bundle, stage, inputs, logits)
        if model is not None:
            ov.save_model(model, folder / f"{stage}.xml", compress_to_fp16=False)
    np.savez(folder / PROBE, allow_pickle=False, **probe)
    hashes = {path.name: sha256_of(path.read_bytes()) for path in folder.iterdir()}
    (folder / MANIFEST).write_text(json.dumps(hashes))
