"""The one codec for volumes and masks: bytes to bytes, no I/O.

Between rooms: NRRD with a double-precision affine. To and from people: NRRD or NIfTI, told apart by their first bytes.
A mask's NRRD carries `irp_labels` (JSON, value -> name) and `irp_annotated` (base64 of packed bits, C order).
"""

from __future__ import annotations

import base64
import json

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import BadVolumeFile
from irp_kernel.geometry import Geometry, to_matrix
from irp_kernel.mask import Label, LabelTable, Mask
from irp_kernel.nifti import read_nifti, write_nifti
from irp_kernel.nrrd import Nrrd, read_nrrd, write_nrrd
from irp_kernel.volume import Volume

NRRD = "application/x-nrrd"
NIFTI = "application/x-nifti"
EXTENSION = {NRRD: "nrrd", NIFTI: "nii.gz"}


def encode_volume(volume: Volume, media_type: str = NRRD) -> bytes:
    """Volume -> file bytes of the media type (NRRD or NIfTI)."""
    if media_type == NIFTI:
        return write_nifti(volume.array, volume.geometry.matrix, volume.geometry.frame_step_ms)
    return write_nrrd(Nrrd(volume.array, volume.geometry.matrix, _time_fields(volume.geometry)))


def unpacked(data: bytes) -> bytes:
    """An NRRD file with its voxels not compressed, which can be read where it lies; NIfTI stays as it is."""
    return write_nrrd(read_nrrd(data), packed=False) if data[:7] == b"NRRD000" else data


def decode_volume(data: bytes | memoryview) -> Volume:
    """File bytes (NRRD or NIfTI) -> Volume; voxels that are not compressed are not copied, and cannot be written to.

    Raises:
        BadVolumeFile: neither format, or broken.
        TooLarge: beyond the limit of voxels.
    """
    nrrd = _read_any(data)
    return Volume(geometry=_geometry(nrrd), array=nrrd.array)


def encode_mask(mask: Mask, media_type: str = NRRD) -> bytes:
    """Mask -> file bytes. NIfTI carries the labels only; NRRD carries table and `annotated` too."""
    if media_type == NIFTI:
        return write_nifti(mask.labels, mask.geometry.matrix, mask.geometry.frame_step_ms)
    fields = mask_fields(mask.geometry, mask.table, mask.annotated)
    return write_nrrd(Nrrd(mask.labels, mask.geometry.matrix, fields))


def mask_fields(geometry: Geometry, table: LabelTable, annotated: NDArray[np.bool_]) -> dict[str, str]:
    """What a mask's NRRD says beside its voxels: names of values, what was annotated, times."""
    return _time_fields(geometry) | {
        "irp_labels": json.dumps({str(label.value): label.name for label in table.labels}),
        "irp_annotated": base64.b64encode(np.packbits(annotated).tobytes()).decode(),
    }


def decode_mask(data: bytes | memoryview, table: LabelTable | None = None) -> Mask:
    """File bytes -> Mask.

    Args:
        data: NRRD or NIfTI.
        table: what the values mean, for files that do not say it themselves; structures then count as annotated
            where they carry a label.

    Raises:
        BadVolumeFile: broken, not of integer values from 0 to 255, or without a label table.
        UnknownStructure: a value is not in the table.
    """
    nrrd = _read_any(data)
    labels = _as_labels(nrrd)
    geometry = _geometry(nrrd)
    if "irp_labels" not in nrrd.fields:
        if table is None:
            raise BadVolumeFile("the mask says no label table, and none was given")
        return Mask.annotated_where_labelled(geometry, labels, table)
    try:
        own = LabelTable(tuple(Label(value=int(v), name=n) for v, n in json.loads(nrrd.fields["irp_labels"]).items()))
        shape = (geometry.frames, geometry.shape[0], len(own.labels))
        bits = np.frombuffer(base64.b64decode(nrrd.fields["irp_annotated"]), dtype=np.uint8)
        annotated = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(np.bool_)
    except (ValueError, KeyError, AttributeError, TypeError) as cause:
        raise BadVolumeFile("the mask's label table cannot be read") from cause
    return Mask(geometry=geometry, labels=labels, table=own, annotated=annotated)


def _read_any(data: bytes | memoryview) -> Nrrd:
    return read_nrrd(data) if data[:7] == b"NRRD000" else read_nifti(bytes(data))


def _geometry(nrrd: Nrrd) -> Geometry:
    frames, slices, rows, columns = nrrd.array.shape
    times = nrrd.fields.get("irp_frame_times_ms", "")
    try:
        times_ms = tuple(float(x) for x in times.split(",")) if times else ()
    except ValueError as cause:
        raise BadVolumeFile("the frame times cannot be read") from cause
    return Geometry(
        shape=(slices, rows, columns), affine=to_matrix(nrrd.affine), frames=frames, frame_times_ms=times_ms
    )


def _time_fields(geometry: Geometry) -> dict[str, str]:
    times = geometry.frame_times_ms
    return {"irp_frame_times_ms": ",".join(repr(t) for t in times)} if times else {}


def _as_labels(nrrd: Nrrd) -> NDArray[np.uint8]:
    if nrrd.array.dtype.kind == "f" and not np.array_equal(nrrd.array, np.round(nrrd.array)):
        raise BadVolumeFile("a mask holds whole numbers only")
    if nrrd.array.size and (nrrd.array.min() < 0 or nrrd.array.max() > 255):
        raise BadVolumeFile("a mask holds values from 0 to 255")
    return np.asarray(nrrd.array, dtype=np.uint8)
