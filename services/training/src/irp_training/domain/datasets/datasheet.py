"""The data sheet of a frozen dataset, as Markdown: numbers and rules, no patient.

The questions are those of datasheets for datasets; what no fact answers says so instead of guessing.
Source: Gebru et al., Datasheets for Datasets, Communications of the ACM 64(12):86-92, 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from irp_training.domain.datasets.composition import composition, judged_in
from irp_training.domain.datasets.dataset import Case, Snapshot
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.datasets.placing import PARTS
from irp_training.domain.run import DatasetRow

NOBODY_SAID = "not said"


def datasheet(snapshot: Snapshot, dataset: DatasetRow, configuration: Mapping[str, Any]) -> str:
    """Markdown.

    Args:
        snapshot: what was frozen.
        dataset: its row.
        configuration: the project's, for title, structures and de-identification.
    """
    sections = (
        ("Motivation", _motivation(snapshot, dataset, configuration)),
        ("Composition", _composition(snapshot)),
        ("Collection", _collection(snapshot, configuration)),
        ("Inclusion rules", _rules(snapshot)),
        ("Splits", _splits()),
        ("Uses and limits", _limits(snapshot)),
    )
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections)
    return f"# Data sheet: {snapshot.project}, dataset {dataset.digest[:12]}\n\n{body}\n"


def _motivation(snapshot: Snapshot, dataset: DatasetRow, configuration: Mapping[str, Any]) -> str:
    title = configuration.get("title") or snapshot.project
    return _list(
        f"Project: {_plain(title)}",
        "Made for: learning to segment, and judging what was learnt, inside this project",
        f"Frozen: {dataset.created_at or NOBODY_SAID}, by {_plain(dataset.actor) or NOBODY_SAID}",
        f"Digest (SHA-256 of the manifest): `{dataset.digest}`",
    )


def _composition(snapshot: Snapshot) -> str:
    names = sorted(judged_in(tuple(entry.case for entry in snapshot.entries)))
    head = ("split", "patients", "series", *(f"{name} (judged slices)" for name in names))
    rows = []
    for part in PARTS:
        cases = snapshot.of(part)
        judged = judged_in(cases)
        rows.append((part, len(snapshot.patients(part)), len(cases), *(judged.get(name, 0) for name in names)))
    cells = [(c.part, c.site, c.scanner, c.sequence_class, c.patients, c.series) for c in composition(snapshot)]
    by_cell = _table(("split", "site", "scanner", "sequence", "patients", "series"), cells)
    words = "A slice counts once per point in time. Not judged is unknown, never background."
    return f"{_table(head, rows)}\n\n{words}\n\n{by_cell}\n\n{_people(snapshot)}"


def _people(snapshot: Snapshot) -> str:
    """Sex and age of patients, as far as the de-identification keeps them."""
    rows = []
    for part in PARTS:
        patients = {case.patient: case for case in snapshot.of(part)}.values()
        sexes = [sum(case.sex == sex for case in patients) for sex in ("F", "M", "O", "")]
        ages = sorted(case.age_years for case in patients if case.age_years >= 0)
        middle = f"{ages[len(ages) // 2]:.0f} ({len(ages)} known)" if ages else NOBODY_SAID
        rows.append((part, *sexes, middle))
    return _table(("split", "female", "male", "other", "sex not said", "median age, years"), rows)


def _collection(snapshot: Snapshot, configuration: Mapping[str, Any]) -> str:
    cases = tuple(entry.case for entry in snapshot.entries)
    rules = configuration.get("deidentification") or {}
    profile = _plain(str(rules.get("profile") or NOBODY_SAID))
    options = ", ".join(map(str, rules.get("options") or ())) or "none"
    certainty = {level: sum(case.certainty == level for case in cases) for level in (3, 2, 1, 0)}
    said = ", ".join(f"{level}: {number}" for level, number in certainty.items() if level)
    with_values = len({case.patient for case in cases if case.clinical})
    return _list(
        f"Sites: {len({case.site for case in cases})}; scanners: {', '.join(_sorted(cases))}",
        f"De-identified before storage: PS3.15 profile {profile}, options {options}",
        "Images and masks are named by their SHA-256 in the manifest; neither can change unnoticed",
        "Masks: the newest that an expert accepted, per series",
        f"Certainty that authors said, number of masks: {said}; not said: {certainty[0]}",
        f"Patients with clinical values, by hash only: {with_values}",
    )


def _rules(snapshot: Snapshot) -> str:
    rules: Rules = snapshot.rules
    if snapshot.version == 1:
        return "This dataset was frozen before rules were written down."
    return _list(
        f"Sequence classes: {', '.join(rules.sequence_classes) or 'all'}",
        f"Quality verdicts: {', '.join(rules.verdicts)}",
        f"Least certainty: {rules.least_certainty or 'none'}",
        f"One of these structures judged: {', '.join(rules.structures) or 'any'}",
        f"Sites: {', '.join(rules.sites) or 'all'}",
    )


def _splits() -> str:
    return (
        "By patient. The project's lists decide; who is on none is placed so that project, site and scanner stay near "
        "70 % training, 15 % validation, 15 % test. Nobody moves later, and who is in validation or test is never "
        "learnt from in this project."
    )


def _limits(snapshot: Snapshot) -> str:
    empty = [part for part in PARTS if not snapshot.count(part)]
    lacking = f"No patient in: {', '.join(empty)}" if empty else "Every split has patients"
    scanners = {case.scanner for case in snapshot.of("training")}
    unseen = sorted({case.scanner for case in (*snapshot.of("validation"), *snapshot.of("test"))} - scanners)
    return _list(
        lacking,
        f"Scanners that are judged but not learnt from: {', '.join(map(_plain, unseen)) or 'none'}",
        "How patients were chosen, and whom that leaves out, is not known to the platform",
        "The same patient in two projects has two pseudonyms; only the same image, by its hash, gives it away",
        "Consent, ethics and licence are the project's to state: the platform does not know them",
    )


def _sorted(cases: Iterable[Case]) -> list[str]:
    return sorted({_plain(case.scanner) for case in cases})


def _list(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [tuple(head), ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_plain(str(cell)) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Text from outside as one cell: no markup of its own."""
    return "".join(letter if letter.isprintable() else " " for letter in text).translate(_MARKUP).strip()


_MARKUP = str.maketrans({"|": "/", "<": "(", ">": ")", "`": "'", "[": "(", "]": ")"})
