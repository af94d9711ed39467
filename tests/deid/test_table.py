"""What you learn here: every row of Table E.1-1 under every option, at the top, one and three sequences deep.

The expectation is read from the table's codes alone (PS3.15 Table E.1-1a), not from the engine.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from irp_deid import OPTIONS, Profile, deidentify
from irp_deid.profile import Option
from irp_deid.quiet import quietly
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from .builders import KEY, an_instance

CONTAINER = Tag(0x0008, 0x1200)  # Studies Containing Other Referenced Instances Sequence: the table does not name it
SECRET, UID_SECRET = "Quixote", "1.2.826.0.1.3680043.9.77"
PLANTED: dict[str, Any] = {
    "DA": "20230203", "DT": "20230203101112", "TM": "101112", "AS": "071Y", "DS": "71.5", "IS": "7151",
    "PN": "Quixote^Alonso", "UI": UID_SECRET, "UR": "http://quixote.example", "CS": "QUIXOTE", "AE": "QUIXOTE",
    "OB": b"Quixote!", "OW": b"Quixote!", "UN": b"Quixote!", "US": 7151, "UL": 7151, "SS": 7151, "SL": 7151,
    "FL": 71.5, "FD": 71.5, "AT": 0x00100010,
}  # fmt: skip
ALLOWED = {
    "X": {"absent"}, "Z": {"empty"}, "D": {"other"}, "K": {"same"}, "U": {"mapped"}, "X/Z": {"absent", "empty"},
    "X/D": {"absent", "other"}, "Z/D": {"empty", "other"}, "X/Z/D": {"absent", "empty", "other"},
    "X/Z/U*": {"absent", "empty", "other"}, "C": {"empty", "other", "absent"},
}  # fmt: skip
# In an instance these three say whose and which it is; the engine writes them itself.
WRITTEN = {0x00100010, 0x00100020, 0x00080018}
EVERY_OPTION = [None, *OPTIONS]


def rows() -> list[dict[str, str]]:
    text = resources.files("irp_deid").joinpath("data/table_e1_1.tsv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", restval=""))


def tag_of(row: dict[str, str]) -> Tag:
    return Tag(int(row["tag"].replace("xxxxxx", "000030").replace("xx", "00"), 16))


def an_element(tag: Tag) -> DataElement:
    vr = dictionary_VR(tag).split(" or ")[0] if dictionary_has_tag(tag) else "LO"
    if vr == "SQ":
        item = Dataset()
        item.PatientComments, item.OperatorsName = f"{SECRET} was here", PLANTED["PN"]
        item.ReferencedSOPInstanceUID = UID_SECRET
        return DataElement(tag, vr, Sequence([item]))
    return DataElement(tag, vr, PLANTED.get(vr, f"{SECRET} was here"))


def elements() -> Iterator[DataElement]:
    for row in rows():
        tag = tag_of(row)
        if tag.group >= 0x0008 and tag not in {0x00080018, 0x0020000D, 0x0020000E}:
            with quietly():
                yield an_element(tag)


def nested(depth: int) -> Dataset:
    """An instance whose every attribute of the table lies so many sequences deep."""
    ds = inner = an_instance()
    for _ in range(depth):
        item = Dataset()
        inner[CONTAINER] = DataElement(CONTAINER, "SQ", Sequence([item]))
        inner = item
    for element in elements():
        inner[element.tag] = element
    ds.PatientName = PLANTED["PN"]  # so that the file says which word is a name
    return ds


def found(original: DataElement, result: Dataset) -> str:
    """What became of an element: absent, empty, same, mapped (UID) or other."""
    if original.tag not in result:
        return "absent"
    element = result[original.tag]
    if element.is_empty:
        return "empty"
    if original.VR == "UI" and element.value == KEY.uid(UID_SECRET):
        return "mapped"
    if original.VR == "SQ":
        return "leaks" if says_secret(element) else "other"
    return "same" if element.value == original.value else "other"


def says_secret(element: DataElement) -> bool:
    with quietly():
        return SECRET.lower() in str(element).lower()


def wanted(row: dict[str, str], option: Option | None, vr: str) -> set[str]:
    code = (option and row.get(option.column)) or row["basic"]
    if not dictionary_has_tag(tag_of(row)) or row["tag"].startswith("50"):
        return {"absent"}  # nobody knows how to read it; curves cannot be cleaned
    if row["tag"].startswith("60"):
        return {"absent"}  # this overlay is no region
    if code == "C" and vr == "TM":
        return {"same"}  # times of day stay when dates move
    if vr == "UN":
        return {"absent"}
    if vr == "SQ" and code == "K":
        return {"other"}  # "kept" means cleaned, for sequences
    if vr == "UI" and "D" in code:
        return ALLOWED[code] | {"mapped"}
    return ALLOWED[code]


def test_the_edition_has_as_many_rows_as_are_tested() -> None:
    assert len(rows()) == 655
    assert len(list(elements())) == 648
    assert CONTAINER not in {tag_of(row) for row in rows()}


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("code", EVERY_OPTION)
def test_every_row_does_what_its_code_says(code: str | None, depth: int) -> None:
    option = OPTIONS[code] if code else None
    with quietly():
        result = deidentify(nested(depth), KEY, Profile.of(codes=[code] if code else [])).dataset
        for _ in range(depth):
            result = result[CONTAINER].value[0]
        by_tag = {element.tag: element for element in elements()}
        wrong = [
            (row["tag"], row["keyword"], by_tag[tag].VR, row["basic"], option and row.get(option.column), is_now)
            for row in rows()
            if (tag := tag_of(row)) in by_tag and not (depth == 0 and tag in WRITTEN)
            for is_now in [found(by_tag[tag], result)]
            if is_now not in wanted(row, option, by_tag[tag].VR)
        ]
    assert wrong == []


@pytest.mark.parametrize("code", EVERY_OPTION)
def test_cleaned_is_not_what_it_was(code: str | None) -> None:
    """Of all that was planted, only what an option retains still says the name."""
    option = OPTIONS[code] if code else None
    kept = {tag_of(row) for row in rows() if option and row.get(option.column) == "K"}
    with quietly():
        result = deidentify(nested(1), KEY, Profile.of(codes=[code] if code else [])).dataset[CONTAINER].value[0]
        assert [str(e.tag) for e in result if e.tag not in kept and says_secret(e)] == []
