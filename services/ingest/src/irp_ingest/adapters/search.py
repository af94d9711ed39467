"""QIDO-RS on the index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from irp_chassis.db import Database
from sqlalchemy import Row, Select, select, tuple_

from irp_ingest.adapters.criteria import SERIES_UID, STUDY_UID, TABLES, UIDS, Criteria
from irp_ingest.adapters.db import INSTANCE, SERIES, STUDY
from irp_ingest.adapters.dialect import Dialect, Tags
from irp_ingest.domain.attributes import answer, answered
from irp_ingest.domain.errors import SearchTooWide
from irp_ingest.domain.matching import Keys, Rules, keys_of, matches

EXACT = Rules()
MAX_ANSWER = 5001  # matches in one answer: a door's largest page, and one that tells of more
SCANNED = 1000  # headers read at once, where only headers can decide
MAX_SCANNED = 200_000  # headers read for one answer: some seconds
ONLINE = {"00080056": {"vr": "CS", "Value": ["ONLINE"]}}
# UIDs of a row, in the order of answers.
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
        wanted: keyword, tag, or path of these through sequences -> value to match.
        include: further attributes to answer, or "all".
        limit, offset: of matches; limit 0 = as many as one answer holds.
        rules: how values are compared.
    """

    level: str
    study_uid: str
    series_uid: str
    wanted: dict[str, str]
    include: list[str]
    limit: int
    offset: int
    rules: Rules = EXACT

    @property
    def size(self) -> int:
        """The most matches that are answered."""
        return min(self.limit or MAX_ANSWER, MAX_ANSWER)


@dataclass(frozen=True, slots=True)
class Match:
    """A row that was found: its UIDs, outermost first, and what was read of its header."""

    uids: tuple[str, ...]
    header: dict[str, Any]


class SqlSearch:
    """Pages in SQL wherever the columns decide; else headers are read until the page is full."""

    def __init__(self, database: Database, *, scanned: int = SCANNED, max_scanned: int = MAX_SCANNED) -> None:
        self._database, self._dialect = database, Dialect(database.is_sqlite)
        self._scanned, self._max_scanned = scanned, max_scanned

    async def __call__(self, project: str, query: Query) -> list[dict[str, Any]]:
        """DICOM JSON per match, ordered by UIDs.

        Raises:
            SearchTooWide: too many headers would have to be read.
        """
        keys, _ = keys_of(query.wanted)
        found, left = Criteria(project, query.level, query.rules, self._dialect).of(keys)
        tags = answered(query.level, [*query.include, *query.wanted])
        statement = self._statement(project, query, tags)
        if left:
            rows = await self._fetch(statement, query.level, tags, await self._scan(project, query, found, left))
        else:
            page = statement.where(*found).order_by(*ORDER[query.level]).offset(query.offset).limit(query.size)
            rows = await self._matches(page, query.level, tags)
        computed = await self._computed(project, query.level, rows)
        return [answer(query.level, row.header, more) for row, more in zip(rows, computed, strict=True)]

    def _statement(self, project: str, query: Query, tags: Tags) -> Select[Any]:
        """Everything under the address; of headers only these tags are read."""
        table, own = TABLES[query.level], UIDS[query.level]
        header = self._dialect.parts(table.c.header, tags)
        statement = select(*ORDER[query.level], header.label("header")).where(table.c.project == project)
        for tag, uid in ((STUDY_UID, query.study_uid), (SERIES_UID, query.series_uid)):
            if uid and tag in own:
                statement = statement.where(own[tag] == uid)
        return statement

    async def _matches(self, statement: Select[Any], level: str, tags: Tags) -> list[Match]:
        number = len(ORDER[level])
        return [Match(tuple(row[:number]), _header(row[number], tags)) for row in await self._rows(statement)]

    async def _rows(self, statement: Select[Any]) -> list[Row[Any]]:
        async with self._database.read() as connection:
            return list(await connection.execute(statement))

    async def _scan(self, project: str, query: Query, found: list[Any], keys: Keys) -> list[str]:
        """Read what the keys name of headers, page by page, until enough of them match: their own UIDs."""
        tags = tuple(keys)
        statement = (
            self._statement(project, query, tags).where(*found).order_by(*ORDER[query.level]).limit(self._scanned)
        )
        matching: list[str] = []
        rows = await self._matches(statement, query.level, tags)
        for _ in range(self._max_scanned // self._scanned):
            matching += [row.uids[-1] for row in rows if matches(row.header, keys, query.rules)]
            if len(rows) < self._scanned or len(matching) >= query.offset + query.size:
                return matching[query.offset : query.offset + query.size]
            behind = tuple_(*ORDER[query.level]) > rows[-1].uids
            rows = await self._matches(statement.where(behind), query.level, tags)
        raise SearchTooWide(f"more than {self._max_scanned} headers would have to be read")

    async def _fetch(self, statement: Select[Any], level: str, tags: Tags, uids: list[str]) -> list[Match]:
        """The rows of these UIDs, in their order: asked to sort, a database might walk through everything."""
        rows = await self._matches(statement.where(ORDER[level][-1].in_(uids)), level, tags)
        places = {uid: place for place, uid in enumerate(uids)}
        return sorted(rows, key=lambda row: places[row.uids[-1]])

    async def _computed(self, project: str, level: str, rows: list[Match]) -> list[dict[str, Any]]:
        """InstanceAvailability, ModalitiesInStudy and the numbers of related series and instances. PS3.4 C.3.4."""
        studies, series = await self._related(project, {row.uids[0] for row in rows})
        if level == "study":
            return [{**ONLINE, **studies[row.uids[0]]} for row in rows]
        return [{**ONLINE, **studies[row.uids[0]], "00201209": _number(series.get(row.uids[1], 0))} for row in rows]

    async def _related(self, project: str, uids: Collection[str]) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
        """Of studies by UID what is computed, and of their series how many instances they have."""
        columns = (SERIES.c.study_uid, SERIES.c.uid, SERIES.c.modality, SERIES.c.count.label("instances"))
        statement = select(*columns).where(SERIES.c.project == project, SERIES.c.study_uid.in_(uids))
        members: dict[str, list[Any]] = defaultdict(list)
        rows = await self._rows(statement)
        for row in rows:
            members[row.study_uid].append(row)
        return {uid: _of_study(members[uid]) for uid in uids}, {row.uid: row.instances for row in rows}


def _header(read: Any, tags: Tags) -> dict[str, Any]:
    """What was read: the whole of a header, or its parts in the order of the tags."""
    if isinstance(read, Mapping):
        return {tag: element for tag, element in read.items() if tags is None or tag in tags}
    return {tag: element for tag, element in zip(tags or (), read, strict=False) if element is not None}


def _of_study(members: list[Any]) -> dict[str, Any]:
    modalities = sorted({member.modality for member in members if member.modality})
    return {
        "00080061": {"vr": "CS", "Value": modalities} if modalities else {"vr": "CS"},
        "00201206": _number(len(members)),
        "00201208": _number(sum(member.instances for member in members)),
    }


def _number(value: int) -> dict[str, Any]:
    return {"vr": "IS", "Value": [value]}
