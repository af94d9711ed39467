"""Which patient may be learnt from, which judges, which is kept for the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from irp_training.domain.datasets.case import Case
from irp_training.domain.datasets.placing import HELD_OUT, PARTS, Part, Placement, place
from irp_training.domain.errors import FrozenPatient, PatientLeak

__all__ = ["PARTS", "Part", "Splits", "require_disjoint"]


@dataclass(frozen=True, slots=True)
class Splits:
    """The project's own lists, and where patients of earlier datasets stand.

    Attributes:
        named: pseudonym -> split, as the configuration lists them.
        placed: pseudonym -> where a frozen dataset has put the patient.

    Raises:
        FrozenPatient: a list names another split for a patient who is held out.
    """

    named: Mapping[str, Part] = field(default_factory=dict)
    placed: Mapping[str, Placement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = dict.fromkeys(PARTS, 0)
        for patient, part in self.named.items():
            numbers[part] += 1
            before = self.placed.get(patient)
            if before and before.part in HELD_OUT and before.part != part:
                where = f"entry {numbers[part]} of `splits.{part}`"
                raise FrozenPatient(f"{where} is in the frozen {before.part} set", frozen=before.part, named=part)

    @classmethod
    def from_configuration(cls, document: Mapping[str, Any], placed: Mapping[str, Placement] | None = None) -> Splits:
        """The part `splits` of a configuration document.

        Raises:
            PatientLeak: a pseudonym is on two lists.
            FrozenPatient: see the class.
        """
        lists = document.get("splits") or {}
        pairs = [(str(patient), part) for part in PARTS for patient in lists.get(part, [])]
        require_disjoint(pairs)
        return cls(dict(pairs), placed or {})

    def of(self, cases: Iterable[Case]) -> dict[str, Placement]:
        """Where the patients of these cases belong: as named, else as before, else as `place` says."""
        homes: dict[str, Case] = {}
        for case in sorted(cases, key=lambda case: case.series):
            homes.setdefault(case.patient, case)
        known = dict(self.placed)
        for patient, case in homes.items():
            if patient in self.named:
                known[patient] = Placement(part=self.named[patient], site=case.site, scanner=case.scanner)
        newcomers = {p: (case.site, case.scanner) for p, case in homes.items() if p not in known}
        everyone = known | place(newcomers, known.values())
        return {patient: everyone[patient] for patient in homes}


def require_disjoint(pairs: Iterable[tuple[str, Part]]) -> None:
    """Raise unless each patient is in one split.

    Raises:
        PatientLeak: with the number of patients and the two splits, never the pseudonym.
    """
    seen: dict[str, Part] = {}
    for patient, part in pairs:
        if seen.setdefault(patient, part) != part:
            raise PatientLeak(f"a patient is in {seen[patient]} and in {part}", first=seen[patient], second=part)
