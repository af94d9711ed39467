"""Where a patient goes whom no list names: the split that is furthest behind its share, for good.

Minimisation, as clinical trials place patients one after the other: for each split, how far it is behind its share is
added up over the whole project, the patient's site, and the patient's scanner at that site; the split with the largest
sum takes the patient. Nobody moves when others come later, and the shares stay near 70/15/15 in each stratum and where
strata hold one patient each. Source: Pocock and Simon, Biometrics 31(1):103-115, 1975.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Part = Literal["training", "validation", "test"]
PARTS: tuple[Part, ...] = ("training", "validation", "test")
HELD_OUT: frozenset[Part] = frozenset({"validation", "test"})
SHARES: Mapping[Part, float] = {"training": 0.70, "validation": 0.15, "test": 0.15}

Level = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a patient stands, and in which stratum.

    Attributes:
        part: split.
        site: pseudonymous site of the patient's first series.
        scanner: of that series.
    """

    part: Part
    site: str
    scanner: str


def place(newcomers: Mapping[str, tuple[str, str]], settled: Iterable[Placement]) -> dict[str, Placement]:
    """Place patients one after the other, in the order of the SHA-256 of their pseudonyms.

    Args:
        newcomers: pseudonym -> (site, scanner).
        settled: everybody who has a place already.
    """
    counts: Counter[tuple[Level, Part]] = Counter()
    for one in settled:
        counts.update((level, one.part) for level in _levels(one.site, one.scanner))
    placed: dict[str, Placement] = {}
    for patient in sorted(newcomers, key=_shuffled):
        site, scanner = newcomers[patient]
        levels = _levels(site, scanner)
        part = max(PARTS, key=lambda part: sum(_behind(counts, level, part) for level in levels))
        counts.update((level, part) for level in levels)
        placed[patient] = Placement(part=part, site=site, scanner=scanner)
    return placed


def _levels(site: str, scanner: str) -> tuple[Level, ...]:
    return (), (site,), (site, scanner.casefold())


def _behind(counts: Counter[tuple[Level, Part]], level: Level, part: Part) -> float:
    """Patients that a split lacks at a level, once one more has come there."""
    everyone = sum(counts[level, each] for each in PARTS) + 1
    return round(SHARES[part] * everyone - counts[level, part], 6)  # ties are to be ties, whatever the sums


def _shuffled(patient: str) -> str:
    return hashlib.sha256(patient.encode()).hexdigest()
