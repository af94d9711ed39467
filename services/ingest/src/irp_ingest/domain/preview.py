"""What the person who decides is shown of an instance: a frame, a report's lines, or the document itself."""

from __future__ import annotations

import io
from collections.abc import Iterator

from irp_deid import quietly
from irp_deid.suspicion import Kind
from irp_kernel.errors import IrpError
from pydicom import Dataset, dcmread

from irp_ingest.domain.errors import FrameUnknown, NoPreview
from irp_ingest.domain.render import Picture, render

PNG, TEXT, OCTETS = "image/png", "text/plain", "application/octet-stream"
MAX_DOCUMENT_BYTES = 64 << 20
MAX_DEPTH, MAX_LINES = 32, 10_000
VALUES = ("TextValue", "Date", "Time", "DateTime", "PersonName", "UID")


def preview(file: bytes, kind: str, frame: int) -> tuple[bytes, str]:
    """Bytes and their media type; a document comes unread, as octets.

    Args:
        file: de-identified.
        kind: of domain.doubt.Doubt.
        frame: of an image, counted from 1; 0 = the middle one.

    Raises:
        FrameUnknown: there is no such frame.
        NoPreview: nothing can be shown.
    """
    try:
        if kind == Kind.IMAGE:
            return render(file, Picture(frame=frame, media_type=PNG)), PNG
        with quietly():
            dataset = dcmread(io.BytesIO(file))
            return _document(dataset) if kind == Kind.DOCUMENT else (_report(dataset), TEXT)
    except FrameUnknown:
        raise
    except IrpError:
        raise NoPreview from None
    except Exception:  # pydicom raises what it likes
        raise NoPreview from None


def _document(dataset: Dataset) -> tuple[bytes, str]:
    document = bytes(dataset.get("EncapsulatedDocument", b"") or b"")
    if not document or len(document) > MAX_DOCUMENT_BYTES:
        raise NoPreview
    return document, OCTETS


def _report(dataset: Dataset) -> bytes:
    lines = [line for _, line in zip(range(MAX_LINES), _lines(dataset, 0), strict=False)]
    if not lines:
        raise NoPreview
    return "\n".join(lines).encode()


def _lines(item: Dataset, depth: int) -> Iterator[str]:
    """The content tree, indented. Source: PS3.3 C.17.3."""
    name = _meaning(item, "ConceptNameCodeSequence")
    said = [str(item.get(keyword)) for keyword in VALUES if item.get(keyword)]
    said += [code for code in (_meaning(item, "ConceptCodeSequence"),) if code]
    said += [str(one.get("NumericValue", "")) for one in item.get("MeasuredValueSequence") or []]
    if name or said:
        yield f"{'  ' * depth}{name}: {' '.join(said)}".rstrip(": ")
    for child in (item.get("ContentSequence") or []) if depth < MAX_DEPTH else []:
        yield from _lines(child, depth + 1)


def _meaning(item: Dataset, keyword: str) -> str:
    codes = item.get(keyword) or []
    return str(codes[0].get("CodeMeaning", "")) if codes else ""
