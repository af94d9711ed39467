"""Networks of a reduced precision, laid out beside the exported ones for an engine process to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from irp_bundle.reduced import read_reduced
from irp_kernel import sha256_of

from irp_inference.adapters.export_cache import PROBE, is_whole, lay_out


def lay_out_reduced(data: bytes, bundle: str, cache: Path) -> Path:
    """Folder with the files and the probe of what the guard accepted; made if it is not there or broken.

    Args:
        data: the archive.
        bundle: digest of the bundle that it must belong to.
        cache: holds the folder.

    Raises:
        BundleBroken, BundleUnsafe, BundleTooLarge: see `read_reduced`.
    """
    folder = cache / f"{sha256_of(data)}-reduced"
    if not is_whole(folder):
        networks = read_reduced(data, bundle)

        def write(target: Path) -> None:
            probe = {}
            for stage, (graph, weights) in networks.graphs.items():
                (target / f"{stage}.xml").write_bytes(graph)
                (target / f"{stage}.bin").write_bytes(weights)
                probe[f"{stage}.inputs"], probe[f"{stage}.logits"] = networks.probe[stage]
            np.savez(target / PROBE, allow_pickle=False, **probe)

        lay_out(folder, write, cache)
    return folder
