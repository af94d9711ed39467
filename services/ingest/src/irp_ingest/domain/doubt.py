"""The rules about pixels are carried out: regions masked, or a doubt noted that only a person can settle."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from irp_deid import read_part10
from irp_deid.pixels import Fate, PixelVerdict
from irp_deid.suspicion import Kind
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from irp_ingest.domain.errors import CannotMask, RegionOutside
from irp_ingest.domain.frames import frame_count
from irp_ingest.domain.mask import masked

MASK_NOT_APPLIED = "MASK_NOT_APPLIED"
_MODALITY = re.compile(r"[A-Z]{2,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why an instance is kept apart, and what a list says of it.

    Attributes:
        kind: what a person has to look at.
        reason: of the error tree, or RULE, or MASK_NOT_APPLIED.
        modality: e.g. "US"; empty if the file does not say.
        rows, columns, frames: of its pixels; 0 without.
    """

    kind: Kind
    reason: str
    modality: str
    rows: int
    columns: int
    frames: int


def settle(data: bytes, verdict: PixelVerdict, original: Dataset) -> tuple[bytes, Doubt | None]:
    """The file as it is to be kept, and the doubt about it, if one is left.

    Args:
        data: de-identified.
        verdict: of the rules.
        original: whose document the engine took out: where it waits for a person, it is put back.
    """
    if verdict.fate is Fate.TAKE:
        return data, None
    if verdict.fate is Fate.MASK:
        try:
            return masked(data, verdict.regions), None
        except (CannotMask, RegionOutside):  # the rule does not fit: it proves nothing
            return data, _doubt(verdict.kind, MASK_NOT_APPLIED, original)
    if verdict.kind is Kind.DOCUMENT:
        data = _with_document(data, original)
    return data, _doubt(verdict.kind, verdict.reason, original)


def _doubt(kind: Kind, reason: str, original: Dataset) -> Doubt:
    has_pixels, said = "PixelData" in original, str(original.get("Modality", "") or "")
    return Doubt(
        kind=kind,
        reason=reason,
        modality=said if _MODALITY.fullmatch(said) else "",
        rows=int(original.get("Rows") or 0) if has_pixels else 0,
        columns=int(original.get("Columns") or 0) if has_pixels else 0,
        frames=frame_count(original) if has_pixels else 0,
    )


def _with_document(data: bytes, original: Dataset) -> bytes:
    """The basic profile leaves a dummy in the document's place; a person shall see and release the document itself."""
    dataset = read_part10(data)
    dataset.EncapsulatedDocument = original.get("EncapsulatedDocument", b"")
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
