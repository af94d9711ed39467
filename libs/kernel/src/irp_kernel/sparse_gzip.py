"""One gzip member of many planes of which most are zero: the zeros are packed once per size, and the CRC computed.

A plane that is packed by itself and flushed (RFC 1951, a full flush) may stand beside any other in one deflate stream,
so every reader of gzip reads it; no reader has to know members that follow each other. The CRC-32 of a run of zeros is
a multiplication by a power of x in GF(2)[x] (RFC 1952 section 8; Stigge et al., Reversing CRC, 2006).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from functools import lru_cache

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # deflate, no name, no time, fastest
_END = b"\x03\x00"  # the last, empty block
_POLYNOMIAL = 0xEDB88320  # of CRC-32, bits reversed
_ALL = 0xFFFFFFFF
_ONE = 1 << 31  # x^0, bits reversed
LEVEL = 1


def sparse_gzip(pieces: Iterable[bytes | int]) -> bytes:
    """Pack pieces one after the other: bytes, or a number of zero bytes. The same pieces give the same bytes."""
    packed, crc, length, zeros = [_HEAD], 0, 0, 0
    for piece in pieces:
        if isinstance(piece, int):
            packed.append(_packed_zeros(piece))
            zeros += piece
            continue
        packed.append(_pack(piece))
        crc = zlib.crc32(piece, _after_zeros(crc, zeros))
        length, zeros = length + zeros + len(piece), 0
    end = struct.pack("<II", _after_zeros(crc, zeros), (length + zeros) & 0xFFFFFFFF)
    return b"".join([*packed, _END, end])


def _pack(data: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, wbits=-15)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


@lru_cache(maxsize=64)
def _packed_zeros(length: int) -> bytes:
    return _pack(bytes(length))


def _after_zeros(crc: int, length: int) -> int:
    """The checksum of the same and so many zeros: its register, which begins and ends inverted, moves on."""
    return _multiply(_power(length), crc ^ _ALL) ^ _ALL


@lru_cache(maxsize=1024)
def _power(length: int) -> int:
    """x^(8 length) modulo the polynomial: what so many zero bytes do to a checksum before them."""
    found, square, left = _ONE, _ONE >> 1, 8 * length
    while left:
        if left & 1:
            found = _multiply(square, found)
        square, left = _multiply(square, square), left >> 1
    return found


def _multiply(one: int, two: int) -> int:
    """Product of two polynomials modulo that of CRC-32; bits reversed."""
    product, bit = 0, _ONE
    while bit:
        if one & bit:
            product ^= two
        two = (two >> 1) ^ _POLYNOMIAL if two & 1 else two >> 1
        bit >>= 1
    return product
