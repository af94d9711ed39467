"""A dataset is an immutable snapshot: which images and masks, by hash, of which patients, in which split.

The manifest is canonical JSON; its SHA-256 is the dataset's digest. The same facts give the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from irp_kernel import ObjectRef, sha256_of
from irp_kernel.errors import DataLoss

from irp_training.domain.errors import DatasetEmpty
from irp_training.domain.split import PARTS, Part, Splits, require_disjoint

MANIFEST_VERSION = 1
UNUSABLE = "unusable"  # quality's verdict that keeps a series out


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One series with its accepted mask.

    Attributes:
        series: de-identified SeriesInstanceUID.
        patient: pseudonym.
        sequence_class: e.g. "cine-sax".
        volume: NRRD (time, slice, row, column).
        mask: NRRD with label table and annotated[time, slice, structure].
        version: number of accepted versions so far.
        verdict: quality's, or empty while unknown.
    """

    series: str
    patient: str
    site: str
    sequence_class: str
    volume: ObjectRef
    mask: ObjectRef
    version: int
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A case in its split."""

    part: Part
    case: Case


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The frozen dataset.

    Raises:
        PatientLeak: a patient is in two splits.
    """

    project: str
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        require_disjoint((entry.case.patient, entry.part) for entry in self.entries)

    def of(self, part: Part) -> tuple[Case, ...]:
        """The cases of a split, in the order of the manifest."""
        return tuple(entry.case for entry in self.entries if entry.part == part)

    def count(self, part: Part) -> int:
        """Number of cases in a split."""
        return len(self.of(part))

    def manifest(self) -> bytes:
        """Canonical JSON: sorted keys, sorted cases, no times and no names of people."""
        cases = [{"split": entry.part, **_case_to_json(entry.case)} for entry in self.entries]
        document = {"version": MANIFEST_VERSION, "project": self.project, "cases": cases}
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest."""
        return sha256_of(self.manifest())

    @classmethod
    def from_manifest(cls, data: bytes) -> Snapshot:
        """Read a manifest back.

        Raises:
            DataLoss: the bytes are no manifest.
            PatientLeak: a patient is in two splits.
        """
        try:
            document = json.loads(data)
            entries = tuple(Entry(_part(row.pop("split")), _case_from_json(row)) for row in document["cases"])
            project = str(document["project"])
        except (ValueError, KeyError, TypeError) as cause:
            raise DataLoss("a dataset's manifest cannot be read") from cause
        return cls(project, entries)


def freeze(project: str, cases: Iterable[Case], splits: Splits, sequence_classes: Iterable[str] = ()) -> Snapshot:
    """Make a snapshot of the accepted masks as they are now.

    Args:
        project: its id.
        cases: the latest accepted mask of each series.
        splits: who belongs where.
        sequence_classes: only these; empty = all.

    Raises:
        DatasetEmpty: nothing is left.
        PatientLeak: a patient is in two splits.
    """
    wanted = set(sequence_classes)
    kept = [c for c in cases if c.verdict != UNUSABLE and (not wanted or c.sequence_class in wanted)]
    if not kept:
        raise DatasetEmpty(cases=0)
    entries = sorted((Entry(splits.part_of(c.patient), c) for c in kept), key=_place)
    return Snapshot(project, tuple(entries))


def _place(entry: Entry) -> tuple[int, str, str]:
    return (PARTS.index(entry.part), entry.case.patient, entry.case.series)


def _part(value: str) -> Part:
    return PARTS[PARTS.index(value)]


def _case_to_json(case: Case) -> dict[str, object]:
    row = asdict(case)
    row.pop("verdict")  # why a case is in, not what it is: a later "good" must not change the digest
    return row


def _case_from_json(row: dict[str, object]) -> Case:
    volume, mask = ObjectRef(**row.pop("volume")), ObjectRef(**row.pop("mask"))  # type: ignore[arg-type]
    return Case(volume=volume, mask=mask, **row)  # type: ignore[arg-type]
