"""What you learn here: a positive list takes everything away that it does not name, and never keeps more."""

from __future__ import annotations

import io

import pydicom
import pytest
from irp_deid import PositiveList, Profile, deidentify_file
from irp_deid.errors import VocabularyNotValid
from irp_deid.positive import NEEDED
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from .builders import KEY, an_instance, to_bytes


def listed(*attributes: object, version: int = 1) -> PositiveList:
    return PositiveList.of({"name": "ours", "version": version, "attributes": list(attributes)})


def cleaned(ds: Dataset, *attributes: object, codes: tuple[str, ...] = ("113105", "113107", "113111")) -> Dataset:
    profile = Profile.of(codes=codes, positive_list=listed(*attributes))
    return pydicom.dcmread(io.BytesIO(deidentify_file(to_bytes(ds), KEY, profile)[0]))


def test_only_what_is_listed_and_what_makes_an_image_stays() -> None:
    ds = cleaned(an_instance(EchoTime="1.5", FlipAngle="45", SeriesDescription="cine"), "EchoTime", "(0008,103E)")
    assert (ds.EchoTime, ds.SeriesDescription, ds.Rows, ds.PixelData) == (1.5, "cine", 2, bytes(range(8)))
    assert {int(e.tag) for e in ds} <= NEEDED | {0x00180081, 0x0008103E}
    assert "FlipAngle" not in ds
    assert "StudyDate" not in ds


def test_to_be_listed_weakens_no_rule() -> None:
    original = an_instance(SeriesDescription="cine of Quixote", PatientAge="071Y", OtherPatientIDs="LM-1605")
    block = original.private_block(0x0029, "QUIXOTE PRIVATE", create=True)
    block.add_new(0x01, "LO", "Alonso")
    private = {"creator": "QUIXOTE PRIVATE", "element": "0029,xx01"}
    ds = cleaned(original, "SeriesDescription", "PatientAge", "OtherPatientIDs", "PatientName", private)
    assert ds.SeriesDescription == "cine of"
    assert "Quixote" not in str(ds)
    assert "PatientAge" not in ds
    assert [e.tag for e in ds if e.tag.is_private] == []


def test_items_of_a_listed_sequence_are_filtered_by_the_same_list() -> None:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = pydicom.uid.MRImageStorage, "1.2.3"
    original = an_instance(ReferencedImageSequence=Sequence([item]), SourceImageSequence=Sequence([item]))
    ds = cleaned(original, "ReferencedImageSequence", "ReferencedSOPInstanceUID")
    assert "SourceImageSequence" not in ds
    (kept,) = ds.ReferencedImageSequence
    assert kept.ReferencedSOPInstanceUID == KEY.uid("1.2.3")
    assert "ReferencedSOPClassUID" not in kept


def test_safe_private_attributes_and_regions_stay_only_if_they_are_listed() -> None:
    original = an_instance()
    original.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
    original.add_new(0x60000040, "CS", "R")
    original.add_new(0x60003000, "OW", b"\x05\x00")
    codes = ("113104", "113111")
    without = cleaned(original, "EchoTime", codes=codes)
    assert [e.tag for e in without if e.tag.is_private or e.tag.group == 0x6000] == []
    siemens = {"creator": "SIEMENS MR HEADER", "element": "0019,xx0C"}
    kept = cleaned(original, siemens, "60xx", codes=codes)
    assert kept[0x60003000].value == b"\x05\x00"
    assert kept[0x0019100C].value == 1000


def test_the_digest_tells_lists_apart_and_not_how_they_are_written() -> None:
    assert listed("EchoTime", "Rows").digest == listed("0028,0010", "00180081").digest
    assert listed("EchoTime").digest != listed("FlipAngle").digest
    assert str(listed("EchoTime", version=4)).startswith("ours 4 ")


def test_words_of_the_project_stay_in_descriptors_unless_they_name_the_patient() -> None:
    profile = Profile.of(vocabulary=["Tako", "Quixote", "T2prep"])
    original = an_instance(SeriesDescription="T2prep tako of Quixote by Sancho", ImageComments="TAKO, LM-1605")
    ds = pydicom.dcmread(io.BytesIO(deidentify_file(to_bytes(original), KEY, profile)[0]))
    assert ds.SeriesDescription == "T2prep tako of by"
    assert ds.ImageComments == "TAKO"


@pytest.mark.parametrize("words", [["no way"], ["12345"], ["x" * 33], [7], ["ok"], ["a23456"], ["word"] * 501])
def test_a_vocabulary_holds_words_only(words: list[object]) -> None:
    with pytest.raises(VocabularyNotValid) as refused:
        Profile.of(vocabulary=words)  # type: ignore[arg-type]
    assert "vocabulary" in refused.value.message
    assert "no way" not in refused.value.message
