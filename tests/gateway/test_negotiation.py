"""What you learn here: which media type a client gets for its Accept header, and how cursors are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irp_gateway.domain.cursor import from_cursor, number_of, to_cursor
from irp_gateway.domain.negotiation import choose
from irp_gateway.domain.stow_answer import stow_answer
from irp_kernel.errors import CursorNotValid, NotAcceptable

NIFTI, NRRD, DICOM = "application/x-nifti", "application/x-nrrd", "application/dicom"
OFFERED = (NIFTI, NRRD, DICOM)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", NIFTI),
        ("*/*", NIFTI),
        ("application/*", NIFTI),
        (NRRD, NRRD),
        ("APPLICATION/X-NRRD", NRRD),
        (f"{NIFTI};q=0.5, {NRRD}", NRRD),
        (f"text/html, {DICOM};q=0.1", DICOM),
        (f"{NIFTI};q=0, */*", NRRD),  # an exact "no" goes before a general "yes"
        (f'multipart/related; type="a,b", {DICOM}', DICOM),
        ("*/*;q=x, application/x-nrrd;q=0.2", NRRD),
    ],
)
def test_the_wish_that_fits_best_wins(accept: str, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize("accept", ["image/png", "application/x-nifti;q=0", "*/*;q=0", "nonsense"])
def test_what_cannot_be_given_is_refused_with_what_can(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        choose(accept, OFFERED)
    assert NRRD in refused.value.message


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=64))
def test_a_cursor_comes_back_as_it_was(position: str) -> None:
    assert from_cursor(to_cursor(position)) == position


@pytest.mark.parametrize(
    "cursor", ["%%%", "a", to_cursor("name"), to_cursor("-1"), to_cursor("9" * 30), "é", to_cursor("a\0")]
)
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(CursorNotValid):
        number_of(cursor)


def an_outcome(**more: object) -> dict[str, object]:
    said = {"study_uid": "1", "series_uid": "2", "sop_instance_uid": "3", "sop_class_uid": "4", "failure_reason": 0}
    return said | {"reason": ""} | more


def test_stow_answers_by_what_became_of_each_instance() -> None:
    stored, refused = an_outcome(), an_outcome(failure_reason=0xA900, reason="X" * 100, sop_class_uid="")
    assert stow_answer([stored], "http://h")[0] == 200
    status, body = stow_answer([stored, refused], "http://h")
    assert status == 202
    assert body["00081190"]["Value"] == ["http://h/studies/1"]
    assert body["00081199"]["Value"][0]["00081190"]["Value"] == ["http://h/studies/1/series/2/instances/3"]
    (failed,) = body["00081198"]["Value"]
    assert "00081150" not in failed
    assert len(failed["00000902"]["Value"][0]) == 64  # LO has at most 64 characters
    assert stow_answer([refused], "http://h")[0] == 409
    assert "00081190" not in stow_answer([stored, an_outcome(study_uid="9")], "http://h")[1]
