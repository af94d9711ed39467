"""From a bundle to what an engine process reads: OpenVINO files by digest, with a probe that says what torch answers.

Runs in a process of its own, for tracing a network holds Python's lock for seconds. The folder is a cache: bounded,
written whole or not at all, its files checked by hash before they are used.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
from irp_bundle import Bundle, read_bundle

from irp_inference.adapters.export_cache import BUNDLE, PROBE, folder_of, is_whole, lay_out, prune
from irp_inference.adapters.exported_nets import agreed_logits, openvino_model

PROBE_ROWS = 3


def export_bundle(bundle_path: str, cache: str, digest: str, limit_bytes: int) -> str:
    """Folder with `<stage>.xml`, `<stage>.bin` and the probe of a bundle; made if it is not there or broken.

    It is built beside the bundle: whoever put that there removes both if this process is killed.
    A TorchScript network that OpenVINO does not understand has no such files: torch runs it.

    Raises:
        EngineDisagrees, LogitsNotFinite: see exported_nets.
    """
    folder = folder_of(Path(cache), digest)
    if not is_whole(folder):
        data = Path(bundle_path).read_bytes()

        def write(building: Path) -> None:
            (building / BUNDLE).write_bytes(data)
            _write(read_bundle(data), building)

        lay_out(folder, write, Path(bundle_path).parent)
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
