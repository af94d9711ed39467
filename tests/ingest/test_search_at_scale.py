"""What you learn here: what SQL decides is what the headers say, on both databases, page by page; old indexes learn."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.db import Database
from irp_chassis.migrate import migrate
from irp_ingest.adapters.criteria import study_columns
from irp_ingest.adapters.db import INSTANCE, METADATA, SERIES, STUDY
from irp_ingest.adapters.search import Query, SqlSearch
from irp_ingest.domain.errors import SearchTooWide
from irp_ingest.domain.matching import Rules, keys_of, matches
from sqlalchemy import MetaData, select, text

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
        "0008103E": ("LO", f"sax {number % 5}"),
        "00101040": ("LO", f"street {number % 4}"),
        "0020000D": ("UI", f"1.{number:03d}"),
        "0020000E": ("UI", f"1.{number:03d}.1"),
    }
    header: dict[str, Any] = {
        tag: {"vr": vr, "Value": [value]} if value else {"vr": vr} for tag, (vr, value) in found.items()
    }
    item = {"00400009": {"vr": "SH", "Value": [f"S{number % 3}"]}, "00401001": {"vr": "SH", "Value": ["R"]}}
    other = {"00400009": {"vr": "SH", "Value": ["S9"]}, "00401001": {"vr": "SH", "Value": [f"R{number % 2}"]}}
    return header | {"00400275": {"vr": "SQ", "Value": [item, other]}}


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
    more = {"modality": header["00080060"]["Value"][0], "header": header, "description": f"sax {number % 5}"}
    return [*rows, (SERIES, series | more), (STUDY, study)]


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


@pytest.fixture
async def filled(either_database: Database) -> Database:
    async with either_database.engine.begin() as connection:
        for number in range(len(EVERY)):
            for table, row in rows_of(number):
                await connection.execute(table.insert().values(**row))
    return either_database


async def fill_old(database: Database) -> None:
    """As the first version wrote it: its tables know no studies."""
    async with database.engine.begin() as connection:
        for number in range(len(EVERY)):
            for table, row in rows_of(number, old=True):
                columns = ", ".join(f'"{name}"' for name in row)
                marks = ", ".join(f":{name}" for name in row)
                values = {name: json.dumps(v) if isinstance(v, dict | list) else v for name, v in row.items()}
                await connection.execute(text(f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'), values)


def ask(level: str, *, limit: int = 0, offset: int = 0, rules: Rules = Rules(), **wanted: str) -> Query:  # noqa: B008
    return Query(
        level=level, study_uid="", series_uid="", wanted=wanted, include=[], limit=limit, offset=offset, rules=rules
    )


ASKED: list[dict[str, str]] = [
    {"PatientID": "P22"}, {"PatientID": "p22"}, {"PatientID": "P*"}, {"PatientID": "P_1%"}, {"PatientID": "P?1?"},
    {"PatientName": "p2*"}, {"PatientName": "P_*"}, {"StudyDate": "20200131"}, {"StudyDate": "20200101-20200201"},
    {"StudyDate": "-20200131"}, {"StudyDate": "20210101-"}, {"StudyDate": "2020-2020"}, {"StudyDescription": "CINE*"},
    {"StudyDescription": "*%*"}, {"StudyDescription": "cine SAX"}, {"Modality": "CT"}, {"PatientAddress": "street 2"},
    {"PatientAddress": "street*", "PatientID": "PXX", "StudyDate": "2020*"}, {"StudyInstanceUID": "1.001,1.002"},
    {"SeriesInstanceUID": "1.003.1"}, {"SOPInstanceUID": "1.004.1.1"}, {"ModalitiesInStudy": "MR", "PatientID": "p21"},
    {"StudyDescription": "cine*"}, {"StudyDescription": "*[*"}, {"StudyDescription": '""'}, {"PatientID": "P22\\PXX"},
    {"PatientID": "P22\\PX*", "StudyDate": "20200131\\20211224"}, {"Modality": "CT,SEG"}, {"Modality": "CT\\MR"},
    {"Modality": "C*"}, {"SOPInstanceUID": "1.004.1.1,1.005.1.1,1.006.1.1"}, {"StudyInstanceUID": "1.001\\1.9"},
    {"SeriesDescription": "sax 3"}, {"SeriesDescription": "*X 3"}, {"SeriesDescription": "?ax [12]"},
    {"SeriesDescription": "s*2", "PatientID": "P22"}, {"SeriesInstanceUID": "1.003.1,1.004.1", "Modality": "MR"},
    {"RequestAttributesSequence.00400009": "S1"},
    {"00400275.00400009": "S9", "00400275.00401001": "R1"}, {"00400275.00400009": "S0", "00400275.00401001": "R1"},
]  # fmt: skip


RULES = [Rules(), Rules(fuzzy=True), Rules(empty=True, several=True)]


@pytest.mark.parametrize("level", ["study", "series", "instance"])
async def test_sql_finds_what_the_headers_say(filled: Database, level: str) -> None:
    search = SqlSearch(filled)
    for rules, wanted in itertools.product(RULES, ASKED):
        found = {one["0020000D"]["Value"][0] for one in await search("p", ask(level, rules=rules, **wanted))}
        assert found == {uid for number in range(len(EVERY)) if (uid := by_headers(number, wanted, rules))}, wanted


def by_headers(number: int, wanted: dict[str, str], rules: Rules) -> str:
    header = header_of(number)
    header["00080018"] = {"vr": "UI", "Value": [f"1.{number:03d}.1.1"]}
    header["00080061"] = header["00080060"]
    keys, _ = keys_of(wanted)
    return str(header["0020000D"]["Value"][0]) if matches(header, keys, rules) else ""


async def test_a_range_of_dates_with_one_of_times_is_one_range_of_moments(filled: Database) -> None:
    async with filled.engine.begin() as connection:
        for number, moment in enumerate(
            ["20200101 0930", "20200101 1030", "20200102 08", "20200103 0930", "20200103 11"]
        ):
            date, time = moment.split()
            values = {"study_date": date, "study_time": time, "patient_id": "moments"}
            await connection.execute(STUDY.update().where(STUDY.c.uid == f"1.{number:03d}").values(**values))
    search = SqlSearch(filled)

    async def found(dates: str, times: str) -> list[int]:
        query = ask("study", PatientID="moments", StudyDate=dates, StudyTime=times)
        return [int(one["0020000D"]["Value"][0][2:]) for one in await search("p", query)]

    assert await found("20200101-20200103", "1000-1000") == [1, 2, 3]
    assert await found("20200101-", "1000-") == [1, 2, 3, 4]
    assert await found("-20200103", "-1000") == [0, 1, 2, 3]
    assert await found("20200101-20200103", "0930") == [0, 3]
    assert await found("20200101", "1000-1100") == [1]


async def test_answers_count_and_are_online_at_every_level(filled: Database) -> None:
    for level in ("study", "series", "instance"):
        (one,) = await SqlSearch(filled)("p", ask(level, StudyInstanceUID="1.001"))
        assert one["00080056"]["Value"] == ["ONLINE"]
        assert (one["00201206"]["Value"], one["00201208"]["Value"], one["00080061"]["Value"]) == ([1], [1], ["MR"])
        assert ("00201209" in one) == (level != "study")
        assert one["00080090"] == {"vr": "PN"}


async def test_a_search_that_would_read_too_many_headers_is_refused(filled: Database) -> None:
    search = SqlSearch(filled, scanned=10, max_scanned=20)
    with pytest.raises(SearchTooWide):
        await search("p", ask("instance", PatientAddress="nowhere"))
    assert len(await search("p", ask("instance", PatientAddress="street*", limit=15))) == 15


@pytest.mark.parametrize("wanted", [{}, {"PatientID": "P*"}, {"PatientAddress": "street 1"}])
async def test_pages_put_together_are_the_whole_in_the_same_order(filled: Database, wanted: dict[str, str]) -> None:
    search = SqlSearch(filled)
    whole = await search("p", ask("study", **wanted))
    pages = [await search("p", ask("study", limit=7, offset=at, **wanted)) for at in range(0, 70, 7)]
    assert [one for page in pages for one in page] == whole
    assert await search("other", ask("study", **wanted)) == []


async def test_an_index_of_the_first_version_learns_its_studies(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/ingest.db", METADATA)
    await migrate(database, MIGRATIONS, "0001")
    await fill_old(database)
    await migrate(database, MIGRATIONS)
    found = await SqlSearch(database)("p", ask("study", PatientID="P22", StudyDate="20200131", ModalitiesInStudy="MR"))
    series = await SqlSearch(database)("p", ask("series", SeriesDescription="sax 2"))
    async with database.read() as connection:  # what is being assembled at the upgrade counts on
        assert all(
            row[0] == row[1] > 0 for row in await connection.execute(select(SERIES.c["count"], SERIES.c.changes))
        )
    await database.close()
    assert {one["0008103E"]["Value"][0] for one in series} == {"sax 2"}
    truth = [n for n, (name, date, _) in enumerate(EVERY) if (name, date) == ("P22", "20200131") and n % 3]
    assert [one["0020000D"]["Value"] for one in found] == [[f"1.{number:03d}"] for number in truth]
