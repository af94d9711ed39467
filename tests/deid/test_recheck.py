"""What you learn here: how a file that claims to be de-identified is believed, or not."""

from __future__ import annotations

import io

import pydicom
import pytest
from irp_deid import Change, Profile, deidentify_file, recheck
from irp_deid.errors import BurnedInAnnotation
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from .builders import KEY, an_instance, another_key, to_bytes

PROFILE = Profile.of()


def a_clean_file(profile: Profile = PROFILE, **attributes: object) -> Dataset:
    data, _ = deidentify_file(to_bytes(an_instance(**attributes)), KEY, profile)
    return pydicom.dcmread(io.BytesIO(data))


def problems(ds: Dataset, profile: Profile = PROFILE) -> list[tuple[str, str]]:
    file = io.BytesIO()
    pydicom.dcmwrite(file, ds, enforce_file_format=True)
    return [(one.path, one.action) for one in recheck(file.getvalue(), KEY, profile)]


def a_rich_instance() -> dict[str, object]:
    reference, request = Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
    request.RequestedProcedureDescription, request.StudyInstanceUID = "MR of Quixote", "1.2.3"
    return {
        "SeriesDescription": "cine of Quixote",
        "InstitutionName": "Toboso",
        "CreatorVersionUID": "1.2.3.9",  # no row of the table: replaced by default
        "ReferencedImageSequence": Sequence([reference]),
        "RequestAttributesSequence": Sequence([request]),
        "AcquisitionDateTime": "20230203101112",
        "SoftwareVersions": ["14", "removed"],
        "DeviceSerialNumber": "4711",
    }


@pytest.mark.parametrize(
    "profile",
    [PROFILE, Profile.of(codes=[]), Profile.of(codes=["113106", "113108", "113109", "113110", "113112"])],
)
def test_what_the_engine_made_is_believed(profile: Profile) -> None:
    assert problems(a_clean_file(profile, **a_rich_instance()), profile) == []


def test_another_sites_key_is_believed_too_for_keys_cannot_be_seen() -> None:
    file = io.BytesIO()
    pydicom.dcmwrite(file, a_clean_file(), enforce_file_format=True)
    assert recheck(file.getvalue(), another_key(), PROFILE) == ()


@pytest.mark.parametrize(
    ("keyword", "value", "problem"),
    [
        ("PatientID", "LM-1605", ("00100020", "replaced")),
        ("PatientName", "Quixote^Alonso", ("00100010", "replaced")),
        ("PatientBirthDate", "16050116", ("00100030", "emptied")),
        ("StudyInstanceUID", "1.2.826.0.1.3680043.9.1", ("0020000D", "replaced")),
        ("SeriesDescription", "cine for Dulcinea", ("0008103E", "cleaned")),
        ("PatientComments", "tall", ("00104000", "emptied")),
        ("ReceiveCoilName", "coil 20230203", ("00181250", "cleaned")),
        ("AcquisitionDate", "2023", ("00080022", "emptied")),
        ("PatientIdentityRemoved", "NO", ("00120062", "replaced")),
    ],
)
def test_what_the_engine_would_still_change_is_told_by_its_place(
    keyword: str, value: str, problem: tuple[str, str]
) -> None:
    ds = a_clean_file()
    setattr(ds, keyword, value)
    assert problem in problems(ds)


def test_places_deep_inside_and_private_ones_are_looked_at() -> None:
    ds, item, inner = a_clean_file(), Dataset(), Dataset()
    inner.OperatorsName, item.ReferencedImageSequence = "Panza^Sancho", Sequence([inner])
    ds.ReferencedSeriesSequence = Sequence([item])
    ds.private_block(0x0029, "QUIXOTE PRIVATE", create=True).add_new(0x01, "LO", "Alonso")
    assert problems(ds) == [
        ("00081115[0].00081140[0].00081070", "replaced"),
        ("00290010", "removed"),
        ("00291001", "removed"),
    ]


def test_the_statement_of_what_was_done_must_name_this_profile() -> None:
    assert ("00120064", "replaced") in problems(a_clean_file(Profile.of(codes=[])))
    ds = a_clean_file()
    del ds.DeidentificationMethodCodeSequence
    assert problems(ds) == [("00120064", "missing")]


def test_preamble_and_file_meta_information_are_looked_at() -> None:
    ds = a_clean_file()
    ds.preamble = b"Quixote".ljust(128, b"\x00")
    ds.file_meta.SourceApplicationEntityTitle = "QUIXOTE"
    ds.file_meta.ImplementationVersionName = "QUIXOTE"
    assert problems(ds) == [("preamble", "emptied"), ("00020016", "removed"), ("00020013", "replaced")]


def test_problems_never_say_a_value_and_are_bounded() -> None:
    ds = a_clean_file()
    ds.ReferencedImageSequence = Sequence([an_instance() for _ in range(60)])
    file = io.BytesIO()
    pydicom.dcmwrite(file, ds, enforce_file_format=True)
    found = recheck(file.getvalue(), KEY, PROFILE)
    assert len(found) == 100
    assert "Quixote" not in repr(found)
    assert isinstance(found[0], Change)


def test_what_must_not_enter_is_refused_as_ever() -> None:
    ds = a_clean_file()
    ds.BurnedInAnnotation = "YES"
    with pytest.raises(BurnedInAnnotation):
        problems(ds)
