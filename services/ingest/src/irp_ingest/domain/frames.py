"""Frames of one instance, and the instance in the transfer syntax that everybody reads; runs in worker processes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from irp_deid import quietly
from irp_kernel.errors import IrpError
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from irp_ingest.domain.errors import FrameUnknown, PixelsNotReadable

T = TypeVar("T")
OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def frames_of(file: bytes, numbers: Sequence[int], *, decoded: bool) -> tuple[list[bytes], str]:
    """Frames by number (counted from 1; none named = all) and their transfer syntax.

    Raises:
        FrameUnknown: there is no such frame.
        PixelsNotReadable: no pixels, or they cannot be decoded.
    """
    return readable(lambda: _frames_of(read(file), numbers, decoded=decoded))


def transcoded(file: bytes) -> bytes:
    """The same instance in Explicit VR Little Endian, with its SOP Instance UID.

    Raises:
        PixelsNotReadable: its pixels cannot be decoded.
    """
    return readable(lambda: _transcoded(read(file)))


def frame_count(dataset: Dataset) -> int:
    """NumberOfFrames (0028,0008), 1 where it is not said."""
    return int(dataset.get("NumberOfFrames") or 1)


def index_of(dataset: Dataset, number: int) -> int:
    """Frame number, counted from 1 -> index.

    Raises:
        FrameUnknown: there is no such frame.
    """
    if not 1 <= number <= frame_count(dataset):
        raise FrameUnknown(f"the instance has {frame_count(dataset)} frames")
    return number - 1


def _frames_of(dataset: Dataset, numbers: Sequence[int], *, decoded: bool) -> tuple[list[bytes], str]:
    count = frame_count(dataset)
    wanted = [index_of(dataset, number) for number in numbers or range(1, count + 1)]
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return [_native(dataset, index) for index in wanted], str(ExplicitVRLittleEndian)
    if decoded:
        return [_decoded(dataset, index) for index in wanted], str(ExplicitVRLittleEndian)
    offsets = tuple(dataset[name].value for name in OFFSETS) if all(name in dataset for name in OFFSETS) else None
    frames = [get_frame(dataset.PixelData, index, number_of_frames=count, extended_offsets=offsets) for index in wanted]
    return frames, str(syntax)


def _native(dataset: Dataset, index: int) -> bytes:
    """A frame of uncompressed pixels as it lies in the file; decoded only where frames share bytes."""
    bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
    big_endian = dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    if "PixelData" not in dataset or bits % 8 or big_endian or "422" in dataset.PhotometricInterpretation:
        return _decoded(dataset, index)
    size = bits // 8
    return bytes(dataset.PixelData[index * size : (index + 1) * size])


def _decoded(dataset: Dataset, index: int) -> bytes:
    pixels = pixel_array(dataset, index=index)
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()


def _transcoded(dataset: Dataset) -> bytes:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and "PixelData" in dataset:
        dataset.decompress(generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian and "PixelData" in dataset and dataset.BitsAllocated > 8:
        words = np.frombuffer(dataset.PixelData, f">u{dataset.BitsAllocated // 8}")
        dataset.PixelData = words.astype(words.dtype.newbyteorder("<")).tobytes()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def read(file: bytes) -> Dataset:
    """A file in memory -> its dataset."""
    return dcmread(io.BytesIO(file))


def readable(work: Callable[[], T]) -> T:
    """What the work gives; whatever a decoder raises becomes PixelsNotReadable."""
    try:
        with quietly():
            return work()
    except IrpError:
        raise
    except Exception:  # decoders raise what they like
        raise PixelsNotReadable from None
