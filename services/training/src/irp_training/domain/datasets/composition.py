"""What a dataset consists of, counted: per split, site, scanner and sequence class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from irp_training.domain.datasets.dataset import Case, Snapshot
from irp_training.domain.datasets.placing import PARTS, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell; patients with several series may count in several cells.

    Attributes:
        patients: number of pseudonyms.
        series: number of series.
        judged: structure -> (time, slice) pairs on which it was judged.
    """

    part: Part
    site: str
    scanner: str
    sequence_class: str
    patients: int
    series: int
    judged: dict[str, int]


def composition(snapshot: Snapshot) -> list[Cell]:
    """Every cell that is not empty: by split, then site, scanner and sequence class."""
    cases: dict[tuple[Part, str, str, str], list[Case]] = {}
    for entry in snapshot.entries:
        case = entry.case
        cases.setdefault((entry.part, case.site, case.scanner, case.sequence_class), []).append(case)
    places = sorted(cases, key=lambda place: (PARTS.index(place[0]), *place[1:]))
    return [_cell(*place, cases[place]) for place in places]


def judged_in(cases: tuple[Case, ...]) -> dict[str, int]:
    """Structure -> (time, slice) pairs on which it was judged, in all of these."""
    total: Counter[str] = Counter()
    for case in cases:
        total.update(case.judged or {})
    return dict(sorted(total.items()))


def _cell(part: Part, site: str, scanner: str, sequence_class: str, cases: list[Case]) -> Cell:
    return Cell(
        part=part,
        site=site,
        scanner=scanner,
        sequence_class=sequence_class,
        patients=len({case.patient for case in cases}),
        series=len(cases),
        judged=judged_in(tuple(cases)),
    )
