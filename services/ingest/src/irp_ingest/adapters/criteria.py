"""QIDO-RS keys as SQL conditions on the columns that the index has; what SQL cannot decide is left to headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, func, select

from irp_ingest.adapters.db import INSTANCE, SERIES, STUDY
from irp_ingest.domain.matching import uids_of

Condition = ColumnElement[bool]

STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS = "0020000D", "0020000E", "00080018", "00080016"
MODALITY, MODALITIES = "00080060", "00080061"
PATIENT_NAME = "00100010"
# Study attributes that have a column.
IN_STUDY: Mapping[str, Column[Any]] = {
    "00100020": STUDY.c.patient_id,
    PATIENT_NAME: STUDY.c.patient_name,
    "00080020": STUDY.c.study_date,
    "00080030": STUDY.c.study_time,
    "00080050": STUDY.c.accession_number,
    "00200010": STUDY.c.study_id,
    "00081030": STUDY.c.study_description,
}
DATES = frozenset({"00080020", "00080030"})
# Level -> its table, and its columns of UIDs.
TABLES: Mapping[str, Table] = {"study": STUDY, "series": SERIES, "instance": INSTANCE}
UIDS: Mapping[str, Mapping[str, Column[Any]]] = {
    "study": {STUDY_UID: STUDY.c.uid},
    "series": {STUDY_UID: SERIES.c.study_uid, SERIES_UID: SERIES.c.uid},
    "instance": {
        STUDY_UID: INSTANCE.c.study_uid,
        SERIES_UID: INSTANCE.c.series_uid,
        SOP_UID: INSTANCE.c.sop_uid,
        SOP_CLASS: INSTANCE.c.sop_class,
    },
}


def study_columns(header: Mapping[str, Any]) -> dict[str, str]:
    """What the columns of a study hold of a header."""
    return {column.name: first_text(header, tag) for tag, column in IN_STUDY.items()}


def first_text(header: Mapping[str, Any], tag: str) -> str:
    """The first value of a DICOM JSON attribute as text; empty if there is none."""
    value = ((header.get(tag) or {}).get("Value") or [""])[0]
    return str(value.get("Alphabetic", "") if isinstance(value, Mapping) else value)


@dataclass(frozen=True, slots=True)
class Criteria:
    """The keys of one search.

    Attributes:
        project: where.
        level: "study", "series" or "instance".
        fuzzy: match parts of names.
    """

    project: str
    level: str
    fuzzy: bool

    def of(self, keys: Mapping[str, str]) -> tuple[list[Condition], dict[str, str]]:
        """Conditions that are never narrower than the keys, and the keys that headers must decide in the end."""
        found: list[Condition] = []
        left: dict[str, str] = {}
        for tag, wanted in keys.items():
            condition = None if wanted in {"", "*"} else self._condition(tag, wanted)
            if condition is not None:
                found.append(condition)
            if condition is None or not _is_exact(tag, wanted):
                left[tag] = wanted
        return found, left

    def _condition(self, tag: str, wanted: str) -> Condition | None:
        if tag in UIDS["instance"]:
            return self._by_uid(tag, uids_of(wanted))
        if tag in IN_STUDY:
            condition = self._by_text(tag, IN_STUDY[tag], wanted)
            return condition if self.level == "study" else self._in(STUDY_UID, STUDY.c.uid, STUDY, condition)
        if tag in {MODALITY, MODALITIES} and not _is_pattern(wanted):
            return self._by_modality(tag, SERIES.c.modality == wanted)
        return None

    def _by_uid(self, tag: str, uids: list[str]) -> Condition:
        """By a column of the level's own, else by what lies below."""
        own = UIDS[self.level]
        if tag in own:
            return own[tag].in_(uids)
        level = "series" if tag == SERIES_UID else "instance"
        here = STUDY_UID if self.level == "study" else SERIES_UID
        return self._in(here, UIDS[level][here], TABLES[level], UIDS[level][tag].in_(uids))

    def _in(self, here: str, there: Column[Any], table: Table, condition: Condition) -> Condition:
        part: Select[Any] = select(there).where(table.c.project == self.project, condition)
        return UIDS[self.level][here].in_(part)

    def _by_modality(self, tag: str, condition: Condition) -> Condition:
        """A series' own modality; a study's are those of its series."""
        if tag == MODALITIES or self.level == "study":
            return self._in(STUDY_UID, SERIES.c.study_uid, SERIES, condition)
        return condition if self.level == "series" else self._in(SERIES_UID, SERIES.c.uid, SERIES, condition)

    def _by_text(self, tag: str, column: Column[Any], wanted: str) -> Condition:
        """PS3.4 C.2.2.2."""
        if tag in DATES and "-" in wanted:
            low, _, high = wanted.partition("-")
            return (column != "") & (column >= low) & (func.substr(column, 1, len(high)) <= high if high else True)
        if tag != PATIENT_NAME and not _is_pattern(wanted):
            return column == wanted
        pattern = wanted.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        pattern = pattern.replace("*", "%").replace("?", "_")
        part_of_name = self.fuzzy and tag == PATIENT_NAME
        return func.lower(column).like(f"%{pattern}%" if part_of_name else pattern, escape="\\")


def _is_pattern(wanted: str) -> bool:
    return "*" in wanted or "?" in wanted


def _is_exact(tag: str, wanted: str) -> bool:
    """False for wildcards where case counts: LIKE does not tell cases apart."""
    return tag == PATIENT_NAME or not _is_pattern(wanted)
