"""A run as a TensorBoard event file: scalars of every curve, and the overlays as images. Written from the format.

A file is a row of records: length (uint64), masked CRC-32C of it, an Event, masked CRC-32C of that; little-endian. An
Event is a protocol buffer. Source: tensorflow/core/util/event.proto, core/framework/summary.proto,
core/lib/io/record_writer.h (TFRecord); CRC-32C: RFC 3720 appendix B.4 (polynomial 0x1EDC6F41, reflected 0x82F63B78).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from irp_training.domain.run import Metric

VERSION = b"brain.Event:2"
RGB = 3  # channels of an image
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types

Picture = tuple[int, str, bytes]  # epoch, which, PNG


def event_file(wall_s: float, metrics: Iterable[Metric], pictures: Iterable[Picture] = ()) -> bytes:
    """The file's bytes; the same run gives the same bytes.

    Args:
        wall_s: seconds since 1970 that every event is given: points of curves are kept by epoch, not by time.
        metrics: a step is an epoch, a tag is the curve's name.
        pictures: shown under `overlay/<which>`.
    """
    events = [_event(wall_s, 0, _field(3, VERSION))]
    events += [_event(wall_s, m.epoch, _field(5, _scalar(m))) for m in metrics]
    events += [_event(wall_s, epoch, _field(5, _image(which, png))) for epoch, which, png in pictures]
    return b"".join(map(_record, events))


def crc32c(data: bytes) -> int:
    """Cyclic redundancy check, Castagnoli."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _table() -> Sequence[int]:
    rows = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return rows


_TABLE = _table()


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _event(wall_s: float, step: int, content: bytes) -> bytes:
    return _key(1, _DOUBLE) + struct.pack("<d", wall_s) + _number(2, step) + content


def _scalar(metric: Metric) -> bytes:
    return _field(1, _field(1, metric.name.encode()) + _key(2, _FLOAT) + struct.pack("<f", metric.value))


def _image(which: str, png: bytes) -> bytes:
    width, height = struct.unpack(">II", png[16:24])  # IHDR is a PNG's first chunk
    image = _number(1, height) + _number(2, width) + _number(3, RGB) + _field(4, png)
    return _field(1, _field(1, f"overlay/{which}".encode()) + _field(4, image))


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _field(number: int, data: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
