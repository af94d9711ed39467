"""QIDO-RS on the index."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from irp_chassis.db import Database
from sqlalchemy import select

from irp_ingest.adapters.db import INSTANCE
from irp_ingest.domain.matching import answer, matches, tag_of

COLUMNS = {"0020000D": "study_uid", "0020000E": "series_uid", "00080018": "sop_uid", "00080016": "sop_class"}


class SqlSearch:
    """Search by UIDs in SQL, by everything else on the headers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(
        self,
        project: str,
        level: str,
        *,
        study_uid: str,
        series_uid: str,
        wanted: dict[str, str],
        include: list[str],
        limit: int,
        offset: int,
        fuzzy: bool,
    ) -> list[dict[str, Any]]:
        """DICOM JSON per match, ordered by UIDs."""
        keys = {tag: value for name, value in wanted.items() if (tag := tag_of(name))}
        rows = await self._rows(project, study_uid, series_uid, keys)
        groups: dict[tuple[str, ...], list[Any]] = defaultdict(list)
        for row in rows:
            groups[_group(row, level)].append(row)
        found = []
        for key in sorted(groups):
            members = groups[key]
            header = members[0].header
            if all(matches(header, tag, value, fuzzy=fuzzy) for tag, value in keys.items() if tag != "00080061"):
                found.append(answer(header, level, include, _computed(members, level)))
        return found[offset : offset + limit] if limit else found[offset:]

    async def _rows(self, project: str, study_uid: str, series_uid: str, keys: dict[str, str]) -> list[Any]:
        query = select(INSTANCE).where(INSTANCE.c.project == project)
        if study_uid:
            query = query.where(INSTANCE.c.study_uid == study_uid)
        if series_uid:
            query = query.where(INSTANCE.c.series_uid == series_uid)
        for tag, column in COLUMNS.items():
            if keys.get(tag):
                query = query.where(INSTANCE.c[column].in_(keys[tag].replace("\\", ",").split(",")))
        order = (INSTANCE.c.study_uid, INSTANCE.c.series_uid, INSTANCE.c.sop_uid)
        async with self._database.read() as connection:
            return list((await connection.execute(query.order_by(*order))).all())


def _group(row: Any, level: str) -> tuple[str, ...]:
    uids = (row.study_uid, row.series_uid, row.sop_uid)
    return uids[: {"study": 1, "series": 2, "instance": 3}[level]]


def _computed(members: list[Any], level: str) -> dict[str, Any]:
    """NumberOf...RelatedInstances, NumberOfStudyRelatedSeries, ModalitiesInStudy. Source: PS3.4 C.3.4."""
    if level == "study":
        modalities = {(m.header.get("00080060") or {}).get("Value", [""])[0] for m in members}
        return {
            "00080061": {"vr": "CS", "Value": sorted(modalities)},
            "00201206": {"vr": "IS", "Value": [len({m.series_uid for m in members})]},
            "00201208": {"vr": "IS", "Value": [len(members)]},
        }
    if level == "series":
        return {"00201209": {"vr": "IS", "Value": [len(members)]}}
    return {}
