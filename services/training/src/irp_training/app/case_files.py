"""The files of a snapshot's cases, read one after the other, so that a dataset never lies in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

from irp_training.app.ports import Files
from irp_training.app.work_ports import CaseFiles, StoredFile
from irp_training.domain.datasets.dataset import Case, Snapshot
from irp_training.domain.datasets.split import PARTS, Part
from irp_training.domain.learning.pupils import REPLAYED


def case_files(
    files: Files, snapshot: Snapshot, parts: tuple[Part, ...] = PARTS, replay: Sequence[Case] = ()
) -> CaseFiles:
    """A way to read (case, split, volume file, mask file) for the splits asked for, then for what is replayed."""

    async def read(only: Collection[str] = ()) -> AsyncIterator[StoredFile]:
        for entry in snapshot.entries:
            if entry.part in parts and (not only or entry.part in only):
                volume, mask = await files.get(entry.case.volume), await files.get(entry.case.mask)
                yield entry.case, entry.part, volume, mask
        for case in replay if not only or REPLAYED in only else ():
            yield case, REPLAYED, await files.get(case.volume), await files.get(case.mask)

    return read
