"""What you learn here: what QIDO-RS finds by exact, wildcard, range and list matching, and where the objects lie."""

from __future__ import annotations

import json
from typing import Any

import pydicom
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_from_proto
from irp_ingest.domain.matching import Rules, keys_of, matches
from irp_kernel.errors import InvalidArgument

from .conftest import Door, a_short_axis_series


@pytest.mark.parametrize(
    ("vr", "value", "wanted", "expected"),
    [
        ("DA", "20230203", "20230203", True),
        ("DA", "20230203", "20230101-20230301", True),
        ("DA", "20230203", "-20230202", False),
        ("DA", "20230203", "20230203-", True),
        ("TM", "101112.5", "10-11", True),
        ("LO", "CINE SAX", "CINE*", True),
        ("LO", "CINE SAX", "cine*", False),
        ("LO", "CINE SAX", "CINE?SAX", True),
        ("LO", "A[1]", "A[1]*", True),
        ("CS", "MR", "CT", False),
        ("UI", "1.2.3", "1.2.4,1.2.3", True),
        ("UI", "1.2.3", "1.2.4\\1.2.3", True),
        ("IS", "5", "5", True),
        ("LO", "anything", "", True),
    ],
)
def test_matching_follows_the_standard(vr: str, value: str, wanted: str, expected: bool) -> None:
    keys, _ = keys_of({"SeriesDescription": wanted})
    assert matches({"0008103E": {"vr": vr, "Value": [value]}}, keys, Rules()) is expected


def test_alternatives_have_a_bound() -> None:
    keys, _ = keys_of({"SeriesDescription": "\\".join(["x"] * 65)})
    assert not matches({"0008103E": {"vr": "LO", "Value": ["y"]}}, keys, Rules())
    with pytest.raises(InvalidArgument):
        matches({"0008103E": {"vr": "LO", "Value": ["y"]}}, keys, Rules(several=True))


async def test_search_counts_pages_and_includes(door: Door) -> None:
    one = await door.upload(a_short_axis_series(slices=2, phases=2, seed=1))
    two = await door.upload(a_short_axis_series(slices=3, phases=1, seed=2))
    studies = await door.search("study")
    assert sorted(s["00201208"]["Value"][0] for s in studies) == [3, 4]
    assert {s["00080061"]["Value"][0] for s in studies} == {"MR"}
    assert len(await door.search("study", ModalitiesInStudy="CT")) == 0
    assert len(await door.search("study", ModalitiesInStudy="MR")) == 2
    (series,) = await door.search("series", SeriesInstanceUID=one[0].series_uid)
    assert series["00201209"]["Value"] == [4]
    (found,) = await door.search("instance", **{"00080018": two[0].sop_instance_uid})
    assert found["0020000E"]["Value"] == [two[0].series_uid]
    pages = [(await door.search("instance", limit=3, offset=at)) for at in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert len({i["00080018"]["Value"][0] for page in pages for i in page}) == 7
    request = pb.SearchRequest(project=door.project, level="series", include_fields=["Manufacturer", "00189999"])
    answers = (await door.client.call(door.stub.Search, request)).dicom_json
    assert [json.loads(answer)["00080070"]["Value"] for answer in answers] == [["ACME"], ["ACME"]]


async def test_search_by_the_original_identifier_finds_nothing_and_by_the_pseudonym_the_patient(door: Door) -> None:
    (outcome,) = await door.upload(a_short_axis_series(slices=1, phases=1))
    patient = (await door.series(outcome.series_uid)).series.patient
    assert await door.search("study", PatientID="PLANTED-4711") == []
    assert len(await door.search("study", PatientID=patient)) == 1
    assert len(await door.search("study", PatientName=f"{patient[:5]}*")) == 1


async def located(door: Door, **uids: Any) -> list[pb.LocateResponse]:
    request = pb.LocateRequest(project=door.project, **uids)
    return [found async for found in door.client.stream(door.stub.Locate, request)]


async def test_locate_finds_objects_and_metadata_at_every_level(door: Door) -> None:
    outcomes = await door.upload(a_short_axis_series(slices=2, phases=1))
    uids = {"study_uid": outcomes[0].study_uid, "series_uid": outcomes[0].series_uid}
    assert len(await located(door, study_uid=uids["study_uid"])) == 2
    assert len(await located(door, **uids)) == 2
    (found,) = await located(door, **uids, sop_instance_uid=outcomes[1].sop_instance_uid)
    data = await door.objects.get(object_ref_from_proto(found.object))
    instance = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    assert instance.SOPInstanceUID == outcomes[1].sop_instance_uid
    assert instance.file_meta.TransferSyntaxUID == found.transfer_syntax_uid
    assert found.dicom_json == ""
    (found,) = await located(door, **uids, sop_instance_uid=outcomes[1].sop_instance_uid, metadata=True)
    header = json.loads(found.dicom_json)
    assert header["00120062"]["Value"] == ["YES"]
    assert "7FE00010" not in header


async def test_another_projects_token_sees_nothing(door: Door) -> None:
    await door.upload(a_short_axis_series(slices=1, phases=1))
    act_as(Caller(subject="stranger", project="other", roles=frozenset({"owner"})))
    for ask in (door.search("study"), door.upload([b""]), located(door)):
        with pytest.raises(RemoteError) as refused:
            await ask
        assert refused.value.reason == "PERMISSION_DENIED"
