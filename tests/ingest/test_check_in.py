"""What you learn here: what an uploader's report may make ingest believe, and what is looked at all the same."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pydicom
import pytest
from irp_deid import ProjectSecret
from irp_deid.declared import Declared
from irp_deid.errors import RefusedByRule, ReportNotReadable
from irp_deid.uploads import Treated
from irp_ingest.domain.check_in import check_in
from irp_ingest.domain.declared import opened
from irp_ingest.domain.errors import NotDeidentified, NotInReport, ReportOutdated, StudyMismatch
from irp_ingest.domain.intake import Intake, Order
from irp_kernel import sha256_of
from irp_kernel.signed import SignatureNotValid

from .conftest import CONFIGURATION, a_short_axis_series
from .uploader import Uploader

SECRET = ProjectSecret(bytes(range(32)))
ORIGINAL = a_short_axis_series(slices=1, phases=1)[0]


def an_uploader(site: str = "north") -> Uploader:
    return Uploader(SECRET.site_key(site), project="hearts", revision=1, configuration="c" * 64)


def checked_in(data: bytes, listed: Treated, sha256: str = "", study_uid: str = "", pixels: Any = ()) -> Intake:
    """As if the report listed these bytes."""
    said = Declared(original=listed.original, sequences=listed.sequences)
    order = Order(
        site_key=SECRET.site_key("north").key,
        options=frozenset(CONFIGURATION["deidentification"]["options"]),
        sequences=CONFIGURATION["sequences"],
        study_uid=study_uid,
        declared={sha256 or sha256_of(data): said, "0" * 64: said},
        pixels=pixels,
    )
    return check_in(data, order.about(data))


def spoilt(data: bytes, keyword: str, value: str) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(data))
    assert ds.PatientIdentityRemoved == "YES"
    setattr(ds, keyword, value)
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_a_listed_file_is_kept_byte_by_byte_under_the_originals_fingerprint() -> None:
    data, listed = an_uploader().treat(ORIGINAL)
    intake = checked_in(data, listed)
    assert (intake.data, intake.sha256, intake.fingerprint) == (data, listed.sha256, listed.original)
    assert [rule["class"] for rule in intake.candidates] == ["cine-sax"]


def test_numbers_of_rules_that_do_not_exist_are_not_believed() -> None:
    data, listed = an_uploader().treat(ORIGINAL)
    said = Declared(original=listed.original, sequences=(-1, 7, 0, 0))
    order = Order(
        site_key=SECRET.site_key("north").key,
        options=frozenset(CONFIGURATION["deidentification"]["options"]),
        sequences=CONFIGURATION["sequences"],
        study_uid="",
        declared={listed.sha256: said},
    )
    assert [rule["class"] for rule in check_in(data, order).candidates] == ["cine-sax"]


def test_bytes_that_the_report_does_not_list_are_refused() -> None:
    data, listed = an_uploader().treat(ORIGINAL)
    with pytest.raises(NotInReport):
        checked_in(data[:-2] + b"\x01\x01", listed, sha256=listed.sha256)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Planted^Patricia"),
        ("PatientID", "PLANTED-4711"),
        ("InstitutionName", "Plantedhospital"),
        ("StudyDescription", "Mrs Planted"),
        ("StudyInstanceUID", "1.2.840.99.1"),
    ],
)
def test_what_was_left_in_a_listed_file_refuses_it_and_is_not_told(keyword: str, value: str) -> None:
    data, listed = an_uploader().treat(ORIGINAL)
    with pytest.raises(NotDeidentified) as refused:
        checked_in(spoilt(data, keyword, value), listed)
    assert value not in f"{refused.value} {refused.value.details}"
    assert refused.value.details["places"]


def test_a_study_in_the_address_may_be_the_original_or_the_new_one() -> None:
    data, listed = an_uploader().treat(ORIGINAL)
    for study in (str(pydicom.dcmread(io.BytesIO(ORIGINAL)).StudyInstanceUID), listed.study_uid):
        assert checked_in(data, listed, study_uid=study).study_uid == listed.study_uid
    with pytest.raises(StudyMismatch):
        checked_in(data, listed, study_uid="1.2.3")


def test_a_report_is_believed_from_the_holder_of_the_sites_key_only() -> None:
    north, south = an_uploader(), an_uploader("south")
    _, listed = north.treat(ORIGINAL)
    document = north.report([listed])
    _, declared = opened(north.signed(document), north.rules, north.key)
    assert declared == {listed.sha256: Declared(original=listed.original, sequences=(0,))}
    with pytest.raises(SignatureNotValid):
        opened(south.signed(document), north.rules, north.key)
    with pytest.raises(ReportOutdated):
        opened(south.signed(document), south.rules, south.key)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"profile": {"name": "basic", "options": [], "positive_list": "", "vocabulary": 0}}, ReportOutdated),
        ({"configuration": "0" * 64}, ReportOutdated),
        ({"project": "another"}, ReportOutdated),
        ({"engine": {"edition": "of tomorrow", "version": 99}}, ReportOutdated),
        ({"schema": 9}, ReportNotReadable),
        ({"by": "ingest"}, ReportNotReadable),
        ({"instances": [{"sha256": "x"}]}, ReportNotReadable),
        ({"instances": 5}, ReportNotReadable),
        ({"instances": [None]}, ReportNotReadable),
        ({"note": "of Patricia"}, ReportNotReadable),
        ({"at": "Patricia"}, ReportNotReadable),
        ({"refused": {"of Patricia": 1}}, ReportNotReadable),
        ({"refused": {"NOT_DICOM": True}}, ReportNotReadable),
        ({"treatments": [{"actions": {}, "removed": ["Patricia"]}]}, ReportNotReadable),
    ],
)
def test_a_report_of_other_rules_or_another_form_is_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    north = an_uploader()
    with pytest.raises(error):
        opened(north.signed(north.report([], **changes)), north.rules, north.key)


def test_a_report_has_a_largest_size() -> None:
    north = an_uploader()
    with pytest.raises(ReportNotReadable):
        opened("a" * ((4 << 20) + 1), north.rules, north.key)


def test_what_arrives_deidentified_is_judged_by_the_rules_about_pixels_all_the_same() -> None:
    data, listed = an_uploader().treat(ORIGINAL)
    rule = {"when": {"Modality": "^MR$"}, "then": {"mask": [[0, 0, 4, 4]]}}
    masked = checked_in(data, listed, pixels=[rule])
    pixels = pydicom.dcmread(io.BytesIO(masked.data)).pixel_array
    assert masked.doubt is None
    assert len(set(pixels[:4, :4].flat)) == 1
    apart = checked_in(data, listed, pixels=[rule | {"then": "quarantine"}])
    assert apart.doubt is not None
    assert apart.doubt.reason == "RULE"
    with pytest.raises(RefusedByRule):
        checked_in(data, listed, pixels=[rule | {"then": "refuse"}])


def test_a_suspect_that_arrives_deidentified_waits_for_a_person() -> None:
    ds = pydicom.dcmread(io.BytesIO(ORIGINAL))
    ds.BurnedInAnnotation = "YES"
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    uploader = an_uploader()
    uploader.rules = replace(uploader.rules, profile=uploader.rules.profile.with_suspects())
    intake = checked_in(*uploader.treat(file.getvalue()))
    assert intake.doubt is not None
    assert intake.doubt.reason == "BURNED_IN_ANNOTATION"
