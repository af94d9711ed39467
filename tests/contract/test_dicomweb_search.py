"""What you learn here: which questions QIDO-RS takes, as dicomweb-client and OHIF ask them, and what an answer says."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from .conftest import PROJECT, House, is_problem
from .test_dicomweb import a_client, a_file, a_form

STUDIES = {
    # name: patient's name, date, time, description
    "one": ("Pseudo^Anna", "20240110", "081500", "CINE sax"),
    "two": ("Pseudo^Berta", "20240111", "093000", "LGE [late]"),
    "three": ("Cesar", "20240312", "220000", ""),
}


def a_studys_file(name: str, *, modality: str = "MR", step: str = "S1") -> bytes:
    ds = dcmread(io.BytesIO(a_file(0, f"search-{name}", modality)))
    ds.PatientName, ds.StudyDate, ds.StudyTime, ds.StudyDescription = STUDIES[name]
    ds.PatientID, ds.Modality, ds.SeriesDescription = f"P-{name}", modality, f"series {modality}"
    ds.InstanceNumber, ds.Manufacturer = 1, "ACME"
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, f"R-{step}"
    ds.RequestAttributesSequence = [item]
    buffer = io.BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def web(house: House, admin: httpx.Client) -> str:
    assert admin.post("/api/v1/projects", json=PROJECT | {"name": "search"}).status_code == 201
    web = f"{house.url}/api/v1/projects/search/dicom-web"
    files = [a_studys_file("one"), a_studys_file("one", modality="CT"), a_studys_file("two", step="S2")]
    assert admin.post(f"{web}/studies", **a_form(*files, a_studys_file("three"))).status_code == 200
    return web


def uid_of(name: str) -> str:
    return str(generate_uid(entropy_srcs=[f"search-{name}"]))


def names_in(found: list[dict[str, Any]]) -> set[str]:
    names = {uid_of(name): name for name in STUDIES}
    return {names[one["0020000D"]["Value"][0]] for one in found}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"one", "two", "three"}),
        ({"PatientID": "P-one"}, {"one"}),
        ({"00100020": "P-one"}, {"one"}),
        ({"0020000d": uid_of("two")}, {"two"}),
        ({"StudyInstanceUID": f"{uid_of('one')},{uid_of('two')}"}, {"one", "two"}),
        ({"StudyInstanceUID": [uid_of("one"), uid_of("three")]}, {"one", "three"}),
        ({"StudyInstanceUID": f"{uid_of('one')}\\{uid_of('two')}"}, {"one", "two"}),
        ({"StudyDate": "20240110-20240111"}, {"one", "two"}),
        ({"StudyDate": "-20240110"}, {"one"}),
        ({"StudyDate": "20240111-"}, {"two", "three"}),
        ({"StudyTime": "08-0930"}, {"one", "two"}),
        ({"PatientName": "*anna*"}, {"one"}),
        ({"PatientName": "pseudo^?????"}, {"two"}),
        ({"StudyDescription": "CINE*"}, {"one"}),
        ({"StudyDescription": "cine*"}, set()),
        ({"StudyDescription": "LGE [[]*"}, set()),
        ({"StudyDescription": "LGE [*"}, {"two"}),
        ({"PatientID": "*"}, {"one", "two", "three"}),
        ({"PatientID": ""}, {"one", "two", "three"}),
        ({"ModalitiesInStudy": "CT"}, {"one"}),
        ({"ModalitiesInStudy": "CT\\MR"}, {"one", "two", "three"}),
        ({"ModalitiesInStudy": "CT,SEG"}, {"one"}),
        ({"RequestAttributesSequence.ScheduledProcedureStepID": "S2"}, {"two"}),
        ({"00400275.00401001": "R-S2"}, {"two"}),
        ({"PatientID": "P-one", "StudyDate": "20240112-"}, set()),
    ],
)
def test_dicomweb_client_finds_studies_by(web: str, filters: dict[str, Any], expected: set[str]) -> None:
    assert names_in(a_client(web).search_for_studies(search_filters=filters)) == expected


def test_fuzzy_empty_and_several_values_match_where_they_are_asked_for(web: str) -> None:
    client = a_client(web)

    def found(fuzzymatching: bool | None = None, *, also: str = "", **filters: str) -> set[str]:
        more = {also: "true"} if also else None
        return names_in(client.search_for_studies(fuzzymatching, search_filters=filters, additional_params=more))

    assert found(PatientName="ann") == set()
    assert found(True, PatientName="ann") == {"one"}
    assert found(StudyDescription='""') == set()
    assert found(also="emptyvaluematching", StudyDescription='""') == {"three"}
    assert found(PatientID="P-one\\P-two") == set()
    assert found(also="multiplevaluematching", PatientID="P-one\\P-t*") == {"one", "two", "three"}


@pytest.mark.parametrize("form", ["repeated", "with commas"])
def test_further_attributes_come_by_keyword_or_tag_and_only_those_of_the_level(web: str, form: str) -> None:
    fields = ["PatientIdentityRemoved", "StudyDescription", "00180015", "Manufacturer", "SOPInstanceUID", "nonsense"]
    client: DICOMwebClient = a_client(web)
    asked = fields if form == "repeated" else [",".join(fields)]
    (study,) = client.search_for_studies(search_filters={"PatientID": "P-two"}, fields=asked)
    assert study["00081030"]["Value"] == ["LGE [late]"]
    assert not {"00080018", "0020000E", "00080070"} & set(study)
    (series,) = client.search_for_series(uid_of("two"), fields=asked)
    assert series["00080070"]["Value"] == ["ACME"]
    assert "00080018" not in series
    (instance,) = client.search_for_instances(uid_of("two"), fields=["all"])
    assert instance["00080070"]["Value"] == ["ACME"]
    (study,) = client.search_for_studies(search_filters={"PatientID": "P-two"}, fields=["all"])
    assert "00080018" not in study


def test_every_answer_has_what_the_tables_require(web: str, admin: httpx.Client) -> None:
    # Source: PS3.18 tables 10.6.3-3, 10.6.3-4 and 10.6.3-5: R and U
    study = {"00080020", "00080030", "00080050", "00080061", "00080090", "00081190", "00100010", "00100020", "00100030"}
    study |= {"00100040", "0020000D", "00200010"}
    series = {"00080060", "00081190", "0020000E", "00200011"}
    instance = {"00080016", "00080018", "00081190", "00200013"}
    client = a_client(web)
    (found,) = client.search_for_studies(search_filters={"PatientID": "P-three"})
    assert study <= set(found)
    assert found["00080050"] == {"vr": "SH"}
    (found,) = client.search_for_series(uid_of("three"))
    assert series | study <= set(found)
    assert found["0008103E"]["Value"] == ["series MR"]
    assert found["00400275"]["Value"][0]["00400009"]["Value"] == ["S1"]
    (found,) = client.search_for_instances(uid_of("three"))
    assert instance | series <= set(found)
    assert found["00280010"]["Value"] == [64]
    assert admin.get(found["00081190"]["Value"][0], headers={"Accept": "application/dicom"}).status_code == 200


def test_no_match_is_an_empty_list_and_a_cut_answer_says_so(web: str, admin: httpx.Client) -> None:
    none = admin.get(f"{web}/studies?PatientID=nobody")
    assert (none.status_code, none.json()) == (200, [])
    assert "warning" not in none.headers
    pages = [admin.get(f"{web}/studies?limit=1&offset={at}") for at in range(4)]
    assert ["warning" in page.headers for page in pages] == [True, True, False, False]
    assert [len(page.json()) for page in pages] == [1, 1, 1, 0]
    assert len({page.json()[0]["0020000D"]["Value"][0] for page in pages[:3]}) == 3
    assert admin.get(f"{web}/studies?limit=0").json() == []
    assert len(a_client(web).search_for_studies(limit=1, get_remaining=True)) == 3


def test_what_is_no_attribute_is_said_and_what_is_no_number_is_refused(web: str, admin: httpx.Client) -> None:
    answer = admin.get(f'{web}/studies?PatientNam=x&accept=application/json&odd"%0d%0ax=1&limit=1')
    assert answer.status_code == 200
    assert "not matched: PatientNam" in answer.headers["warning"]
    assert "odd" not in answer.headers["warning"]
    many = "&".join(f"0010{number:04X}=x" for number in range(65))
    for query in ("limit=-1", "offset=x", "limit=1.5", many):
        is_problem(admin.get(f"{web}/studies?{query}"), 400, "QUERY_NOT_VALID")
    is_problem(admin.get(f"{web}/studies?PatientID=P%00"), 400, "INVALID_ARGUMENT")  # no address has a NUL


def test_the_study_list_of_ohif_is_answered(web: str, admin: httpx.Client) -> None:
    asked = {
        "PatientName": "*pseudo*", "PatientID": "*P-*", "StudyDescription": "*", "AccessionNumber": "", "limit": "101",
        "ModalitiesInStudy": "MR", "StudyDate": "20240101-20240131", "offset": "0", "fuzzymatching": "false",
        "includefield": "00081030,00080060",
    }  # fmt: skip
    found = admin.get(f"{web}/studies", params=asked).json()
    assert names_in(found) == {"one", "two"}
    series = admin.get(f"{web}/studies/{uid_of('one')}/series?includefield=0008103E").json()
    assert sorted(one["00080060"]["Value"][0] for one in series) == ["CT", "MR"]
