"""What is there to be sent: files grouped by patient, study and series. The original identifiers stay in memory."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from irp_deid import quietly
from pydicom.filereader import read_partial

from openirp.uploader.file_set import is_directory_head
from openirp.uploader.items import MAX_FILE_BYTES, Item, SourceNotReadable

HEAD_BYTES = 64 << 10  # enough for everything up to the series, unless a header is odd
LAST_TAG = 0x0020000E  # Series Instance UID
LEVELS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
PREAMBLE = slice(128, 132)
BATCH_FILES = 32
BATCH_BYTES = 16 << 20
NOT_DICOM, DIRECTORY, TOO_LARGE, BROKEN = "not DICOM", "a DICOMDIR", "too large", "cannot be read"


@dataclass(frozen=True, slots=True)
class Found:
    """A DICOM file and where it belongs; empty identifiers where its header does not tell."""

    item: Item
    patient: str
    study: str
    series: str
    modality: str


@dataclass(slots=True)
class Plan:
    """Everything that is to be sent.

    Attributes:
        found: files in the order of sending: a series follows another.
        left: files that are not sent, by reason.
    """

    found: list[Found] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """Bytes to be sent."""
        return sum(one.item.size for one in self.found)

    def count(self, *levels: str) -> int:
        """How many differ at these levels: ("patient",), ("patient", "study"), ("patient", "study", "series")."""
        return len({tuple(getattr(one, level) for level in levels) for one in self.found})

    def batches(self, skip: Callable[[Item], bool] = lambda item: False) -> Iterator[list[Found]]:
        """Files in groups of one request each, bounded in number and bytes; those to be skipped left out."""
        batch: list[Found] = []
        size = 0
        for one in self.found:
            if skip(one.item):
                continue
            if batch and (len(batch) == BATCH_FILES or size + one.item.size > BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(one)
            size += one.item.size
        if batch:
            yield batch


def make_plan(items: Iterable[Item], on_item: Callable[[], None] = lambda: None) -> Plan:
    """Look at the head of each file.

    Args:
        items: files of a source.
        on_item: called after each file.
    """
    plan = Plan()
    for item in items:
        reason, found = _look(item)
        if found is None:
            plan.left[reason] += 1
        else:
            plan.found.append(found)
        on_item()
    order = {key: number for number, key in enumerate(dict.fromkeys(map(_key, plan.found)))}
    plan.found.sort(key=lambda one: order[_key(one)])
    return plan


def _key(one: Found) -> tuple[str, str, str]:
    return one.patient, one.study, one.series


def _look(item: Item) -> tuple[str, Found | None]:
    if item.size > MAX_FILE_BYTES:
        return TOO_LARGE, None
    try:
        head = item.read(HEAD_BYTES)
    except SourceNotReadable:
        return BROKEN, None
    if head[PREAMBLE] != b"DICM":
        return NOT_DICOM, None
    return (DIRECTORY, None) if is_directory_head(head) else ("", _found(item, head))


def _found(item: Item, head: bytes) -> Found:
    try:
        with quietly():
            header = read_partial(io.BytesIO(head), stop_when=lambda tag, vr, length: tag > LAST_TAG)
            patient, study, series, modality = (str(header.get(word, "") or "") for word in LEVELS)
            return Found(item, patient, study, series, modality)
    except Exception:  # ingest says why it does not take such a file
        return Found(item, "", "", "", "")
