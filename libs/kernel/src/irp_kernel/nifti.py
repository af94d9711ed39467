"""NIfTI-1 and NIfTI-2 bytes <-> array with its affine; RAS exists only inside this file.

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
from irp_kernel.nrrd import GZIP_LEVEL, MAX_VOXEL_BYTES, Nrrd

_CODES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_CODE_OF = {name: code for code, name in _CODES.items()}
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM, _MSEC = 2, 16


def write_nifti(array: NDArray[Any], affine: NDArray[np.float64]) -> bytes:
    """NIfTI-1, gzip.

    Args:
        array: (time, slice, row, column).
        affine: (4, 4), (slice, row, column, 1) -> LPS mm.
    """
    frames, slices, rows, columns = array.shape
    ras = _RAS @ affine[:, [2, 1, 0, 3]]  # NIfTI's i, j, k are column, row, slice
    spacing = np.linalg.norm(ras[:3, :3], axis=0)
    kind = array.dtype.newbyteorder("<").str[1:]
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 4 if frames > 1 else 3, columns, rows, slices, frames, 1, 1, 1)
    struct.pack_into("<2h", header, 70, _CODE_OF[kind], array.dtype.itemsize * 8)
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    header[123] = _MM | _MSEC
    struct.pack_into("<2h", header, 252, 0, 2)  # no qform; sform = aligned to the scanner
    struct.pack_into("<12f", header, 280, *ras[:3].ravel())
    header[344:348] = b"n+1\0"
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, wbits=31)
    body = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return packer.compress(bytes(header)) + packer.compress(body.data) + packer.flush()


def read_nifti(data: bytes, *, max_bytes: int = MAX_VOXEL_BYTES) -> Nrrd:
    """Read a NIfTI file.

    Raises:
        BadVolumeFile: not NIfTI, or without a spatial transform.
        TooLarge: the voxels would take more than `max_bytes`.
    """
    try:
        return _read(data, max_bytes)
    except (ValueError, KeyError, struct.error, zlib.error) as cause:
        raise BadVolumeFile("the NIfTI file cannot be read") from cause


def _read(data: bytes, max_bytes: int) -> Nrrd:
    packed = data[:2] == b"\x1f\x8b"
    head = zlib.decompressobj(wbits=31).decompress(data, 1024) if packed else data[:1024]
    order = next((o for o in "<>" if struct.unpack_from(o + "i", head)[0] in (348, 540)), None)
    if order is None:
        raise BadVolumeFile("the file is neither NIfTI-1 nor NIfTI-2")
    two = struct.unpack_from(order + "i", head)[0] == 540
    dims = struct.unpack_from(order + ("8q" if two else "8h"), head, 16 if two else 40)
    code = struct.unpack_from(order + "h", head, 12 if two else 70)[0]
    offset = int(struct.unpack_from(order + ("q" if two else "f"), head, 168 if two else 108)[0])
    slope, inter = struct.unpack_from(order + ("2d" if two else "2f"), head, 176 if two else 112)
    if not 2 <= dims[0] <= 5 or min(dims[1 : dims[0] + 1]) < 1 or (dims[0] == 5 and dims[5] != 1):
        raise BadVolumeFile("a NIfTI file here has 2 to 4 axes")
    columns, rows, slices, frames = (int(n) if axis < dims[0] else 1 for axis, n in enumerate(dims[1:5]))
    dtype = np.dtype(order + _CODES[code])
    length = columns * rows * slices * frames * dtype.itemsize
    if length > max_bytes:
        raise TooLarge(f"the volume takes {length} bytes, allowed are {max_bytes}")
    body = zlib.decompressobj(wbits=31).decompress(data, offset + length) if packed else data
    body = body[offset : offset + length]
    if len(body) != length or offset < (544 if two else 352):
        raise BadVolumeFile(f"the NIfTI data holds {len(body)} bytes, expected {length}")
    array = np.frombuffer(body, dtype=dtype).reshape(frames, slices, rows, columns)
    array = array.astype(dtype.newbyteorder("="), copy=False)
    if slope not in (0.0, 1.0) or (slope == 1.0 and inter != 0.0):
        array = array * np.float64(slope) + np.float64(inter)
    ras = _affine(head, order, two)
    return Nrrd(array, (_RAS @ ras)[:, [2, 1, 0, 3]])


def _affine(head: bytes, order: str, two: bool) -> NDArray[np.float64]:
    real, _size = ("d", 8) if two else ("f", 4)
    q_code, s_code = struct.unpack_from(order + ("2i" if two else "2h"), head, 344 if two else 252)
    ras = np.eye(4)
    if s_code > 0:
        ras[:3] = np.reshape(struct.unpack_from(order + "12" + real, head, 400 if two else 280), (3, 4))
        return ras
    if q_code <= 0:
        raise BadVolumeFile("the NIfTI file says neither sform nor qform")
    start = 352 if two else 256
    b, c, d, x, y, z = struct.unpack_from(order + "6" + real, head, start)
    pixdim = struct.unpack_from(order + "4" + real, head, 104 if two else 76)
    rest = 1.0 - b * b - c * c - d * d
    # A float32 half turn leaves a rest of rounding only: its root would tilt the volume by half a milliradian.
    a = float(np.sqrt(rest)) if rest > 3 * np.finfo(np.float32).eps else 0.0
    rotation = np.array([
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ])  # fmt: skip
    handed = -1.0 if pixdim[0] < 0 else 1.0
    ras[:3, :3] = rotation * np.array([pixdim[1], pixdim[2], pixdim[3] * handed])
    ras[:3, 3] = (x, y, z)
    return ras
