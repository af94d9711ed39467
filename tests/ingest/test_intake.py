"""What you learn here: what a project's configuration says about de-identification reaches the workers."""

from __future__ import annotations

import io
import pickle

import pydicom
import pytest
from irp_deid import Profile
from irp_deid.errors import RecordingNotTaken
from irp_ingest.domain.intake import Order, take_in

from tests.deid.builders import KEY, an_instance, to_bytes

SECTION = {
    "profile": "basic",
    "options": ["113105", "113107"],
    "positive_list": {"name": "ours", "version": 2, "attributes": ["SeriesDescription"]},
    "vocabulary": ["tako"],
}


def an_order() -> Order:
    profile = Profile.from_configuration(SECTION)
    order = Order(
        site_key=KEY.key,
        options=frozenset(option.code for option in profile.options),
        sequences=[],
        study_uid="",
        positive_list=profile.positive_list,
        vocabulary=profile.vocabulary,
    )
    carried: Order = pickle.loads(pickle.dumps(order))
    return carried


def test_positive_list_and_vocabulary_are_followed_in_the_workers() -> None:
    intake = take_in(to_bytes(an_instance(SeriesDescription="Tako of Quixote", EchoTime="1.5")), an_order())
    ds = pydicom.dcmread(io.BytesIO(intake.data))
    assert ds.SeriesDescription == "Tako of"
    assert "EchoTime" not in ds
    assert intake.patient == ds.PatientID == KEY.pseudonym("LM-1605")
    assert intake.header["0008103E"]["Value"] == ["Tako of"]


def test_what_must_not_enter_is_refused_with_its_reason() -> None:
    with pytest.raises(RecordingNotTaken):
        take_in(to_bytes(an_instance(SOPClassUID=pydicom.uid.RawDataStorage)), an_order())


def test_a_suspect_comes_with_its_doubt() -> None:
    intake = take_in(to_bytes(an_instance(SOPClassUID=pydicom.uid.SecondaryCaptureImageStorage)), an_order())
    assert intake.doubt is not None
    assert (intake.doubt.reason, intake.doubt.rows, intake.doubt.frames) == ("SECONDARY_CAPTURE", 2, 1)
