"""Uploads folders and ZIP archives of DICOM files: several per request, in memory, with a callback for progress."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openirp.problem import Problem
from openirp.project import Project
from openirp.stow import refusals, stored_series

BATCH_FILES = 32
BATCH_BYTES = 16 << 20
ENTRY_LIMIT_BYTES = 2 << 30  # of one file inside an archive
DICM = slice(128, 132)


@dataclass(slots=True)
class UploadReport:
    """What became of an upload.

    Attributes:
        series: stored instances by SeriesInstanceUID (the new, de-identified one).
        refused: refused instances by reason.
        skipped: files that are not DICOM and were not sent.
        sent_bytes: bytes of the files that were sent.
    """

    series: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    sent_bytes: int = 0

    @property
    def stored(self) -> int:
        """Number of stored instances."""
        return self.series.total()


def count_files(source: Path) -> int:
    """Files in a folder or archive, DICOM or not."""
    if source.is_dir():
        return sum(1 for path in source.rglob("*") if path.is_file())
    with zipfile.ZipFile(source) as archive:
        return sum(1 for entry in archive.infolist() if not entry.is_dir())


def read_files(source: Path) -> Iterator[bytes]:
    """Contents of the files of a folder (sorted) or archive; archives are never unpacked to disk."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.is_file():
                yield path.read_bytes()
        return
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            if not entry.is_dir() and entry.file_size <= ENTRY_LIMIT_BYTES:
                yield archive.read(entry)


def upload(
    project: Project, files: Iterable[bytes], on_files: Callable[[int, UploadReport], None] | None = None
) -> UploadReport:
    """Send DICOM files to a project.

    Args:
        project: where to.
        files: contents; those that are not DICOM are counted and left out.
        on_files: called after each request with the number of files it settled.
    """
    report = UploadReport()
    for batch in batches(files):
        images = [file for file in batch if file[DICM] == b"DICM"]
        report.skipped += len(batch) - len(images)
        if images:
            _stow(project, images, report)
        if on_files:
            on_files(len(batch), report)
    for series_uid in report.series:
        project.complete(series_uid)
    return report


def batches(files: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Files in groups of one request each, bounded in number and bytes."""
    batch: list[bytes] = []
    size = 0
    for file in files:
        if batch and (len(batch) == BATCH_FILES or size + len(file) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += len(file)
    if batch:
        yield batch


def _stow(project: Project, batch: list[bytes], report: UploadReport) -> None:
    try:
        answer = project.stow(batch, more=True)
    except Problem as problem:
        # Every instance refused is 409 with the same body (PS3.18 10.5.3.2).
        if "00081198" not in problem.body:
            raise
        answer = problem.body
    report.series.update(stored_series(answer))
    report.refused.update(refusals(answer))
    report.sent_bytes += sum(map(len, batch))
