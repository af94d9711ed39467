"""What you learn here: the swift walk over bytes and the walk over datasets leave the same, and tell the same.

The walk over datasets reads with pydicom and is tested against the table; so the swift one is, too.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_deid import PositiveList, Profile, deidentify_file, quietly
from irp_deid.errors import InstanceRefused
from irp_deid.part10 import over_bytes, over_dataset
from irp_deid.tokens import MAX_DEPTH, Odd, Tokens
from irp_kernel.errors import IrpError
from pydicom.data import get_testdata_files
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from .builders import KEY, an_instance, to_bytes

EVERYTHING = Profile.of(
    codes=["113103", "113104", "113105", "113106", "113108", "113109", "113110", "113111", "113112"]
)
LISTED = PositiveList.of(
    {
        "name": "ours",
        "version": 1,
        "attributes": [
            *("SeriesDescription", "EchoTime", "ReferencedImageSequence", "CodeValue", "ReferencedSOPInstanceUID"),
            {"creator": "SIEMENS MR HEADER", "element": "0019,xx0C"},
        ],
    }
)
PROFILES = [Profile.of(), Profile.of(codes=[]), EVERYTHING, Profile.of(positive_list=LISTED, vocabulary=["quixote"])]


def written(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    pydicom.dcmwrite(
        file, ds, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True
    )
    return file.getvalue()


def outcome(way: Any, data: bytes, profile: Profile) -> tuple[Any, Any]:
    with quietly():
        try:
            made, report = way(data, KEY, profile, detailed=True)
        except IrpError as refused:
            return type(refused), None
        return made, report.to_dict()


def agree(data: bytes, profile: Profile) -> str:
    """Compare both ways; says what kind of file it was."""
    try:
        swift, said = outcome(over_bytes, data, profile)
    except Exception as odd:
        assert isinstance(odd, Odd | TypeError | ValueError)  # noqa: PT017 - the other way decides
        return "odd"
    slow, also_said = outcome(over_dataset, data, profile)
    assert said == also_said
    if isinstance(swift, type):
        assert swift is slow
        return "refused"
    if swift != slow:
        with quietly():
            one, other = pydicom.dcmread(io.BytesIO(swift)), pydicom.dcmread(io.BytesIO(slow))
            assert one == other
            assert one.file_meta == other.file_meta
    return "same"


def test_files_of_many_makers_come_out_alike() -> None:
    kinds: Counter[str] = Counter()
    paths = sorted(path for path in map(Path, get_testdata_files("**/*")) if path.is_file())
    for number, path in enumerate(path for path in paths if path.stat().st_size < 60_000):
        kinds[agree(path.read_bytes(), PROFILES[number % 4])] += 1
    assert kinds["same"] > 60
    assert kinds["odd"] < kinds["same"]


@pytest.mark.parametrize("tag", [0x00010000, 0x00010012, 0x00031101, 0x00070010])
def test_groups_that_no_dataset_may_have_come_out_alike(tag: int) -> None:
    # PS3.5 section 7.8.1: groups 0001, 0003, 0005 and 0007 are no private groups; found by turning a bit.
    element = tag.to_bytes(4, "little")[2:] + tag.to_bytes(4, "little")[:2] + b"LO\x04\x00Anna"
    data = written(an_instance())
    begin = data.index(b"\x08\x00\x16\x00UI")  # the first element of the dataset
    for profile in PROFILES:
        assert agree(data[:begin] + element + data[begin:], profile) == "same"


def test_synthetic_patients_come_out_alike() -> None:
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("IRP_SHARED_DATA", root.parent / "shared" / "data")) / "dicom_deid" / "dicognito"
    if not folder.exists():
        pytest.skip("dicom_deid is not here: set IRP_SHARED_DATA")
    kinds = Counter(agree(path.read_bytes(), Profile.of()) for path in sorted(folder.glob("*.dcm")))
    assert kinds["same"] > 5


TEXTS = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"], exclude_characters="\\^="), max_size=16)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "DA": st.dates(date(1900, 1, 1)).map(lambda d: f"{d:%Y%m%d}") | st.just("2023"),
    "DT": st.datetimes(datetime(1900, 1, 1)).map(lambda d: f"{d:%Y%m%d%H%M%S.%f}") | st.just("202302"),
    "TM": st.times().map(lambda t: f"{t:%H%M%S.%f}") | st.just("7 o'clock"),
    "PN": st.tuples(TEXTS, TEXTS).map("^".join),
    "UI": st.from_regex(r"1\.2\.[1-9][0-9]{0,9}", fullmatch=True) | st.just("1.2.840.10008.1.1"),
    "DS": st.floats(-1e6, 1e6).map(lambda f: f"{f:.6g}"),
    "IS": st.integers(-(2**31), 2**31 - 1).map(str),
    "US": st.integers(0, 2**16 - 1),
    "UL": st.integers(0, 2**32 - 1),
    "FD": st.floats(allow_nan=False),
    "CS": st.sampled_from(["MR", "ORIGINAL", "QUIXOTE", "a-b", "123456"]),
    "OB": st.binary(max_size=9).map(lambda b: b + b"\x00" * (len(b) % 2)),
    **dict.fromkeys(["LO", "SH", "LT", "ST", "UT", "UC"], TEXTS),
}
KEYWORDS = [
    *("SeriesDescription", "PatientComments", "ReceiveCoilName", "StudyDate", "AcquisitionDateTime", "ContentTime"),
    *("OperatorsName", "ReferringPhysicianName", "FrameOfReferenceUID", "EchoTime", "SeriesNumber", "PatientAge"),
    *(
        "BodyPartExamined",
        "CodeValue",
        "CodingSchemeDesignator",
        "CodeMeaning",
        "TextValue",
        "StationName",
        "PatientID",
    ),
    *("ReferencedSOPInstanceUID", "LongCodeValue", "NominalCardiacTriggerDelayTime"),
    *(
        "RequestedProcedureDescription",
        "DateOfSecondaryCapture",
        "ICCProfile",
        "AccessionNumber",
        "ReferencedFrameNumbers",
    ),
]
SEQUENCES = [
    *("ReferencedImageSequence", "RequestAttributesSequence", "ViewCodeSequence", "OtherPatientIDsSequence"),
    *("ReferencedPatientSequence", "AnatomicRegionSequence", "StudiesContainingOtherReferencedInstancesSequence"),
]
PRIVATE = [
    ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS"),
    ("GEMS_PARM_01", 0x0043, 0x6F, "DS"),
    ("QUIXOTE", 0x0011, 0x01, "LO"),
]


@st.composite
def datasets(draw: st.DrawFn, depth: int = 0) -> Dataset:
    ds = Dataset()
    for keyword in draw(st.lists(st.sampled_from(KEYWORDS), max_size=8, unique=True)):
        vr = dictionary_VR(keyword) if keyword in pydicom.datadict.keyword_dict else None
        if vr in VALUES:
            ds.add(DataElement(pydicom.datadict.tag_for_keyword(keyword), vr, draw(VALUES[vr])))  # type: ignore[arg-type]
    if draw(st.booleans()):
        creator, group, element, vr = draw(st.sampled_from(PRIVATE))
        ds.private_block(group, creator, create=True).add_new(element, vr, draw(VALUES[vr]))
    for keyword in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2 if depth < 3 else 0, unique=True)):
        items = draw(st.lists(datasets(depth=depth + 1), max_size=2))
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
        setattr(ds, keyword, Sequence(items))
        ds[keyword].is_undefined_length = draw(st.booleans())
    return ds


@given(
    inside=datasets(),
    syntax=st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
    charset=st.sampled_from(["", "ISO_IR 100", "ISO_IR 192"]),
    profile=st.sampled_from(PROFILES),
)
@settings(max_examples=80, deadline=None)
def test_any_dataset_comes_out_alike(inside: Dataset, syntax: str, charset: str, profile: Profile) -> None:
    with quietly():
        ds = an_instance(SpecificCharacterSet=charset)
        ds.update(inside)
        try:
            data = written(ds, syntax)
        except (UnicodeError, ValueError):
            return
    assert agree(data, profile) in {"same", "refused"}


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_broken_bytes_are_read_by_neither_or_by_both(data: st.DataObject) -> None:
    whole = bytearray(written(an_instance(ReferencedImageSequence=Sequence([an_instance()]))))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    agree(bytes(whole), Profile.of())


@pytest.mark.parametrize("cut", [1, 3, 7, 9, 12])
def test_a_dataset_that_ends_early_is_no_work_for_the_swift_way(cut: int) -> None:
    data = to_bytes(an_instance())
    begin = data.index(b"\x08\x00\x16\x00UI")
    with pytest.raises(Odd):
        Tokens(data[:-cut], explicit=True).dataset(begin)


def test_sequences_deeper_than_the_limit_are_left_to_the_other_way() -> None:
    inner = Dataset()
    for _ in range(MAX_DEPTH + 1):
        outer = Dataset()
        outer.ReferencedImageSequence = Sequence([inner])
        inner = outer
    ds = an_instance()
    ds.update(inner)
    assert agree(written(ds), Profile.of()) == "odd"


def test_deflated_and_tolerated_files_still_come_through() -> None:
    ds = an_instance()
    data = written(ds, DeflatedExplicitVRLittleEndian)
    assert agree(data, Profile.of()) == "odd"
    made, _ = deidentify_file(data, KEY, Profile.of())
    assert pydicom.dcmread(io.BytesIO(made)).PatientID == KEY.pseudonym("LM-1605")
    with pytest.raises(InstanceRefused):
        deidentify_file(data[:400], KEY, Profile.of())
