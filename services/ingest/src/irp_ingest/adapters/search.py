"""QIDO-RS on the index."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from irp_chassis.db import Database
from sqlalchemy import Select, func, select

from irp_ingest.adapters.db import INSTANCE
from irp_ingest.domain.matching import answer, matches, tag_of, uids_of

COLUMNS = {"0020000D": "study_uid", "0020000E": "series_uid", "00080018": "sop_uid", "00080016": "sop_class"}
MAX_ANSWER = 5000  # matches in one answer; page on with offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a search asks.

    Attributes:
        level: "study", "series" or "instance".
        study_uid, series_uid: of the address, or empty.
        wanted: keyword or tag -> value to match.
        include: further attributes to answer, or "all".
        limit, offset: of matches; limit 0 = as many as one answer holds.
        fuzzy: match parts of text, in any case.
    """

    level: str
    study_uid: str
    series_uid: str
    wanted: dict[str, str]
    include: list[str]
    limit: int
    offset: int
    fuzzy: bool

    @property
    def keys(self) -> dict[str, str]:
        """Tag -> value; unknown attributes match everything."""
        return {tag: value for name, value in self.wanted.items() if (tag := tag_of(name))}


class SqlSearch:
    """Search by UIDs in SQL, by everything else on headers: one per series, or those of the instances asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, project: str, query: Query) -> list[dict[str, Any]]:
        """DICOM JSON per match, ordered by UIDs."""
        candidates = await (self._instances if query.level == "instance" else self._groups)(project, query)
        keys = {tag: value for tag, value in query.keys.items() if tag not in COLUMNS}
        found = [
            answer(header, query.level, query.include, computed)
            for header, computed in candidates
            if all(matches({**header, **computed}, tag, value, fuzzy=query.fuzzy) for tag, value in keys.items())
        ]
        limit = min(query.limit or MAX_ANSWER, MAX_ANSWER)
        return found[query.offset : query.offset + limit]

    async def _instances(self, project: str, query: Query) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        order = (INSTANCE.c.study_uid, INSTANCE.c.series_uid, INSTANCE.c.sop_uid)
        statement = _narrowed(select(INSTANCE.c.header), project, query).order_by(*order)
        if query.keys.keys() <= COLUMNS.keys():  # nothing is left to match: the database counts the page
            statement = statement.limit(query.offset + min(query.limit or MAX_ANSWER, MAX_ANSWER))
        async with self._database.read() as connection:
            return [(row.header, {}) for row in await connection.execute(statement)]

    async def _groups(self, project: str, query: Query) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """A header per series and what is counted; for studies, of their first series.

        An instance's own attributes (SOP UIDs) narrow the answer, but every count is of the whole.
        """
        series = await self._series(project, query)
        wanted = {row.series_uid for row in series}
        studies: dict[str, list[Any]] = defaultdict(list)
        for row in await self._counted(project, {row.study_uid for row in series}):
            studies[row.study_uid].append(row)
        if query.level == "series":
            chosen = [row for members in studies.values() for row in members if row.series_uid in wanted]
            return [
                (row.header, {"00201209": _number(row.count)} | _of_study(studies[row.study_uid])) for row in chosen
            ]
        return [(members[0].header, _of_study(members)) for members in studies.values()]

    async def _series(self, project: str, query: Query) -> list[Any]:
        statement = _narrowed(select(INSTANCE.c.study_uid, INSTANCE.c.series_uid).distinct(), project, query)
        async with self._database.read() as connection:
            return list(await connection.execute(statement))

    async def _counted(self, project: str, studies: set[str]) -> list[Any]:
        """(study, series, count, header of the first instance) of whole studies, ordered."""
        first = (
            select(INSTANCE.c.series_uid, func.min(INSTANCE.c.sop_uid).label("sop_uid"), func.count().label("count"))
            .where(INSTANCE.c.project == project)
            .group_by(INSTANCE.c.series_uid)
            .subquery()
        )
        statement = (
            select(INSTANCE.c.study_uid, INSTANCE.c.series_uid, first.c.count, INSTANCE.c.header)
            .join(first, INSTANCE.c.sop_uid == first.c.sop_uid)
            .where(INSTANCE.c.project == project)
            .order_by(INSTANCE.c.study_uid, INSTANCE.c.series_uid)
        )
        async with self._database.read() as connection:
            return [row for row in await connection.execute(statement) if row.study_uid in studies]


def _narrowed(statement: Select[Any], project: str, query: Query) -> Select[Any]:
    statement = statement.where(INSTANCE.c.project == project)
    if query.study_uid:
        statement = statement.where(INSTANCE.c.study_uid == query.study_uid)
    if query.series_uid:
        statement = statement.where(INSTANCE.c.series_uid == query.series_uid)
    for tag, column in COLUMNS.items():
        if uids := uids_of(query.keys.get(tag, "")):
            statement = statement.where(INSTANCE.c[column].in_(uids))
    return statement


def _of_study(members: list[Any]) -> dict[str, Any]:
    """ModalitiesInStudy, NumberOfStudyRelatedSeries and -Instances. Source: PS3.4 C.3.4."""
    modalities = {modality for m in members for modality in (m.header.get("00080060") or {}).get("Value", [])}
    return {
        "00080061": {"vr": "CS", "Value": sorted(modalities)},
        "00201206": _number(len(members)),
        "00201208": _number(sum(member.count for member in members)),
    }


def _number(value: int) -> dict[str, Any]:
    return {"vr": "IS", "Value": [value]}
