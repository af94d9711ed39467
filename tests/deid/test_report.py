"""What you learn here: the report tells of every element what became of it and why, and never a value."""

from __future__ import annotations

import json

import pytest
from irp_deid import Change, PositiveList, Profile, Report, deidentify, deidentify_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from .builders import KEY, an_instance, to_bytes

LISTED = PositiveList.of({"name": "mr", "version": 3, "attributes": ["SeriesDescription", "StudyDate"]})


def a_report(profile: Profile | None = None, **attributes: object) -> Report:
    return deidentify_file(to_bytes(an_instance(**attributes)), KEY, profile or Profile.of(), detailed=True)[1]


def test_every_element_is_told_with_its_place_its_fate_and_the_rule() -> None:
    item = Dataset()
    item.ScheduledProcedureStepDescription, item.ScheduledProcedureStepID = "cine of Quixote", "4711"
    original = an_instance(RequestAttributesSequence=Sequence([item]), ImageComments="Quixote", ReceiveCoilName="b")
    original.private_block(0x0029, "QUIXOTE PRIVATE", create=True).add_new(0x01, "LO", "Alonso")
    found = {
        c.path: (c.keyword, c.action, c.why) for c in deidentify(original, KEY, Profile(), detailed=True).report.changes
    }
    assert len(found) >= len(original)
    assert found["00204000"] == ("ImageComments", "emptied", "option 113105: C")
    assert found["00080020"] == ("StudyDate", "cleaned", "option 113107: C")
    assert found["00181250"] == ("ReceiveCoilName", "kept", "not in Table E.1-1: short text loses what identifies")
    assert found["00291001"] == ("", "removed", "private, not on the safe list")
    assert found["00400275[0].00400007"] == ("ScheduledProcedureStepDescription", "cleaned", "option 113105: C")
    assert found["00100010"][1] == found["00120062"][1] == "replaced"
    assert found["7FE00010"][:2] == ("PixelData", "kept")


def test_details_cost_nothing_unless_they_are_asked_for() -> None:
    _, report = deidentify_file(to_bytes(an_instance()), KEY, Profile.of())
    assert report.changes == ()
    assert report.actions["kept"] > 5


def test_a_report_survives_json_and_names_engine_edition_options_and_list() -> None:
    report = a_report(Profile.of(codes=["113107"], positive_list=LISTED, vocabulary=["tako"]))
    document = report.to_dict()
    assert Report.from_dict(json.loads(json.dumps(document))) == report
    assert document["options"] == ["113107"]
    assert document["positive_list"] == f"mr 3 {LISTED.digest}"
    assert document["vocabulary"] == 1
    assert json.dumps(document) == json.dumps(
        a_report(Profile.of(codes=["113107"], positive_list=LISTED, vocabulary=["tako"])).to_dict()
    )


@pytest.mark.parametrize("wrong", [{}, {"schema": 2}, {"schema": 1}, {"schema": 1, "engine": "x"}])
def test_what_is_no_report_is_not_read(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="report"):
        Report.from_dict(wrong)


def test_reports_never_say_a_value() -> None:
    report = a_report(SeriesDescription="Dulcinea", StudyID="windmill", PatientComments="Toboso")
    assert not any(
        word in repr(report) for word in ("Quixote", "LM-1605", "Dulcinea", "windmill", "Toboso", "16050116")
    )
    assert isinstance(report.changes[0], Change)
