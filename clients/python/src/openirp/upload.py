"""The short way for programs: contents of DICOM files go up, several per request, with a callback for progress.

`openirp.uploader` is the long way: plans, de-identification on this side, several streams, and going on after a break.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openirp.project import Project
from openirp.uploader.items import MAX_FILE_BYTES
from openirp.uploader.sources import find

BATCH_FILES = 32
BATCH_BYTES = 16 << 20
DICM = slice(128, 132)


@dataclass(slots=True)
class UploadReport:
    """What became of an upload.

    Attributes:
        series: stored instances by SeriesInstanceUID (the new, de-identified one).
        refused: refused instances by reason.
        skipped: files that are not DICOM and were not sent.
        sent_bytes: bytes of the files that were sent.
        reports: ids of the signed reports of what was done (`Project.report`).
    """

    series: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    sent_bytes: int = 0
    reports: list[str] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Number of stored instances."""
        return self.series.total()


def read_files(source: Path) -> Iterator[bytes]:
    """Contents of the files of a folder, archive, DICOMDIR or of one file; archives are never unpacked to disk.

    Raises:
        SourceNotReadable: the source, or one of its files, is broken or beyond every measure.
    """
    for item in find(source):
        if item.size <= MAX_FILE_BYTES:
            yield item.read()


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
    answer = project.store(batch, more=True)
    report.series.update(answer.series)
    report.refused.update(answer.refusals)
    report.sent_bytes += sum(map(len, batch))
    report.reports += [answer.report] if answer.report else []
