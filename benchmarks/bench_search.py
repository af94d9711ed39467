"""QIDO-RS on a large index: 1,000,000 instances in 10,000 studies (IRP_BENCH_STUDIES changes it), SQLite.

Seeds ingest's tables, asks what frontends ask, prints p50 and p95 of each query; JSON goes to out/bench/search.json.
A database of IRP_BENCH_DATABASE_URL is seeded once, and stays.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench_house import keep
from irp_chassis.db import Database
from irp_chassis.migrate import migrate
from irp_chassis.room import keep_out_of_collections
from irp_ingest.adapters.criteria import study_columns
from irp_ingest.adapters.db import INSTANCE, METADATA, SERIES, STUDY
from irp_ingest.adapters.search import Query, SqlSearch
from irp_ingest.domain.matching import Rules
from sqlalchemy import func, select

ROOT = Path(__file__).resolve().parents[1]
STUDIES = int(os.environ.get("IRP_BENCH_STUDIES", "10000"))
SERIES_EACH, INSTANCES_EACH, REPEATS = 4, 25, 60
PROJECT = "bench"


def uid(*numbers: int) -> str:
    """A UID that tells study, series and instance apart."""
    return ".".join(["2.25", *(str(10_000_000 + number) for number in numbers)])


def header_of(study: int, series: int, instance: int) -> dict[str, Any]:
    """A DICOM JSON header of ordinary size."""
    found = {
        "00080020": ("DA", f"20{10 + study % 15}{1 + study % 12:02d}{1 + study % 28:02d}"),
        "00080030": ("TM", f"{study % 24:02d}1500"),
        "00080060": ("CS", "MR" if study % 5 else "CT"),
        "00081030": ("LO", f"cardiac stress {study % 50}"),
        "0008103E": ("LO", f"cine sax {series}"),
        "00100010": ("PN", {"Alphabetic": f"P{study % 4000:05d}"}),
        "00100020": ("LO", f"P{study % 4000:05d}"),
        "0020000D": ("UI", uid(study)),
        "0020000E": ("UI", uid(study, series)),
        "00080018": ("UI", uid(study, series, instance)),
        "00200013": ("IS", instance + 1),
        **{f"0018{number:04X}": ("DS", number / 7) for number in range(0x50, 0x78)},
    }
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in found.items()}


def rows_of(study: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every row of one study."""
    first = header_of(study, 0, 0)
    yield STUDY, {"project": PROJECT, "uid": uid(study), "header": first, **study_columns(first)}
    for series in range(SERIES_EACH):
        named = {"project": PROJECT, "study_uid": uid(study)}
        state = dict.fromkeys(("reason", "message"), "") | {"state": "assembled", "queued": True, "version": 1}
        times = {"quiet_until": 0.0, "arrived_at": 0.0, "count": INSTANCES_EACH, "project_ref": {}, "result": None}
        header = header_of(study, series, 0)
        more = {"uid": uid(study, series), "header": header, "modality": header["00080060"]["Value"][0]}
        more["description"] = header["0008103E"]["Value"][0]
        yield SERIES, {**named, "patient": "P", "site": "S", **state, **times, **more}
        for instance in range(INSTANCES_EACH):
            own = {"series_uid": uid(study, series), "sop_uid": uid(study, series, instance)}
            rest: dict[str, Any] = {
                "sop_class": "1.2",
                "transfer_syntax": "1.2",
                "fingerprint": "f",
                "object": {},
                "plane": None,
            }
            yield INSTANCE, {**named, **own, **rest, "candidates": [], "header": header_of(study, series, instance)}


async def seed(database: Database) -> None:
    """Fill the tables, 200 studies per transaction."""
    for begin in range(0, STUDIES, 200):
        by_table: dict[Any, list[dict[str, Any]]] = {}
        for study in range(begin, min(begin + 200, STUDIES)):
            for table, row in rows_of(study):
                by_table.setdefault(table, []).append(row)
        async with database.engine.begin() as connection:
            for table, rows in by_table.items():
                await connection.execute(table.insert(), rows)
        print(f"\r{min(begin + 200, STUDIES):6d} of {STUDIES} studies", end="", flush=True)
    print()


def questions(rng: random.Random) -> dict[str, Query]:
    """What frontends ask; another study each time."""

    def ask(level: str, **wanted: Any) -> Query:
        own = {name: wanted.pop(name, "") for name in ("study_uid", "series_uid")}
        page = {
            "limit": wanted.pop("limit", 101),
            "offset": wanted.pop("offset", 0),
            "rules": Rules(fuzzy=wanted.pop("fuzzy", False)),
        }
        return Query(level=level, include=["00081030", "00080060"], wanted=wanted, **own, **page)

    study = rng.randrange(STUDIES)
    return {
        "study list, first page": ask("study"),
        "study list, deep page": ask("study", offset=STUDIES // 2),
        "studies of a patient": ask("study", PatientID=f"P{study % 4000:05d}"),
        "studies by name, fuzzy": ask("study", PatientName=f"{study % 4000:05d}", fuzzy=True),
        "studies of a month": ask("study", StudyDate="20150101-20150131"),
        "studies with a modality": ask("study", ModalitiesInStudy="CT"),
        "studies, modality and month": ask("study", ModalitiesInStudy="CT,SEG", StudyDate="20150101-20151231"),
        "studies by name, anywhere": ask("study", PatientName=f"*{study % 400:03d}*"),
        "studies by description": ask("study", StudyDescription="*stress 7"),
        "series of a study": ask("series", study_uid=uid(study)),
        "series of it, one modality": ask("series", study_uid=uid(study), Modality="MR"),
        "series by its UID alone": ask("series", SeriesInstanceUID=uid(study, 2)),
        "series of a kind nobody has": ask("series", Modality="SEG"),
        "series of a patient": ask("series", PatientID=f"P{study % 4000:05d}"),
        "series by description": ask("series", SeriesDescription="cine sax 3"),
        "series by words nobody wrote": ask("series", SeriesDescription="*tagging*"),
        "instances, first page": ask("instance"),
        "instances, deep page": ask("instance", offset=STUDIES * 50),
        "instances of a study": ask("instance", study_uid=uid(study)),
        "instances of a patient": ask("instance", PatientID=f"P{study % 4000:05d}"),
        "instances of two series": ask("instance", SeriesInstanceUID=f"{uid(study, 1)},{uid(study, 2)}"),
        "instance by its number": ask("instance", study_uid=uid(study), series_uid=uid(study, 1), InstanceNumber="7"),
        "instances of a series": ask("instance", study_uid=uid(study), series_uid=uid(study, 1)),
        "an instance": ask("instance", SOPInstanceUID=uid(study, 1, 2)),
    }


async def measure(search: SqlSearch) -> dict[str, dict[str, float]]:
    """p50 and p95 in milliseconds."""
    rng = random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in questions(rng)}
    for _ in range(REPEATS):
        for name, query in questions(rng).items():
            began = time.perf_counter()
            await search(PROJECT, query)
            times[name].append((time.perf_counter() - began) * 1000)
    return {
        name: {"p50_ms": round(float(np.median(own)), 1), "p95_ms": round(float(np.percentile(own, 95)), 1)}
        for name, own in times.items()
    }


async def main() -> None:
    """Seed (unless the file is there), ask, print."""
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("IRP_BENCH_DATABASE_URL", f"sqlite+aiosqlite:///{folder}/ingest.db")
        database = Database(url, METADATA)
        await migrate(database, "irp_ingest.adapters.migrations")
        async with database.read() as connection:
            seeded = (await connection.execute(select(func.count()).select_from(STUDY))).scalar_one()
        if seeded != STUDIES:
            await seed(database)
        keep_out_of_collections()
        found = await measure(SqlSearch(database))
        await database.close()
    for name, own in found.items():
        print(f"{name:28s} p50 {own['p50_ms']:7.1f} ms   p95 {own['p95_ms']:7.1f} ms")
    keep("search", {"studies": STUDIES, "queries": found})


if __name__ == "__main__":
    asyncio.run(main())
