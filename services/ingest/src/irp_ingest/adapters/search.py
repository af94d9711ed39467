"""QIDO-RS on the index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from irp_chassis.db import Database
from sqlalchemy import Row, Select, select

from irp_ingest.adapters.criteria import SERIES_UID, STUDY_UID, TABLES, UIDS, Criteria
from irp_ingest.adapters.db import INSTANCE, SERIES, STUDY
from irp_ingest.domain.matching import answer, matches, tag_of

MAX_ANSWER = 5000  # matches in one answer; page on with offset
SCANNED = 1000  # headers read at once, where only headers can decide
COLUMNS = {
    "study": (STUDY.c.uid.label("study_uid"), STUDY.c.header),
    "series": (SERIES.c.study_uid, SERIES.c.count.label("instances"), SERIES.c.header),
    "instance": (INSTANCE.c.study_uid, INSTANCE.c.header),
}
ORDER = {
    "study": (STUDY.c.uid,),
    "series": (SERIES.c.study_uid, SERIES.c.uid),
    "instance": (INSTANCE.c.study_uid, INSTANCE.c.series_uid, INSTANCE.c.sop_uid),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a search asks.

    Attributes:
        level: "study", "series" or "instance".
        study_uid, series_uid: of the address, or empty.
        wanted: keyword or tag -> value to match.
        include: further attributes to answer, or "all".
        limit, offset: of matches; limit 0 = as many as one answer holds.
        fuzzy: match parts of names.
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

    @property
    def end(self) -> int:
        """The match behind the last one that is answered."""
        return self.offset + min(self.limit or MAX_ANSWER, MAX_ANSWER)


class SqlSearch:
    """Pages in SQL wherever the columns decide; else headers are read until the page is full."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, project: str, query: Query) -> list[dict[str, Any]]:
        """DICOM JSON per match, ordered by UIDs."""
        found, left = Criteria(project, query.level, query.fuzzy).of(query.keys)
        statement = _within(query, project).where(*found).order_by(*ORDER[query.level])
        if left:
            rows = await self._scan(project, statement, query, left)
        else:
            rows = await self._rows(statement.offset(query.offset).limit(query.end - query.offset))
        computed = await self._computed(project, query.level, rows)
        return [answer(row.header, query.level, query.include, more) for row, more in zip(rows, computed, strict=True)]

    async def _rows(self, statement: Select[Any]) -> list[Row[Any]]:
        async with self._database.read() as connection:
            return list(await connection.execute(statement))

    async def _scan(self, project: str, statement: Select[Any], query: Query, keys: dict[str, str]) -> list[Row[Any]]:
        """Read headers, page by page, until enough of them match."""
        matching: list[Row[Any]] = []
        at = 0
        while len(matching) < query.end:
            rows = await self._rows(statement.offset(at).limit(SCANNED))
            computed = await self._computed(project, query.level, rows)
            matching += [
                row
                for row, more in zip(rows, computed, strict=True)
                if all(matches({**row.header, **more}, tag, value, fuzzy=query.fuzzy) for tag, value in keys.items())
            ]
            at += SCANNED
            if len(rows) < SCANNED:
                break
        return matching[query.offset : query.end]

    async def _computed(self, project: str, level: str, rows: list[Row[Any]]) -> list[dict[str, Any]]:
        """ModalitiesInStudy and the numbers of related series and instances. Source: PS3.4 C.3.4."""
        if level == "instance":
            return [{} for _ in rows]
        studies = await self._studies(project, {row.study_uid for row in rows})
        if level == "study":
            return [studies[row.study_uid] for row in rows]
        return [{"00201209": _number(row.instances), **studies[row.study_uid]} for row in rows]

    async def _studies(self, project: str, uids: Collection[str]) -> dict[str, dict[str, Any]]:
        statement = select(SERIES.c.study_uid, SERIES.c.modality, SERIES.c.count.label("instances"))
        members: dict[str, list[Any]] = defaultdict(list)
        for row in await self._rows(statement.where(SERIES.c.project == project, SERIES.c.study_uid.in_(uids))):
            members[row.study_uid].append(row)
        return {uid: _of_study(members[uid]) for uid in uids}


def _within(query: Query, project: str) -> Select[Any]:
    """Everything under the address."""
    statement = select(*COLUMNS[query.level]).where(TABLES[query.level].c.project == project)
    own = UIDS[query.level]
    for tag, uid in ((STUDY_UID, query.study_uid), (SERIES_UID, query.series_uid)):
        if uid and tag in own:
            statement = statement.where(own[tag] == uid)
    return statement


def _of_study(members: list[Any]) -> dict[str, Any]:
    return {
        "00080061": {"vr": "CS", "Value": sorted({member.modality for member in members if member.modality})},
        "00201206": _number(len(members)),
        "00201208": _number(sum(member.instances for member in members)),
    }


def _number(value: int) -> dict[str, Any]:
    return {"vr": "IS", "Value": [value]}
