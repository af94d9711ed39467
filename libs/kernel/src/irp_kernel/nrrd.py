"""NRRD 5 bytes <-> array with its double-precision affine: the file format between rooms.

Written: little endian, gzip, `space: left-posterior-superior`, axes fastest first (column, row, slice, time).
Read: raw or gzip, attached data, 2 to 4 axes, any integer or float type; sizes are checked before anything is inflated.
Source: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import BadVolumeFile, TooLarge

MAX_VOXEL_BYTES = 4 << 30  # bytes after inflation; beyond: TooLarge
MAX_HEADER_BYTES = 1 << 20
GZIP_LEVEL = 1  # masks shrink 100-fold at level 1 already; images hardly more at 9

_TYPES = {
    "int8": "i1", "signed char": "i1", "uint8": "u1", "uchar": "u1", "unsigned char": "u1",
    "int16": "i2", "short": "i2", "signed short": "i2", "uint16": "u2", "ushort": "u2", "unsigned short": "u2",
    "int32": "i4", "int": "i4", "uint32": "u4", "uint": "u4", "unsigned int": "u4",
    "int64": "i8", "long long": "i8", "uint64": "u8", "float": "f4", "double": "f8",
}  # fmt: skip
_NAMES = {"i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
          "i8": "int64", "u8": "uint64", "f4": "float", "f8": "double"}  # fmt: skip
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Nrrd:
    """What an NRRD file says.

    Attributes:
        array: (time, slice, row, column).
        affine: (4, 4), (slice, row, column, 1) -> LPS mm.
        fields: key/value pairs (`key:=value`).
        frame_step_ms: between two time points; 0 if the file does not say it.
        doubt_mm: how far apart the file's own statements of place put a corner of the grid (NIfTI: sform and qform).
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    fields: dict[str, str] = field(default_factory=dict)
    frame_step_ms: float = 0.0
    doubt_mm: float = 0.0


def write_nrrd(nrrd: Nrrd, *, packed: bool = True) -> bytes:
    """NRRD bytes; the same content gives the same bytes. Not packed, they can be mapped into memory as they are."""
    array = np.ascontiguousarray(nrrd.array)
    kind = array.dtype.newbyteorder("<").str[1:]
    voxels = array.astype(array.dtype.newbyteorder("<"), copy=False).data
    if not packed:
        return nrrd_head(array.shape, kind, nrrd.affine, nrrd.fields, encoding="raw") + voxels.tobytes()
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, wbits=31)
    body = packer.compress(voxels) + packer.flush()
    return nrrd_head(array.shape, kind, nrrd.affine, nrrd.fields) + body


def nrrd_head(
    shape: tuple[int, ...],
    kind: str,
    affine: NDArray[np.float64],
    fields: dict[str, str],
    *,
    encoding: str = "gzip",
) -> bytes:
    """The text before the voxels.

    Args:
        shape: (time, slice, row, column).
        kind: numpy's name of the voxels' type without byte order, "u1".
        affine: (4, 4), (slice, row, column, 1) -> LPS mm.
        fields: key/value pairs.
        encoding: of the voxels, "gzip" or "raw".
    """
    columns = [affine[:3, axis] for axis in (2, 1, 0)]
    directions = " ".join(_vector(column) for column in columns)
    sizes = " ".join(str(n) for n in reversed(shape))
    lines = [
        "NRRD0005",
        f"type: {_NAMES[kind]}",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {sizes}",
        f"space directions: {directions} none",
        "kinds: domain domain domain list",
        "endian: little",
        f"encoding: {encoding}",
        f"space origin: {_vector(affine[:3, 3])}",
        *(f"{key}:={value}" for key, value in sorted(fields.items())),
        "",
        "",
    ]
    return "\n".join(lines).encode()


def read_nrrd(data: bytes | memoryview, *, max_bytes: int = MAX_VOXEL_BYTES) -> Nrrd:
    """Read an NRRD file.

    Raises:
        BadVolumeFile: not NRRD, or something that is not read here.
        TooLarge: the voxels would take more than `max_bytes`.
    """
    try:
        return _read(data, max_bytes)
    except (ValueError, KeyError, IndexError, OverflowError, zlib.error) as cause:
        raise BadVolumeFile("the NRRD file cannot be read") from cause


def _read(data: bytes | memoryview, max_bytes: int) -> Nrrd:
    end, skip = _header_end(data)
    lines = bytes(data[:end]).decode("utf-8").splitlines()
    if not lines[0].startswith("NRRD000"):
        raise BadVolumeFile("the file does not begin with NRRD000")
    said = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(":") for line in lines[1:] if not line.startswith("#"))
        if colon and not value.startswith("=")
    }
    fields = dict(line.split(":=", 1) for line in lines[1:] if ":=" in line and not line.startswith("#"))
    _require_whole(said)
    order = ">" if said.get("endian") == "big" else "<"
    dtype = np.dtype(order + _TYPES[said["type"]])
    sizes = tuple(int(n) for n in said["sizes"].split())
    if not 2 <= len(sizes) <= 4 or min(sizes) < 1:
        raise BadVolumeFile("an NRRD file here has 2 to 4 axes")
    length = int(np.prod(sizes, dtype=object)) * dtype.itemsize
    if length > max_bytes:
        raise TooLarge(f"the volume takes {length} bytes, allowed are {max_bytes}")
    body = _inflate(memoryview(data)[end + skip :], said["encoding"], length)
    array = np.frombuffer(body, dtype=dtype).astype(dtype.newbyteorder("="), copy=False)
    spatial, time_first, affine = _axes(said, sizes)
    array = array.reshape(tuple(reversed(sizes)))
    if time_first:  # component axis fastest, as Slicer writes sequences
        array = np.moveaxis(array, -1, 0)
    return Nrrd(array.reshape((-1, *_three(spatial))), affine, fields)


def _require_whole(said: dict[str, str]) -> None:
    """Nothing beside the file is ever opened, and lengths are not guessed."""
    if {"data file", "datafile"} & set(said):
        raise BadVolumeFile("the NRRD header names a file for its data; send header and data as one file")
    units = said.get("space units", "").replace('"', " ").lower().split()
    if set(units) - {"mm", "millimeter", "millimetre"}:
        raise BadVolumeFile("the NRRD file's lengths are not in millimetres")


def _three(spatial: tuple[int, ...]) -> tuple[int, int, int]:
    columns, rows, *rest = spatial
    return (rest[0] if rest else 1, rows, columns)


def _axes(said: dict[str, str], sizes: tuple[int, ...]) -> tuple[tuple[int, ...], bool, NDArray[np.float64]]:
    vectors = said["space directions"].replace(", ", ",").split()
    where = [axis for axis, vector in enumerate(vectors) if vector != "none"]
    if len(vectors) != len(sizes) or len(where) not in (2, 3) or where != list(range(where[0], where[0] + len(where))):
        raise BadVolumeFile("`space directions` must describe two or three neighbouring axes")
    flip = np.asarray(_TO_LPS[said["space"].strip().lower()], dtype=np.float64)
    columns = [flip * _numbers(vectors[axis]) for axis in where]
    if len(columns) == 2:
        normal = np.cross(columns[0], columns[1])
        columns.append(normal / np.linalg.norm(normal))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = columns[2], columns[1], columns[0]
    affine[:3, 3] = flip * _numbers(said["space origin"])
    return tuple(sizes[axis] for axis in where), where[0] > 0, affine


def _header_end(data: bytes | memoryview) -> tuple[int, int]:
    head = bytes(data[:MAX_HEADER_BYTES])
    unix, windows = head.find(b"\n\n"), head.find(b"\r\n\r\n")
    if windows >= 0 and (unix < 0 or windows < unix):
        return windows, 4
    if unix < 0:
        raise BadVolumeFile("the NRRD header does not end")
    return unix, 2


def _inflate(body: bytes | memoryview, encoding: str, length: int) -> bytes | memoryview:
    if encoding.strip() in {"gzip", "gz"}:
        body = zlib.decompressobj(wbits=31).decompress(body, length + 1)
    elif encoding.strip() != "raw":
        raise BadVolumeFile("the NRRD encoding must be raw or gzip")
    if len(body) != length:
        raise BadVolumeFile(f"the NRRD data holds {len(body)} bytes, expected {length}")
    return body


def _vector(numbers: NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(x)) for x in numbers) + ")"


def _numbers(text: str) -> NDArray[np.float64]:
    numbers = np.array([float(x) for x in text.strip().strip("()").split(",")], dtype=np.float64)
    if numbers.shape != (3,):
        raise BadVolumeFile("a vector in `space directions` must have three components")
    return numbers
