"""What the header of a NIfTI file says of its voxels; its free texts are not read.

RAS exists only here and in nifti.py. Source: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and nifti2.h
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import BadVolumeFile

CODES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
MAX_OFFSET_BYTES = 16 << 20  # of the voxels: header and extensions, which would else be inflated without a bound
_MS_OF = {8: 1000.0, 16: 1.0, 24: 0.001}  # xyzt_units: second, millisecond, microsecond
_OTHER_AXIS = {32, 40, 48}  # hertz, parts per million, radians per second
_UNKNOWN, _MM = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiHeader:
    """The part of a header that tells what and where voxels are.

    Attributes:
        shape: (time, slice, row, column).
        dtype: of the stored values, with their byte order.
        offset: byte at which the voxels begin.
        slope, inter: of scaling; slope 0 = none.
        sform, qform: (4, 4), (column, row, slice, 1) -> RAS mm; None if the header gives none.
        frame_step_ms: between two time points; 0 if not said.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    sform: NDArray[np.float64] | None
    qform: NDArray[np.float64] | None
    frame_step_ms: float

    @property
    def length(self) -> int:
        """Bytes of the voxels."""
        frames, slices, rows, columns = self.shape
        return frames * slices * rows * columns * int(self.dtype.itemsize)

    @property
    def ras(self) -> NDArray[np.float64]:
        """The sform, else the qform."""
        found = self.qform if self.sform is None else self.sform
        if found is None:
            raise BadVolumeFile("the NIfTI file says neither sform nor qform")
        return found


def read_header(head: bytes) -> NiftiHeader:
    """Read the first 1024 bytes.

    Raises:
        BadVolumeFile: not NIfTI, or what is not read here.
        ValueError, OverflowError, struct.error: broken.
    """
    order = next((o for o in "<>" if struct.unpack_from(o + "i", head)[0] in (348, 540)), None)
    if order is None:
        raise BadVolumeFile("the file is neither NIfTI-1 nor NIfTI-2")
    two = struct.unpack_from(order + "i", head)[0] == 540
    code = struct.unpack_from(order + "h", head, 12 if two else 70)[0]
    if code not in CODES:
        raise BadVolumeFile("the NIfTI file holds colours, complex numbers or bits: one number per voxel is read")
    slope, inter = struct.unpack_from(order + ("2d" if two else "2f"), head, 176 if two else 112)
    shape = _shape(struct.unpack_from(order + ("8q" if two else "8h"), head, 16 if two else 40))
    offset = int(struct.unpack_from(order + ("q" if two else "f"), head, 168 if two else 108)[0])
    if not (544 if two else 352) <= offset <= MAX_OFFSET_BYTES:
        raise BadVolumeFile("the NIfTI file says no possible place for its voxels")
    s_code, q_code = _codes(head, order, two)
    return NiftiHeader(
        shape=shape,
        dtype=np.dtype(order + CODES[code]),
        offset=offset,
        slope=slope,
        inter=inter,
        sform=_sform(head, order, two) if s_code > 0 else None,
        qform=_qform(head, order, two) if q_code > 0 else None,
        frame_step_ms=_step_ms(head, order, two, shape[0]),
    )


def _shape(dims: tuple[int, ...]) -> tuple[int, int, int, int]:
    if not 2 <= dims[0] <= 5 or min(dims[1 : dims[0] + 1]) < 1 or (dims[0] == 5 and dims[5] != 1):
        raise BadVolumeFile("a NIfTI file here has 2 to 4 axes")
    columns, rows, slices, frames = (int(n) if axis < dims[0] else 1 for axis, n in enumerate(dims[1:5]))
    return (frames, slices, rows, columns)


def _step_ms(head: bytes, order: str, two: bool, frames: int) -> float:
    units = struct.unpack_from(order + "i", head, 500)[0] if two else head[123]
    if units & 0x07 not in {_UNKNOWN, _MM}:
        raise BadVolumeFile("the NIfTI file's lengths are not in millimetres")
    if frames == 1:
        return 0.0
    if units & 0x38 in _OTHER_AXIS:
        raise BadVolumeFile("the fourth axis of the NIfTI file is not time")
    step = struct.unpack_from(order + ("d" if two else "f"), head, 136 if two else 92)[0]
    known = bool(np.isfinite(step)) and step > 0
    return float(step) * _MS_OF.get(units & 0x38, 0.0) if known else 0.0


def _codes(head: bytes, order: str, two: bool) -> tuple[int, int]:
    q_code, s_code = struct.unpack_from(order + ("2i" if two else "2h"), head, 344 if two else 252)
    return s_code, q_code


def _sform(head: bytes, order: str, two: bool) -> NDArray[np.float64]:
    ras = np.eye(4)
    ras[:3] = np.reshape(struct.unpack_from(order + ("12d" if two else "12f"), head, 400 if two else 280), (3, 4))
    return ras


def _qform(head: bytes, order: str, two: bool) -> NDArray[np.float64]:
    real = "d" if two else "f"
    b, c, d, x, y, z = struct.unpack_from(order + "6" + real, head, 352 if two else 256)
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
    ras = np.eye(4)
    ras[:3, :3] = rotation * np.array([pixdim[1], pixdim[2], pixdim[3] * handed])
    ras[:3, 3] = (x, y, z)
    return ras
