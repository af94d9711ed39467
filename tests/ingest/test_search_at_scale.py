"""What you learn here: what SQL decides is what the headers say, page by page; and old indexes learn their studies."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.db import Database
from irp_chassis.migrate import migrate
from irp_ingest.adapters.criteria import study_columns
from irp_ingest.adapters.db import INSTANCE, METADATA, SERIES, STUDY
from irp_ingest.adapters.search import Query, SqlSearch
from irp_ingest.domain.matching import Rules, keys_of, matches
from sqlalchemy import text

MIGRATIONS = "irp_ingest.adapters.migrations"
NAMES = ("P_1%", "p21", "P22", "PXX")
DATES = ("20200131", "20200201", "20211224", "")
TEXTS = ("CINE sax", "cine SAX", "100% lge_t1", "")
EVERY = list(itertools.product(NAMES, DATES, TEXTS))


def header_of(number: int) -> dict[str, Any]:
    name, date, description = EVERY[number]
    found = {
        "00080020": ("DA", date),
        "00081030": ("LO", description),
        "00100020": ("LO", name),
        "00100010": ("PN", {"Alphabetic": name}),
        "00080060": ("CS", "MR" if number % 3 else "CT"),
        "00101040": ("LO", f"street {number % 4}"),
        "0020000D": ("UI", f"1.{number:03d}"),
        "0020000E": ("UI", f"1.{number:03d}.1"),
    }
    return {tag: {"vr": vr, "Value": [value]} if value else {"vr": vr} for tag, (vr, value) in found.items()}


def rows_of(number: int, *, old: bool = False) -> list[tuple[Any, dict[str, Any]]]:
    header = header_of(number)
    uid = f"1.{number:03d}"
    empty = dict.fromkeys(("reason", "message"), "") | {"result": None, "project_ref": {}}
    series = {"project": "p", "uid": f"{uid}.1", "study_uid": uid, "patient": "P", "site": "S", "state": "assembled"}
    series |= empty | {"count": 1, "quiet_until": 0.0, "queued": True, "version": 1, "arrived_at": 0.0}
    instance = {"project": "p", "sop_uid": f"{uid}.1.1", "study_uid": uid, "series_uid": f"{uid}.1", "sop_class": "1"}
    instance |= {"transfer_syntax": "1", "fingerprint": "f", "object": {}, "header": header, "plane": None}
    rows = [(INSTANCE, instance | {"candidates": []})]
    if old:
        return [*rows, (SERIES, series)]
    study = {"project": "p", "uid": uid, "header": header} | study_columns(header)
    more = {"modality": header["00080060"]["Value"][0], "header": header}
    return [*rows, (SERIES, series | more), (STUDY, study)]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/ingest.db", METADATA)
    yield database
    await database.close()


async def fill(database: Database, *, old: bool = False) -> None:
    async with database.engine.begin() as connection:
        for number in range(len(EVERY)):
            for table, row in rows_of(number, old=old):
                columns = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join(f":{name}" for name in row)
                values = {name: json.dumps(v) if isinstance(v, dict | list) else v for name, v in row.items()}
                await connection.execute(text(f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'), values)


def ask(level: str, *, limit: int = 0, offset: int = 0, fuzzy: bool = False, **wanted: str) -> Query:
    return Query(
        level=level, study_uid="", series_uid="", wanted=wanted, include=[], limit=limit, offset=offset,
        rules=Rules(fuzzy=fuzzy),
    )  # fmt: skip


ASKED: list[dict[str, str]] = [
    {"PatientID": "P22"}, {"PatientID": "p22"}, {"PatientID": "P*"}, {"PatientID": "P_1%"}, {"PatientID": "P?1?"},
    {"PatientName": "p2*"}, {"PatientName": "P_*"}, {"StudyDate": "20200131"}, {"StudyDate": "20200101-20200201"},
    {"StudyDate": "-20200131"}, {"StudyDate": "20210101-"}, {"StudyDate": "2020-2020"}, {"StudyDescription": "CINE*"},
    {"StudyDescription": "*%*"}, {"StudyDescription": "cine SAX"}, {"Modality": "CT"}, {"PatientAddress": "street 2"},
    {"PatientAddress": "street*", "PatientID": "PXX", "StudyDate": "2020*"}, {"StudyInstanceUID": "1.001,1.002"},
    {"SeriesInstanceUID": "1.003.1"}, {"SOPInstanceUID": "1.004.1.1"}, {"ModalitiesInStudy": "MR", "PatientID": "p21"},
]  # fmt: skip


@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize("fuzzy", [False, True])
async def test_sql_finds_what_the_headers_say(database: Database, level: str, fuzzy: bool) -> None:
    await migrate(database, MIGRATIONS)
    await fill(database)
    search = SqlSearch(database)
    for wanted in ASKED:
        found = {one["0020000D"]["Value"][0] for one in await search("p", ask(level, fuzzy=fuzzy, **wanted))}
        assert found == {uid for number in range(len(EVERY)) if (uid := by_headers(number, wanted, fuzzy))}, wanted


def by_headers(number: int, wanted: dict[str, str], fuzzy: bool) -> str:
    header = header_of(number)
    header["00080018"] = {"vr": "UI", "Value": [f"1.{number:03d}.1.1"]}
    header["00080061"] = header["00080060"]
    keys, _ = keys_of(wanted)
    if matches(header, keys, Rules(fuzzy=fuzzy)):
        return str(header["0020000D"]["Value"][0])
    return ""


@pytest.mark.parametrize("wanted", [{}, {"PatientID": "P*"}, {"PatientAddress": "street 1"}])
async def test_pages_put_together_are_the_whole_in_the_same_order(database: Database, wanted: dict[str, str]) -> None:
    await migrate(database, MIGRATIONS)
    await fill(database)
    search = SqlSearch(database)
    whole = await search("p", ask("study", **wanted))
    pages = [await search("p", ask("study", limit=7, offset=at, **wanted)) for at in range(0, 70, 7)]
    assert [one for page in pages for one in page] == whole
    assert await search("other", ask("study", **wanted)) == []


async def test_an_index_of_the_first_version_learns_its_studies(database: Database) -> None:
    await migrate(database, MIGRATIONS, "0001")
    await fill(database, old=True)
    await migrate(database, MIGRATIONS)
    found = await SqlSearch(database)("p", ask("study", PatientID="P22", StudyDate="20200131", ModalitiesInStudy="MR"))
    truth = [n for n, (name, date, _) in enumerate(EVERY) if (name, date) == ("P22", "20200131") and n % 3]
    assert [one["0020000D"]["Value"] for one in found] == [[f"1.{number:03d}"] for number in truth]
