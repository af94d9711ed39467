"""DICOM Part 10 bytes to dataset and back, in memory only. Source: PS3.10 section 7.

Reads tolerantly, writes strictly: a fresh preamble and file meta information, never the sender's.
"""

from __future__ import annotations

import io
import zlib

import pydicom
from irp_kernel.errors import IrpError, TooLarge
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import _read_file_meta_info
from pydicom.pixels.utils import get_expected_length
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from irp_deid.encode import encode, header
from irp_deid.engine import deidentify, report_of
from irp_deid.errors import CannotDeidentify, NotDicom
from irp_deid.keys import SiteKey
from irp_deid.profile import Profile
from irp_deid.quiet import quietly
from irp_deid.refusals import refuse_unsafe
from irp_deid.report import Report, Tally
from irp_deid.swift import clean
from irp_deid.tokens import PIXEL_DATA, Odd, Token, Tokens, file_meta

PREAMBLE_BYTES = 128
MAX_BYTES = 512 << 20  # of a dataset once inflated; beyond: TooLarge
TRANSFER_SYNTAX, SOP_CLASS, SOP_INSTANCE = 0x00020010, 0x00080016, 0x00080018
SHORT_HEADER = 8  # bytes before the value of a UID, in both encodings
RARE = frozenset({DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian})
IMPLEMENTATION_UID = "2.25.224209871345861790402165293818574910352"
IMPLEMENTATION = "OPENIRP"


def deidentify_file(data: bytes, key: SiteKey, profile: Profile, *, detailed: bool = False) -> tuple[bytes, Report]:
    """Part 10 bytes -> Part 10 bytes without the patient, and what was done (to every element if `detailed`).

    Raises:
        InstanceRefused: its subclasses in `irp_deid.errors` say why it must not enter.
        TooLarge: it inflates beyond `MAX_BYTES`.
    """
    with quietly():
        try:
            return over_bytes(data, key, profile, detailed=detailed)
        except IrpError:
            raise
        except Exception:  # laid out oddly: the tolerant reader says whether it can be read at all
            return over_dataset(data, key, profile, detailed=detailed)


def over_dataset(data: bytes, key: SiteKey, profile: Profile, *, detailed: bool = False) -> tuple[bytes, Report]:
    """The way for whatever pydicom can read; see `deidentify_file`."""
    original = read_part10(data)
    result = deidentify(original, key, profile, detailed=detailed)
    return write_part10(result.dataset, original), result.report


def over_bytes(data: bytes, key: SiteKey, profile: Profile, *, detailed: bool = False) -> tuple[bytes, Report]:
    """The usual way, several times as fast; see `deidentify_file`.

    Raises:
        Odd: the other way must look at it.
    """
    tally = Tally(changes=[] if detailed else None)
    if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != b"DICM":
        raise NotDicom
    meta, begin = file_meta(data, PREAMBLE_BYTES + 4)
    syntax = pydicom.uid.UID(meta.get(TRANSFER_SYNTAX, b"").decode("ascii", "replace").strip(" \x00"))
    if syntax not in pydicom.uid.AllTransferSyntaxes or syntax in RARE:
        raise Odd
    explicit = syntax != ImplicitVRLittleEndian
    tokens = Tokens(data, explicit).dataset(begin)
    original = _dataset_of(tokens, data, explicit=explicit)
    for token in tokens:
        if token.tag == PIXEL_DATA:
            _refuse_truncated(original, syntax, token.end - token.value)
    refuse_unsafe(original, profile)
    kept = clean(original, tokens, data, key, profile, tally, explicit=explicit)
    head = _head(syntax, bytes(kept[SOP_CLASS][SHORT_HEADER:]), bytes(kept[SOP_INSTANCE][SHORT_HEADER:]))
    return b"".join([head, *(kept[tag] for tag in sorted(kept))]), report_of(tally, profile)


def _dataset_of(tokens: list[Token], data: bytes, *, explicit: bool) -> Dataset:
    """For those who look at a few attributes: nothing is decoded before it is asked for, and pixels are not copied."""
    return Dataset({BaseTag(token.tag): _raw(token, data, explicit=explicit) for token in tokens})


def _raw(token: Token, data: bytes, *, explicit: bool) -> RawDataElement:
    tag, vr, _, value, end, _ = token
    content = b"" if tag == PIXEL_DATA else data[value:end]
    return RawDataElement(BaseTag(tag), vr if explicit else None, end - value, content, value, not explicit, True)


def _head(syntax: str, sop_class: bytes, sop_instance: bytes) -> bytes:
    """A preamble of zeros and file meta information of our own; UIDs are padded already."""
    elements = b"".join(
        (
            encode(0x00020001, "OB", b"\x00\x01", explicit=True),
            header(0x00020002, "UI", len(sop_class), explicit=True) + sop_class,
            header(0x00020003, "UI", len(sop_instance), explicit=True) + sop_instance,
            encode(TRANSFER_SYNTAX, "UI", syntax, explicit=True),
            encode(0x00020012, "UI", IMPLEMENTATION_UID, explicit=True),
            encode(0x00020013, "SH", IMPLEMENTATION, explicit=True),
        )
    )
    length = header(0x00020000, "UL", 4, explicit=True) + len(elements).to_bytes(4, "little")
    return bytes(PREAMBLE_BYTES) + b"DICM" + length + elements


def read_part10(data: bytes) -> FileDataset:
    """Read a whole file.

    Raises:
        NotDicom: no Part 10 file, or cut off.
        TooLarge: a deflated dataset that inflates beyond `MAX_BYTES`.
    """
    if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != b"DICM":
        raise NotDicom
    try:
        with quietly():
            _refuse_bomb(data)
            dataset = pydicom.dcmread(io.BytesIO(data))
            if "PixelData" in dataset:
                _refuse_truncated(dataset, transfer_syntax_of(dataset), len(dataset.PixelData))
            return dataset
    except IrpError:
        raise
    except Exception:  # pydicom has no common base class, and its texts quote values
        raise NotDicom from None


def write_part10(dataset: Dataset, original: FileDataset) -> bytes:
    """Bytes in the original's transfer syntax, with preamble and file meta information of our own.

    Raises:
        CannotDeidentify: a value cannot be encoded.
    """
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax_of(original)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.ImplementationClassUID = pydicom.uid.UID(IMPLEMENTATION_UID)
    dataset.file_meta.ImplementationVersionName = IMPLEMENTATION
    buffer = io.BytesIO()
    try:
        with quietly():
            pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    except Exception:
        raise CannotDeidentify from None
    return buffer.getvalue()


def transfer_syntax_of(original: FileDataset) -> pydicom.uid.UID:
    """The file's transfer syntax; where its file meta information does not say, the one it was read with."""
    said = original.file_meta.get("TransferSyntaxUID") if original.file_meta else None
    if said:
        return pydicom.uid.UID(said)
    implicit, little = original.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def after_meta(data: bytes) -> bytes:
    """The bytes behind preamble and file meta information: they stay the same when a sender rewrites its own name.

    Raises:
        NotDicom: no file meta information.
    """
    try:
        with quietly():
            return data[_meta(data)[1] :]
    except Exception:
        raise NotDicom from None


def _meta(data: bytes) -> tuple[Dataset, int]:
    """File meta information, and where the dataset begins."""
    file = io.BytesIO(data)
    file.seek(PREAMBLE_BYTES + 4)
    meta = _read_file_meta_info(file)
    return meta, file.tell()


def _refuse_bomb(data: bytes) -> None:
    meta, begin = _meta(data)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflate, size, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, data[begin:]
    while rest and not inflate.eof:
        size += len(inflate.decompress(rest, 1 << 20))
        rest = inflate.unconsumed_tail
        if size > MAX_BYTES:
            raise TooLarge(limit_bytes=MAX_BYTES)


def _refuse_truncated(dataset: Dataset, syntax: pydicom.uid.UID, pixel_bytes: int) -> None:
    if not syntax.is_compressed and pixel_bytes < get_expected_length(dataset):
        raise NotDicom("the file ends before its pixel data")
