"""MetaImage files with their data inside (.mha): what Grand Challenge's containers read and write.

Axes are x, y, z (and t) in the file: column, row, slice (and time) here, so that the bytes are the same in C order.
Positions are LPS mm in both. Written plain, read plain or compressed (zlib).

Source: MetaIO, "MetaImage tag reference"; ITK writes the direction of each axis as three numbers of TransformMatrix.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from irp_kernel import Geometry, Volume
from irp_kernel.geometry import to_matrix
from numpy.typing import NDArray

from irp_training.domain.container_errors import OutputNotReadable

HEADER_LIMIT = 16 << 10  # bytes
HEADER_LINES = 100
SIDE_LIMIT = 65_536  # voxels along an axis
VOXELS_LIMIT = 1 << 30
STEP_MS = 1.0  # between frames, where the input does not know it
TYPES: dict[str, str] = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
NAMES = {kind: name for name, kind in TYPES.items()}
SYNONYMS = {
    "Position": "Offset",
    "Origin": "Offset",
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "ElementSize": "ElementSpacing",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}


def write_mha(volume: Volume) -> bytes:
    """Volume -> file; of three dimensions if it has one frame, else of four with steps in ms."""
    geometry = volume.geometry
    array = np.asarray(volume.array)
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    if kind not in NAMES:
        kind, array = "f4", array.astype(np.float32)
    size = [*reversed(geometry.shape)]
    spacing = [*reversed(geometry.spacing_mm)]
    # columns of the affine are (slice, row, column); the file wants the unit vectors of (column, row, slice)
    directions = (geometry.matrix[:3, :3] / np.asarray(geometry.spacing_mm)).T[::-1]
    matrix, offset = directions, geometry.matrix[:3, 3]
    if geometry.frames > 1:
        size.append(geometry.frames)
        spacing.append(geometry.frame_step_ms or STEP_MS)
        matrix = np.eye(4)
        matrix[:3, :3] = directions
        offset = np.append(offset, 0.0)
    header = {
        "ObjectType": "Image",
        "NDims": str(len(size)),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": _numbers(matrix),
        "Offset": _numbers(offset),
        "CenterOfRotation": _numbers(np.zeros(len(size))),
        "ElementSpacing": _numbers(spacing),
        "DimSize": " ".join(map(str, size)),
        "ElementType": NAMES[kind],
        "ElementDataFile": "LOCAL",
    }
    text = "".join(f"{key} = {value}\n" for key, value in header.items())
    return text.encode("ascii") + array.astype(f"<{kind}").tobytes()


def stated_shape(data: bytes) -> tuple[int, int, int, int]:
    """Frames, slices, rows and columns that a file says it has, without looking at its voxels.

    Raises:
        OutputNotReadable: as `read_mha`.
    """
    return _shape(_size(_header(data)[0]))


def read_mha(data: bytes) -> Volume:
    """File -> Volume; a file from nobody we know, so everything it says is doubted.

    A small file may unpack to all the voxels that it states: compare `stated_shape` first where the shape is known.

    Raises:
        OutputNotReadable: broken, of another kind, or too large.
    """
    header, begins = _header(data)
    size = _size(header)
    if header.get("ElementNumberOfChannels", "1") != "1":
        raise OutputNotReadable("an image has one number per voxel")
    try:
        kind = np.dtype((">" if _flag(header, "BinaryDataByteOrderMSB") else "<") + TYPES[header["ElementType"]])
    except KeyError:
        raise OutputNotReadable("the type of the voxels is not known") from None
    expected = math.prod(size) * kind.itemsize
    body = data[begins:]
    if _flag(header, "CompressedData"):
        body = _inflated(body, expected)
    if len(body) < expected:
        raise OutputNotReadable("the image holds fewer voxels than its header says")
    array = np.frombuffer(body, dtype=kind, count=math.prod(size)).reshape([*reversed(size)])
    frames, *shape = _shape(size)
    return Volume(
        geometry=Geometry(
            shape=(shape[0], shape[1], shape[2]), affine=to_matrix(_affine(header, len(size))), frames=frames
        ),
        array=array.reshape((frames, *shape)),
    )


def _size(header: dict[str, str]) -> list[int]:
    """Voxels along each axis, as the file has them: column, row, slice (and time)."""
    size = [int(n) for n in _values(header, "DimSize")]
    if len(size) not in (3, 4) or not all(1 <= n <= SIDE_LIMIT for n in size) or math.prod(size) > VOXELS_LIMIT:
        raise OutputNotReadable("an image has three or four axes, and not too many voxels")
    return size


def _shape(size: list[int]) -> tuple[int, int, int, int]:
    return (size[3] if len(size) == 4 else 1, size[2], size[1], size[0])


def _header(data: bytes) -> tuple[dict[str, str], int]:
    """Its lines, and where the voxels begin."""
    found: dict[str, str] = {}
    at = 0
    for _ in range(HEADER_LINES):
        end = data.find(b"\n", at, HEADER_LIMIT)
        if end < 0:
            break
        name, equals, value = data[at:end].decode("latin-1").partition("=")
        at = end + 1
        if not equals:
            break
        key = name.strip()
        found[SYNONYMS.get(key, key)] = value.strip()
        if key == "ElementDataFile":
            if value.strip().upper() != "LOCAL":
                raise OutputNotReadable("an image carries its voxels inside (ElementDataFile = LOCAL)")
            return found, at
    raise OutputNotReadable("the file is not a MetaImage")


def _values(header: dict[str, str], name: str) -> list[float]:
    try:
        numbers = [float(word) for word in header[name].split()]
    except (KeyError, ValueError):
        raise OutputNotReadable("the header lacks a field, or it holds no numbers") from None
    if not all(math.isfinite(n) for n in numbers):
        raise OutputNotReadable("the header holds numbers that are not finite")
    return numbers


def _affine(header: dict[str, str], axes: int) -> NDArray[np.float64]:
    spacing = _values(header, "ElementSpacing")
    matrix = _values(header, "TransformMatrix") if "TransformMatrix" in header else np.eye(axes).ravel().tolist()
    offset = _values(header, "Offset") if "Offset" in header else [0.0] * axes
    if (len(spacing), len(matrix), len(offset)) != (axes, axes * axes, axes) or min(spacing) <= 0:
        raise OutputNotReadable("the header's geometry does not fit its number of axes")
    directions = np.asarray(matrix).reshape(axes, axes)[:3, :3]
    if abs(np.linalg.det(directions)) < 1e-6:
        raise OutputNotReadable("the directions of the axes are not independent")
    affine = np.eye(4)
    affine[:3, :3] = (directions[::-1] * np.asarray(spacing[2::-1])[:, None]).T
    affine[:3, 3] = offset[:3]
    return affine


def _inflated(body: bytes, expected: int) -> bytes:
    """At most `expected` bytes, whatever the stream would unpack to."""
    try:
        return zlib.decompressobj().decompress(body, expected)
    except zlib.error:
        raise OutputNotReadable("the voxels are not compressed as the header says") from None


def _flag(header: dict[str, str], name: str) -> bool:
    return header.get(name, "False").lower() in {"true", "1"}


def _numbers(values: Any) -> str:
    return " ".join(repr(float(value)) for value in np.asarray(values, dtype=np.float64).ravel())
