"""What you learn here: identifiers that cannot escape their place, the names of heart segments, and the error tree."""

from __future__ import annotations

import pytest
from irp_kernel import Slug, Uid, object_key, sha256_of
from irp_kernel.errors import IrpError, every_error
from irp_kernel.heart import AHA_SEGMENTS, aha_segment
from irp_kernel.ids import BadIdentifier, Digest, split_model


@pytest.mark.parametrize("bad", ["", "1..2", "1.02", "a.b", "1." + "1" * 64, "1.2/../3", "1.2\n"])
def test_a_malformed_uid_is_refused(bad: str) -> None:
    with pytest.raises(IrpError):
        Uid(bad)


@pytest.mark.parametrize("bad", ["", "A", "a", "-ab", "ab-", "a.b", "../x", "a" * 60, "ab\n"])
def test_a_project_name_cannot_leave_its_folder_or_subject(bad: str) -> None:
    with pytest.raises(IrpError):
        Slug(bad)


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "a b", "ä"])
def test_an_object_key_cannot_be_escaped(part: str) -> None:
    with pytest.raises(IrpError):
        object_key("demo", "series", part, "volume", sha256=sha256_of(b""), extension="nrrd")


def test_the_same_content_has_the_same_key() -> None:
    digest = sha256_of(b"heart")
    key = object_key("demo", "series", "2.25.1", "volume", sha256=digest, extension="nrrd")
    assert key == f"demo/v1/series/2.25.1/volume/{digest[:2]}/{digest}.nrrd"


def test_a_model_is_named_with_or_without_version() -> None:
    assert split_model("cine@3") == ("cine", 3)
    assert split_model("cine") == ("cine", None)
    assert split_model("cine@previous") == ("cine", "previous")


def test_a_version_is_named_by_its_digest() -> None:
    name, version = split_model(f"cine@sha256:{'0f' * 32}")
    assert (name, version) == ("cine", Digest(f"sha256:{'0f' * 32}"))
    assert isinstance(version, Digest)
    assert version.hex == "0f" * 32


@pytest.mark.parametrize("bad", ["0", "-1", "01", "1e9", "٣", "newest", "sha256:", "sha256:" + "0F" * 32, "a" * 64])
def test_what_names_no_version_is_refused(bad: str) -> None:
    with pytest.raises(BadIdentifier):
        split_model(f"cine@{bad}")


def test_segments_are_named_as_the_aha_names_them() -> None:
    assert len(AHA_SEGMENTS) == 17
    expected = {1: "basal anterior", 3: "basal inferoseptal", 7: "mid anterior", 14: "apical septal", 17: "apex"}
    assert {number: aha_segment(number).name for number in expected} == expected


def test_every_error_has_a_title_and_says_what_to_do_next() -> None:
    for error in every_error():
        assert error.title(), error
        if error.__module__.startswith("irp_"):
            assert error.advice(), f"{error.__qualname__} gives no advice"


def test_reasons_are_unique() -> None:
    reasons = [error.reason for error in every_error() if error.__module__.startswith("irp_")]
    assert len(reasons) == len(set(reasons))
