"""What serves in place of a bundle's own networks at a reduced precision: OpenVINO files in one archive.

A probe travels with them: random inputs and what the networks answered where they were judged, so that whoever loads
them finds out whether its processor computes the same. The archive names the bundle that it was made from.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from irp_bundle.archive import DEFAULT_LIMITS, Limits, pack, unpack
from irp_bundle.errors import BundleBroken, BundleTooLarge
from irp_bundle.networks import Stage

ABOUT, PROBE = "configs/metadata.json", "probe.npz"
STAGES: tuple[str, ...] = get_args(Stage)
PROBE_ROWS = 3

Array = NDArray[np.float32]
Precision = Literal["float32", "bfloat16", "int8"]
# What OpenVINO is told. An int8 graph carries its own roundings; what it does not round is float32.
HINT: Mapping[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduced:
    """Networks at a reduced precision.

    Attributes:
        bundle: SHA-256 of the bundle that they come from.
        graphs: per stage the two files of an OpenVINO graph, xml and weights; stages left out stay as they are.
        probe: per stage inputs (N, C, *size) and the logits that they gave, (ways, N, channels, *size) where they were
            asked in several ways: processors may compute one input alone by another way than several together.
        about: how they were made, in words and numbers.
    """

    bundle: str
    graphs: Mapping[str, tuple[bytes, bytes]]
    probe: Mapping[str, tuple[Array, Array]]
    about: Mapping[str, Any] = field(default_factory=dict)


def probe_inputs(size: tuple[int, ...]) -> Array:
    """The same random inputs for everybody."""
    return np.random.default_rng(0).normal(size=(PROBE_ROWS, *size)).astype(np.float32)


def write_reduced(reduced: Reduced) -> bytes:
    """To ZIP bytes."""
    arrays = io.BytesIO()
    named: dict[str, NDArray[np.generic]] = {f"{stage}.inputs": inputs for stage, (inputs, _) in reduced.probe.items()}
    # In half precision, which is far finer than any tolerance: what was asked in several ways is large.
    named |= {f"{stage}.logits": logits.astype(np.float16) for stage, (_, logits) in reduced.probe.items()}
    np.savez(arrays, allow_pickle=False, **named)
    files = {ABOUT: json.dumps({"bundle": reduced.bundle, "about": dict(reduced.about)}, sort_keys=True).encode()}
    for stage, (graph, weights) in reduced.graphs.items():
        files |= {f"{stage}.xml": graph, f"{stage}.bin": weights}
    return pack("reduced", files | {PROBE: arrays.getvalue()})


def read_reduced(data: bytes, bundle: str, limits: Limits = DEFAULT_LIMITS) -> Reduced:
    """ZIP bytes -> Reduced, for one bundle.

    Args:
        data: the archive.
        bundle: SHA-256 of the bundle that it must belong to.
        limits: of the archive.

    Raises:
        BundleBroken: it is not such an archive, or another bundle's.
        BundleUnsafe, BundleTooLarge: see `unpack`.
    """
    files = unpack(data, limits)
    if max(len(files[ABOUT]), len(files.get(PROBE, b""))) > limits.text_bytes:
        raise BundleTooLarge(limit_bytes=limits.text_bytes)
    try:
        document = json.loads(files[ABOUT])
        graphs = {s: (files[f"{s}.xml"], files[f"{s}.bin"]) for s in STAGES if f"{s}.xml" in files}
        with np.load(io.BytesIO(files[PROBE]), allow_pickle=False) as arrays:
            probe = {s: (_float32(arrays[f"{s}.inputs"]), _float32(arrays[f"{s}.logits"])) for s in graphs}
        reduced = Reduced(bundle=document["bundle"], graphs=graphs, probe=probe, about=document["about"])
    except (KeyError, ValueError, TypeError, OSError, RecursionError) as cause:
        raise BundleBroken("networks of a reduced precision are missing or damaged") from cause
    if reduced.bundle != bundle or not graphs:
        raise BundleBroken("networks of a reduced precision belong to another bundle")
    return reduced


def _float32(array: NDArray[np.generic]) -> Array:
    return np.asarray(array, dtype=np.float32)
