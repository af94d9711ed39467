"""QIDO-RS keys as SQL conditions on the columns that the index has; what SQL cannot decide is left to headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, false, func, or_, select, true

from irp_ingest.adapters.db import INSTANCE, SERIES, STUDY
from irp_ingest.adapters.dialect import Dialect, like_pattern
from irp_ingest.domain.matching import EMPTY, Keys, Rules, alternatives, is_pattern

Condition = ColumnElement[bool]

STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS = "0020000D", "0020000E", "00080018", "00080016"
MODALITY, MODALITIES, DESCRIPTION = "00080060", "00080061", "0008103E"
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
LONGEST = 256  # characters of a column; the standard's texts have 64 at most (PS3.5 section 6.2)
# Attributes of series that have a column.
IN_SERIES: Mapping[str, Column[Any]] = {
    MODALITY: SERIES.c.modality,
    MODALITIES: SERIES.c.modality,
    DESCRIPTION: SERIES.c.description,
}
DATE, TIME = "00080020", "00080030"
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
    """The first value of a DICOM JSON attribute as text; empty if there is none, cut where no index takes more."""
    value = ((header.get(tag) or {}).get("Value") or [""])[0]
    return str(value.get("Alphabetic", "") if isinstance(value, Mapping) else value)[:LONGEST]


@dataclass(frozen=True, slots=True)
class Criteria:
    """The keys of one search.

    Attributes:
        project: where.
        level: "study", "series" or "instance".
        rules: how values are compared.
        dialect: of the database.
    """

    project: str
    level: str
    rules: Rules
    dialect: Dialect

    def of(self, keys: Keys) -> tuple[list[Condition], Keys]:
        """Conditions that decide, and the keys that only headers can."""
        found: list[Condition] = []
        left: Keys = {}
        moments = _moments(keys)
        if moments is not None:
            found.append(self._in_study(moments))
            keys = {tag: wanted for tag, wanted in keys.items() if tag not in {DATE, TIME}}
        for tag, wanted in keys.items():
            condition = None if isinstance(wanted, dict) else self._condition(tag, wanted)
            if condition is None:
                left[tag] = wanted
            else:
                found.append(condition)
        return found, left

    def _condition(self, tag: str, wanted: str) -> Condition | None:
        if tag in UIDS["instance"]:
            return self._by_uid(tag, alternatives(tag, wanted, self.rules))
        if tag in IN_STUDY:
            return self._in_study(self._text(tag, IN_STUDY[tag], wanted))
        if tag in IN_SERIES:
            return self._in_series(tag, wanted)
        return None

    def _by_uid(self, tag: str, uids: list[str]) -> Condition:
        """By a column of the level's own, else by what lies below; and by the studies of these, which are in order."""
        level = "series" if tag == SERIES_UID else "instance"
        condition = UIDS[level][tag].in_(uids)
        own = UIDS[self.level]
        if tag not in own:
            here = STUDY_UID if self.level == "study" else SERIES_UID
            return self._in(here, UIDS[level][here], TABLES[level], condition)
        if tag not in {SERIES_UID, SOP_UID}:
            return own[tag].in_(uids)
        return own[tag].in_(uids) & self._in(STUDY_UID, UIDS[level][STUDY_UID], TABLES[level], condition)

    def _in_study(self, condition: Condition) -> Condition:
        return condition if self.level == "study" else self._in(STUDY_UID, STUDY.c.uid, STUDY, condition)

    def _in(self, here: str, there: Column[Any], table: Table, condition: Condition) -> Condition:
        part: Select[Any] = select(there).where(table.c.project == self.project, condition)
        return UIDS[self.level][here].in_(part)

    def _in_series(self, tag: str, wanted: str) -> Condition:
        """A series' own; a study's are those of its series."""
        condition = self._text(tag, IN_SERIES[tag], wanted)
        if tag != MODALITIES and self.level == "series" and not is_pattern(wanted):
            return condition
        of_study = self._in(STUDY_UID, SERIES.c.study_uid, SERIES, condition)
        if tag == MODALITIES or self.level == "study":
            return of_study
        # by the studies as well: a pattern walks through a small index, what follows from it comes in order
        return of_study & (
            condition if self.level == "series" else self._in(SERIES_UID, SERIES.c.uid, SERIES, condition)
        )

    def _text(self, tag: str, column: Column[Any], wanted: str) -> Condition:
        """Any of the alternatives."""
        if self.rules.empty and wanted == EMPTY:
            return column == ""
        values = alternatives(tag, wanted, self.rules)
        if tag == PATIENT_NAME or any(is_pattern(value) or "-" in value for value in values):
            return or_(false(), *(self._by_text(tag, column, value) for value in values))
        return column == values[0] if len(values) == 1 else column.in_(values)

    def _by_text(self, tag: str, column: Column[Any], wanted: str) -> Condition:
        """PS3.4 C.2.2.2."""
        if tag in {DATE, TIME} and "-" in wanted:
            low, _, high = wanted.partition("-")
            until = func.substr(column, 1, len(high)) <= high if high else true()
            return (column != "") & (column >= low) & until
        if tag == PATIENT_NAME:
            pattern = like_pattern(wanted.lower())
            return func.lower(column).like(f"%{pattern}%" if self.rules.fuzzy else pattern, escape="\\")
        return self.dialect.like(column, wanted) if is_pattern(wanted) else column == wanted


def _moments(keys: Keys) -> Condition | None:
    """A range of dates with a range of times is one range of moments, not one of times on each day of it."""
    dates, times = keys.get(DATE), keys.get(TIME)
    if not (isinstance(dates, str) and isinstance(times, str) and "-" in dates and "-" in times):
        return None
    date, time = STUDY.c.study_date, STUDY.c.study_time
    (first, _, last), (begin, _, end) = dates.partition("-"), times.partition("-")
    after = (date > first) | ((date == first) & (time >= begin))
    until = (date < last) | ((date == last) & (func.substr(time, 1, len(end)) <= end if end else true()))
    return (date != "") & after & (until if last else true())
