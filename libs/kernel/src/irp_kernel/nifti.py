"""NIfTI-1 and NIfTI-2 bytes <-> array with its affine; RAS exists only here and in nifti_header.py.

Written: NIfTI-1 single file, gzip, sform (float32) and qform, millimetres. Read: .nii and .nii.gz of both versions.
Source: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and nifti2.h
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import BadVolumeFile, TooLarge
from irp_kernel.nifti_header import CODES, NiftiHeader, read_header
from irp_kernel.nrrd import GZIP_LEVEL, MAX_VOXEL_BYTES, Nrrd

_CODE_OF = {name: code for code, name in CODES.items()}
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM, _MSEC = 2, 16


def write_nifti(array: NDArray[Any], affine: NDArray[np.float64], frame_step_ms: float = 0.0) -> bytes:
    """NIfTI-1, gzip.

    Args:
        array: (time, slice, row, column).
        affine: (4, 4), (slice, row, column, 1) -> LPS mm.
        frame_step_ms: between two time points; 0 if unknown or uneven: the file then names no unit of time.
    """
    kind = array.dtype.newbyteorder("<").str[1:]
    header = nifti_head(array.shape, kind, affine, frame_step_ms)
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, wbits=31)
    body = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return packer.compress(header) + packer.compress(body.data) + packer.flush()


def nifti_head(shape: tuple[int, ...], kind: str, affine: NDArray[np.float64], frame_step_ms: float = 0.0) -> bytes:
    """Everything before the voxels of a NIfTI-1 file.

    Args:
        shape: (time, slice, row, column).
        kind: numpy's name of the voxels' type without byte order, "u1".
        affine: (4, 4), (slice, row, column, 1) -> LPS mm.
        frame_step_ms: see write_nifti.
    """
    frames, slices, rows, columns = shape
    ras = _RAS @ affine[:, [2, 1, 0, 3]]  # NIfTI's i, j, k are column, row, slice
    spacing = np.linalg.norm(ras[:3, :3], axis=0)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 4 if frames > 1 else 3, columns, rows, slices, frames, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _CODE_OF[kind], np.dtype(kind).itemsize * 8)
    # A step of 0 would be honest where it is unknown, but ITK refuses it.
    struct.pack_into("<8f", header, 76, 1.0, *spacing, frame_step_ms or 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    header[123] = _MM | _MSEC if frame_step_ms else _MM
    struct.pack_into("<2h", header, 252, 0, 2)  # no qform; sform = aligned to the scanner
    struct.pack_into("<12f", header, 280, *ras[:3].ravel())
    header[344:348] = b"n+1\0"
    return bytes(header)


def read_nifti(data: bytes, *, max_bytes: int = MAX_VOXEL_BYTES) -> Nrrd:
    """Read a NIfTI file.

    Raises:
        BadVolumeFile: not NIfTI, or without a spatial transform.
        TooLarge: the voxels would take more than `max_bytes`.
    """
    try:
        return _read(data, max_bytes)
    except (ValueError, KeyError, OverflowError, struct.error, zlib.error) as cause:
        raise BadVolumeFile("the NIfTI file cannot be read") from cause


def _read(data: bytes, max_bytes: int) -> Nrrd:
    packed = data[:2] == b"\x1f\x8b"
    header = read_header(zlib.decompressobj(wbits=31).decompress(data, 1024) if packed else data[:1024])
    if header.length > max_bytes:
        raise TooLarge(f"the volume takes {header.length} bytes, allowed are {max_bytes}")
    end = header.offset + header.length
    body = (zlib.decompressobj(wbits=31).decompress(data, end) if packed else data)[header.offset : end]
    if len(body) != header.length:
        raise BadVolumeFile(f"the NIfTI data holds {len(body)} bytes, expected {header.length}")
    array = np.frombuffer(body, dtype=header.dtype).reshape(header.shape)
    array = array.astype(header.dtype.newbyteorder("="), copy=False)
    if header.slope not in (0.0, 1.0) or (header.slope == 1.0 and header.inter != 0.0):
        array = array * np.float64(header.slope) + np.float64(header.inter)
    return Nrrd(
        array, (_RAS @ header.ras)[:, [2, 1, 0, 3]], frame_step_ms=header.frame_step_ms, doubt_mm=_doubt_mm(header)
    )


def _doubt_mm(header: NiftiHeader) -> float:
    if header.qform is None or header.sform is None:
        return 0.0
    _frames, slices, rows, columns = header.shape
    ends = ([0.0, n - 1.0] for n in (columns, rows, slices))
    corners = np.stack([*np.meshgrid(*ends, indexing="ij"), np.ones((2, 2, 2))], axis=-1).reshape(-1, 4)
    return float(np.linalg.norm(corners @ (header.sform - header.qform)[:3].T, axis=1).max())
