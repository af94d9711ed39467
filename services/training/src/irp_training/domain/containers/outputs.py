"""What a container left in /output -> a mask on the input's grid, and JSON values.

The files were collected within bounds already (no links, sizes, number); here it is judged what they say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from irp_kernel import Geometry, LabelTable, Mask
from irp_kernel.errors import IrpError
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray

from irp_training.domain.container_errors import (
    ITS_FAULT,
    OutputGridDiffers,
    OutputLabelUnknown,
    OutputMissing,
    OutputNotReadable,
)
from irp_training.domain.containers.inputs import finite
from irp_training.domain.containers.metaimage import read_mha, stated_shape
from irp_training.domain.containers.sockets import JSON_DEPTH, Socket, Sockets, depth

JSON_LIMIT = 1 << 20  # bytes of one value
GRID_TOLERANCE_MM = 0.05  # at every corner: containers write float32 headers, and round
JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "Bool": (bool,),
    "Float": (float, int, type(None)),  # NaN came as null
    "Integer": (int,),
    "String": (str,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one run said.

    Attributes:
        labels: uint8 (time, slice, row, column), canonical values.
        values: by slug.
    """

    labels: NDArray[np.uint8]
    values: Mapping[str, Any]


def read_outputs(files: Mapping[str, bytes], sockets: Sockets, geometry: Geometry) -> Found:
    """Judge what a run left. Nothing but what it left is read here, so whatever goes wrong is the container's fault.

    Args:
        files: by path below /output.
        sockets: what was declared.
        geometry: of the image that the run was given.

    Raises:
        OutputMissing, OutputNotReadable, OutputGridDiffers, OutputLabelUnknown: with the socket's slug.
    """
    try:
        return Found(
            labels=_labels(files, sockets, geometry),
            values={socket.slug: _value(files, socket) for socket in sockets.results},
        )
    except ITS_FAULT:
        raise
    except MemoryError:  # ours
        raise
    except Exception as error:
        told = error.message if isinstance(error, IrpError) else "an output breaks what reads it"
        raise OutputNotReadable(told) from error


def as_mask(found: Sequence[Found], sockets: Sockets, geometry: Geometry) -> Mask:
    """The runs of one series as one mask, judged everywhere."""
    labels = np.concatenate([one.labels for one in found], axis=0)
    return Mask.fully_annotated(geometry, labels, LabelTable.canonical(sockets.structures))


def _labels(files: Mapping[str, bytes], sockets: Sockets, geometry: Geometry) -> NDArray[np.uint8]:
    slug, place = sockets.segmentation.slug, f"{sockets.segmentation.relative_path}/"
    images = [data for path, data in files.items() if path.startswith(place) and path.lower().endswith(".mha")]
    if len(images) != 1:
        raise OutputMissing(f"{slug}: one .mha file is expected, there are {len(images)}")
    shape = stated_shape(images[0])
    if shape != geometry.array_shape:  # before its voxels are unpacked
        raise OutputGridDiffers(f"{slug}: shape is {shape}, expected {geometry.array_shape}")
    volume = read_mha(images[0])
    apart = geometry.grid_distance_mm(volume.geometry)
    if not apart <= GRID_TOLERANCE_MM:  # NaN is no distance that is allowed
        raise OutputGridDiffers(f"{slug}: the grids lie {apart:.3f} mm apart, allowed are {GRID_TOLERANCE_MM} mm")
    return _canonical(volume.array, sockets.labels, slug)


def _canonical(array: NDArray[Any], labels: Mapping[int, str], slug: str) -> NDArray[np.uint8]:
    if array.dtype.kind == "f" and not np.array_equal(array, np.round(array)):
        raise OutputNotReadable(f"{slug}: a mask holds whole numbers only")
    if array.min() < 0 or array.max() > 255:
        raise OutputLabelUnknown(f"{slug}: the mask holds values beyond 0 to 255")
    small = array.astype(np.uint8)
    table = np.zeros(256, dtype=np.uint8)
    for value, name in labels.items():
        table[value] = VALUE_OF[name]
    foreign = np.setdiff1d(np.unique(small), [0, *labels])
    if foreign.size:
        raise OutputLabelUnknown(f"{slug}: value {int(foreign[0])} is not among the labels", value=int(foreign[0]))
    return table[small]


def _value(files: Mapping[str, bytes], socket: Socket) -> Any:
    data = files.get(socket.relative_path)
    if data is None:
        raise OutputMissing(f"{socket.slug}: {socket.relative_path} is not there")
    if len(data) > JSON_LIMIT:
        raise OutputNotReadable(f"{socket.slug}: more than {JSON_LIMIT} bytes")
    try:
        value = finite(json.loads(data))
    except (ValueError, RecursionError):
        raise OutputNotReadable(f"{socket.slug}: not JSON") from None
    if depth(value) > JSON_DEPTH:
        raise OutputNotReadable(f"{socket.slug}: nested deeper than {JSON_DEPTH}")
    allowed = JSON_TYPES.get(socket.kind)
    if allowed and (not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)):
        raise OutputNotReadable(f"{socket.slug}: not of the kind {socket.kind}")
    return value
