"""Regions of an image are blacked out in every frame, whatever its transfer syntax; runs in a worker process.

In: a de-identified Part 10 file and regions. Out: the same instance in Explicit VR Little Endian, whose header says
what was done. Never: pixels of a region in any form, for everything is decoded and written anew.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from irp_deid import quietly
from irp_deid.pixels import Region
from irp_deid.stamp import say_masked
from irp_kernel.errors import IrpError
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from irp_ingest.domain.errors import CannotMask, RegionOutside
from irp_ingest.domain.frames import OFFSETS, frame_count

MAX_DECODED_BYTES = 1 << 30  # of all frames; beyond: CannotMask
MAX_REGIONS = 64
COLOURS = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}  # all of them come out of the decoder as RGB
GREYS = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}
WHOLE_BYTES = 8


def masked(file: bytes, regions: Sequence[Region]) -> bytes:
    """The instance with its regions blacked out.

    Raises:
        RegionOutside: a region has no pixel in the image.
        CannotMask: no pixels, or pixels that cannot be decoded and written again.
    """
    try:
        with quietly():
            dataset = dcmread(io.BytesIO(file))
            _require_maskable(dataset)
            boxes = [boxed(region, dataset.Rows, dataset.Columns) for region in regions]
            pixels = _frames(dataset)
            for top, bottom, left, right in boxes:
                pixels[:, top:bottom, left:right] = _black(pixels, str(dataset.PhotometricInterpretation))
            _replace(dataset, pixels)
            say_masked(dataset)
            return _written(dataset)
    except IrpError:
        raise
    except Exception:  # decoders raise what they like
        raise CannotMask from None


def boxed(region: Region, rows: int, columns: int) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the part of a region that lies in an image.

    Raises:
        RegionOutside: no pixel of it does.
    """
    x, y, width, height = region
    top, bottom, left, right = max(y, 0), min(y + height, rows), max(x, 0), min(x + width, columns)
    if width <= 0 or height <= 0 or top >= bottom or left >= right:
        raise RegionOutside(f"the image has {columns} columns and {rows} rows")
    return top, bottom, left, right


def _require_maskable(dataset: Dataset) -> None:
    if "PixelData" not in dataset or dataset.BitsAllocated % WHOLE_BYTES:
        raise CannotMask
    if str(dataset.PhotometricInterpretation) not in COLOURS | GREYS:
        raise CannotMask
    size = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * frame_count(dataset)
    if size * dataset.BitsAllocated // WHOLE_BYTES > MAX_DECODED_BYTES:
        raise CannotMask(limit_bytes=MAX_DECODED_BYTES)


def _frames(dataset: Dataset) -> NDArray[Any]:
    """(frame, row, column[, sample]), decoded; colours are red, green, blue."""
    pixels = np.array(pixel_array(dataset))
    colours = dataset.SamplesPerPixel > 1
    return pixels if pixels.ndim == (4 if colours else 3) else pixels[np.newaxis]


def _black(pixels: NDArray[Any], kind: str) -> Any:
    """What is shown as black; the extreme of what occurs, for windows that are made from the values."""
    if kind in COLOURS:
        return 0
    return pixels.max() if kind == "MONOCHROME1" else pixels.min()


def _replace(dataset: Dataset, pixels: NDArray[Any]) -> None:
    for name in OFFSETS:
        if name in dataset:
            del dataset[name]
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    del dataset["PixelData"]  # with its encapsulation and value representation
    dataset.add_new("PixelData", "OB" if pixels.dtype.itemsize == 1 else "OW", data + b"\x00" * (len(data) % 2))
    dataset.BitsAllocated = WHOLE_BYTES * pixels.dtype.itemsize
    if dataset.SamplesPerPixel > 1:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0


def _written(dataset: Dataset) -> bytes:
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()
