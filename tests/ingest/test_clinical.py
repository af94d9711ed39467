"""What you learn here: clinical values join images by pseudonym, and identifiers come in but never stay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1.events_pb2 import ClinicalRecorded
from irp_chassis.verdicts import RemoteError
from irp_ingest.adapters.db import CLINICAL
from irp_ingest.domain.clinical import MAX_REFUSALS, read_bundle, read_table
from irp_ingest.domain.errors import ClinicalNotReadable
from sqlalchemy import select

from .conftest import CONFIGURATION, PLANTED, Door, a_short_axis_series

ENDPOINTS: list[dict[str, Any]] = CONFIGURATION["endpoints"]
LVEF = {"coding": [{"system": "http://loinc.org", "code": "10230-1"}]}


def an_observation(value: Any = 43.5, *, unit: str = "%", at: str = "2023-02-03", patient: str = "Patient/p1") -> Any:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": LVEF,
        "subject": {"reference": patient},
        "effectiveDateTime": at,
        "valueQuantity": {"value": value, "unit": unit},
    }


def a_bundle(*resources: Any) -> bytes:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"value": PLANTED["PatientID"]}],
        "name": [{"family": "Planted"}],
        "gender": "female",
    }
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in (patient, *resources)]}).encode()


def test_a_bundle_gives_values_and_the_latest_one_counts() -> None:
    found = read_bundle(a_bundle(an_observation(43.5), an_observation(20, at="2020-01-01")), ENDPOINTS)
    assert found.values == {PLANTED["PatientID"]: {"lvef": 43.5}}
    assert found.categories == {PLANTED["PatientID"]: {"sex": "F"}}
    assert found.refused == []


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (an_observation(0.43, unit="ratio"), "entry 1: lvef has another unit than the project's"),
        (an_observation("high"), "entry 1: lvef is not a number"),
        (an_observation(patient="Patient/nobody"), "entry 1: its patient is not in the Bundle"),
        ({**an_observation(), "code": {"text": "LVEF"}}, "entry 1: its code is not an endpoint of this project"),
        ({**an_observation(), "status": "entered-in-error"}, "entry 1: it was withdrawn by its author"),
        ({"resourceType": "Condition"}, "entry 1: only Patient and Observation are read"),
    ],
)
def test_what_is_not_taken_is_told_by_its_place(observation: Any, reason: str) -> None:
    found = read_bundle(a_bundle(observation), ENDPOINTS)
    assert found.refused == [reason]
    assert found.values == {}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_by_its_header(separator: str) -> None:
    rows = [["id", "lvef", "nickname", "sex"], ["007", "43.5", "Jim", "M"], ["", "1", "", ""], ["8", "x", "", "F"]]
    body = "\r\n".join(separator.join(row) for row in rows).encode("utf-8-sig")
    found = read_table(body, ENDPOINTS)
    assert found.values == {"007": {"lvef": 43.5}}
    assert found.categories == {"007": {"sex": "M"}, "8": {"sex": "F"}}
    assert found.refused == [
        "column 3: not an endpoint of this project",
        "row 3: no patient identifier",
        "row 4: lvef is not a number",
    ]
    assert "Jim" not in str(found)


@pytest.mark.parametrize("text", ["3.2.1951", "1951-02", "id4711", "19510203"])
def test_a_category_that_may_identify_somebody_is_refused(text: str) -> None:
    assert read_table(f"id,sex\nid4711,{text}".encode(), ENDPOINTS).categories == {}


def test_a_category_outside_those_declared_is_refused() -> None:
    endpoints = [{"name": "nyha", "type": "category", "categories": ["I", "II"]}]
    found = read_table(b"id,nyha\n1,II\n2,Miller", endpoints)
    assert found.categories == {"1": {"nyha": "II"}}
    assert found.refused == ["row 3: nyha is not one of its categories"]


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"id\n1"])
def test_what_is_no_table_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ClinicalNotReadable):
        read_table(body, ENDPOINTS)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["resourceType", "resource", "code", "coding", "subject", "identifier", "valueQuantity"]),
        inner | st.sampled_from(["Patient", "Observation", LVEF]), max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_bundle_is_read_or_refused(entry: Any) -> None:
    found = read_bundle(json.dumps({"resourceType": "Bundle", "entry": entry}).encode(), ENDPOINTS)
    assert len(found.refused) <= MAX_REFUSALS


async def test_clinical_values_join_the_images_by_pseudonym_and_no_identifier_is_kept(
    door: Door, tmp_path: Path
) -> None:
    (image,) = await door.upload(a_short_axis_series(slices=1, phases=1), site="north")
    patient = (await door.series(image.series_uid)).series.patient
    body = f"patient,lvef,sex\n{PLANTED['PatientID']},43.5,F".encode()
    request = pb.RecordClinicalRequest(project=door.project, site="north", media_type="text/csv", body=body)
    answer = await door.client.call(door.stub.RecordClinical, request)
    assert (answer.patients, answer.values, list(answer.refused)) == (1, 2, [])
    await door.client.call(door.stub.RecordClinical, request)
    facts = [fact async for fact in clinical_facts(door)]
    assert [(f.patient, dict(f.values), dict(f.categories), f.aggregate.version) for f in facts] == [
        (patient, {"lvef": 43.5}, {"sex": "F"}, 1)
    ]
    assert PLANTED["PatientID"].encode() not in everything_in(tmp_path)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def clinical_facts(door: Door) -> Any:
    """What the room keeps: the fact itself may have left the outbox already."""
    async with door.room.database.read() as connection:
        for row in await connection.execute(select(CLINICAL)):
            fact = ClinicalRecorded(patient=row.patient, values=row.values, categories=row.categories)
            fact.aggregate.version = row.version
            yield fact


async def test_a_media_type_that_is_not_read_is_refused(door: Door) -> None:
    request = pb.RecordClinicalRequest(project=door.project, site="north", media_type="image/png", body=b"x")
    with pytest.raises(RemoteError) as refused:
        await door.client.call(door.stub.RecordClinical, request)
    assert refused.value.reason == "UNSUPPORTED_MEDIA_TYPE"
