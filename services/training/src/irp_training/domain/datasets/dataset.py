"""A dataset is an immutable snapshot: images, masks and clinical values by hash, of which patients, in which split.

The manifest is canonical JSON; its SHA-256 is the dataset's digest. The same facts and rules give the same digest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from irp_kernel import ObjectRef, sha256_of
from irp_kernel.errors import DataLoss

from irp_training.domain.datasets.case import Case
from irp_training.domain.datasets.inclusion import EVERYTHING, Rules
from irp_training.domain.datasets.placing import Placement
from irp_training.domain.datasets.split import PARTS, Part, Splits, require_disjoint
from irp_training.domain.errors import DatasetEmpty, RulesNotValid

__all__ = ["Case", "Entry", "Snapshot", "freeze"]

MANIFEST_VERSION = 2  # 1 had neither rules nor what NEW_IN_2 names; such manifests read, and hash, as they did
NEW_IN_2 = (
    "certainty",
    "judged",
    "manufacturer",
    "manufacturer_model",
    "field_strength_t",
    "sex",
    "age_years",
    "clinical",
)


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
    rules: Rules = EVERYTHING
    version: int = MANIFEST_VERSION

    def __post_init__(self) -> None:
        require_disjoint((entry.case.patient, entry.part) for entry in self.entries)

    def of(self, part: Part) -> tuple[Case, ...]:
        """The cases of a split, in the order of the manifest."""
        return tuple(entry.case for entry in self.entries if entry.part == part)

    def count(self, part: Part) -> int:
        """Number of cases in a split."""
        return len(self.of(part))

    def patients(self, *parts: Part) -> frozenset[str]:
        """Pseudonyms in some splits."""
        return frozenset(entry.case.patient for entry in self.entries if entry.part in parts)

    def images(self, *parts: Part) -> frozenset[str]:
        """SHA-256 of the volumes in some splits."""
        return frozenset(entry.case.volume.sha256 for entry in self.entries if entry.part in parts)

    def placements(self) -> dict[str, Placement]:
        """Where each patient stands, in the stratum of the first series by UID."""
        found: dict[str, Placement] = {}
        for entry in sorted(self.entries, key=lambda entry: entry.case.series):
            case = entry.case
            found.setdefault(case.patient, Placement(part=entry.part, site=case.site, scanner=case.scanner))
        return found

    def manifest(self) -> bytes:
        """Canonical JSON: sorted keys, sorted cases, no times and no names of people."""
        cases = [{"split": entry.part, **_case_to_json(entry.case, self.version)} for entry in self.entries]
        document = {"version": self.version, "project": self.project, "cases": cases}
        if self.version > 1:
            document["rules"] = self.rules.to_json()
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
            project, version = str(document["project"]), int(document["version"])
            rules = Rules.from_json(document.get("rules", {}))
        except (ValueError, KeyError, TypeError, RulesNotValid) as cause:
            raise DataLoss("a dataset's manifest cannot be read") from cause
        return cls(project, entries, rules, version)


def freeze(project: str, cases: Iterable[Case], splits: Splits, rules: Rules = EVERYTHING) -> Snapshot:
    """Make a snapshot of the accepted masks as they are now.

    Args:
        project: its id.
        cases: the latest accepted mask of each series.
        splits: who belongs where.
        rules: which of them count.

    Raises:
        DatasetEmpty: nothing is left.
        PatientLeak: a patient is in two splits.
    """
    kept = [case for case in cases if rules.admit(case)]
    if not kept:
        raise DatasetEmpty(cases=0)
    placed = splits.of(kept)
    entries = sorted((Entry(placed[case.patient].part, case) for case in kept), key=_place)
    return Snapshot(project, tuple(entries), rules)


def _place(entry: Entry) -> tuple[int, str, str]:
    return (PARTS.index(entry.part), entry.case.patient, entry.case.series)


def _part(value: str) -> Part:
    return PARTS[PARTS.index(value)]


def _case_to_json(case: Case, version: int) -> dict[str, object]:
    row = asdict(case)
    row.pop("verdict")  # why a case is in, not what it is: a later "good" must not change the digest
    for name in NEW_IN_2 if version == 1 else ():
        row.pop(name)
    return row


def _case_from_json(row: dict[str, object]) -> Case:
    volume, mask = ObjectRef(**row.pop("volume")), ObjectRef(**row.pop("mask"))  # type: ignore[arg-type]
    return Case(volume=volume, mask=mask, **row)  # type: ignore[arg-type]
