"""Which patient may be learnt from, which judges, which is kept for the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from irp_training.domain.errors import PatientLeak

Part = Literal["training", "validation", "test"]
PARTS: tuple[Part, ...] = ("training", "validation", "test")
BOUNDS = (0.70, 0.85, 1.00)  # cumulative share of patients that no list names: 70 / 15 / 15


@dataclass(frozen=True, slots=True)
class Splits:
    """The project's own lists; who is on none is placed by the hash of the pseudonym, the same for ever."""

    named: Mapping[str, Part] = field(default_factory=dict)

    @classmethod
    def from_configuration(cls, document: Mapping[str, Any]) -> Splits:
        """The part `splits` of a configuration document.

        Raises:
            PatientLeak: a pseudonym is on two lists.
        """
        lists = document.get("splits") or {}
        pairs = [(str(patient), part) for part in PARTS for patient in lists.get(part, [])]
        require_disjoint(pairs)
        return cls(dict(pairs))

    def part_of(self, patient: str) -> Part:
        """Where a patient belongs."""
        return self.named.get(patient) or by_hash(patient)


def by_hash(patient: str) -> Part:
    """Place a pseudonym by its SHA-256: the first 8 bytes as a share of the whole range."""
    share = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64
    return next(part for part, bound in zip(PARTS, BOUNDS, strict=True) if share < bound)


def require_disjoint(pairs: Iterable[tuple[str, Part]]) -> None:
    """Raise unless each patient is in one split.

    Raises:
        PatientLeak: with the number of patients and the two splits, never the pseudonym.
    """
    seen: dict[str, Part] = {}
    for patient, part in pairs:
        if seen.setdefault(patient, part) != part:
            raise PatientLeak(f"a patient is in {seen[patient]} and in {part}", first=seen[patient], second=part)
