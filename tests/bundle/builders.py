"""Small bundles, and hearts whose right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from irp_bundle import Bundle, Pipeline, build_network, read_bundle, read_spec, write_bundle
from irp_kernel import Geometry, LabelTable, Mask, Volume
from numpy.typing import NDArray

STRUCTURES = ["lv_blood_pool", "lv_myocardium"]
NET: dict[str, Any] = {
    "_target_": "UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 0,
}
LOCATE = {**NET, "out_channels": 2}


def a_bundle(
    *, locate: bool = True, net: dict[str, Any] | None = None, pipeline: dict[str, Any] | None = None
) -> bytes:
    """A bundle with random weights; `net` replaces the definition but not the weights."""
    torch.manual_seed(0)
    return write_bundle(
        "heart",
        build_network(NET).state_dict(),
        build_network(LOCATE).state_dict() if locate else None,
        {"network_def": net or NET, "locate_def": LOCATE, "irp_pipeline": pipeline or {}},
        {"structures": STRUCTURES, "seed": 0},
        "A phantom's model.",
        "Apache-2.0",
    )


def by_brightness(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """A "net" whose answer is known: bright is pool, grey is wall.

    Like a trained one it knows hearts near the middle of its window only.
    """
    images = batch[:, 0]
    low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
    level = (images - low) / (high - low + 1e-6)
    pool, wall = (level > 0.75).astype(np.float32), ((level > 0.3) & (level <= 0.75)).astype(np.float32)
    if stage == "locate":
        return np.stack([1 - pool - wall, pool + wall], 1) * 9
    middle = (images.shape[-1] - 1) / 2
    rows, columns = np.mgrid[: images.shape[-2], : images.shape[-1]] - middle
    near = np.hypot(rows, columns) < 0.8 * middle
    return np.stack([1 - (pool + wall) * near, pool * near, wall * near], 1) * 9


def a_heart(*, size: int = 160, row: float = 80, column: float = 80, radius: float = 14) -> tuple[Volume, Mask]:
    """Three frames of four slices with a bright pool in a grey wall; radius in pixels."""
    affine = tuple(map(tuple, np.diag([8.0, 1.4, 1.4, 1.0])))
    geometry = Geometry(shape=(4, size, size), affine=affine, frames=3)
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - row, columns - column)
    labels = np.where(distance < radius, 1, np.where(distance < radius * 1.5, 2, 0)).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 4, geometry.array_shape)
    everywhere = np.broadcast_to(labels, geometry.array_shape).copy()
    annotated = np.ones((3, 4, 2), dtype=np.bool_)
    mask = Mask(geometry=geometry, labels=everywhere, table=LabelTable.canonical(STRUCTURES), annotated=annotated)
    return Volume(geometry=geometry, array=np.choose(labels, [20.0, 400.0, 200.0]) + noise), mask


def a_pipeline(*, locate: bool = True) -> Pipeline:
    """The known answer in the real pipeline."""
    return Pipeline(read_bundle(a_bundle(locate=locate)), by_brightness)


def a_declared_bundle(pipeline: dict[str, Any], *, locate: bool = False, members: int = 1, **network: object) -> Bundle:
    """A bundle whose stage 2 has the given arguments, with random weights, read as the platform reads it."""
    torch.manual_seed(0)
    definition = {**NET, **network}
    first, *further = (build_network_for(definition, pipeline).state_dict() for _ in range(members))
    located = build_network(LOCATE).state_dict() if locate else None
    config = {"network_def": definition, "locate_def": LOCATE, "irp_pipeline": pipeline}
    metadata = {"structures": STRUCTURES, "seed": 0}
    data = write_bundle(
        "heart", first, located, config, metadata, "A phantom's.", "Apache-2.0", further_members=further
    )
    return read_bundle(data)


def build_network_for(definition: dict[str, Any], pipeline: dict[str, Any]) -> torch.nn.Module:
    """The network that a pipeline wants."""
    return build_network(definition, inputs=read_spec(pipeline).segment.input_shape)


def a_volume(array: NDArray[Any], *, spacing_mm: tuple[float, float, float] = (8, 1, 1)) -> Volume:
    """(slice, row, column) -> a still volume along the patient's axes: columns lead left, rows to the back."""
    affine = np.eye(4)
    for axis, (step, along) in enumerate(zip(spacing_mm, (2, 1, 0), strict=True)):
        affine[:3, axis] = 0
        affine[along, axis] = step
    geometry = Geometry(shape=array.shape, affine=tuple(map(tuple, affine.tolist())))  # type: ignore[arg-type]
    return Volume(geometry=geometry, array=array[None])
