"""What you learn here: a range cuts a file as RFC 9110 says, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irp_gateway.domain.errors import RangeNotSatisfiable
from irp_gateway.domain.ranges import is_known, wanted_range

FILE = bytes(range(256))


@given(st.integers(0, 255), st.integers(0, 1000))
def test_first_and_last_are_both_included(first: int, more: int) -> None:
    cut = wanted_range(f"bytes={first}-{first + more}", len(FILE))
    assert cut is not None
    start, length = cut
    assert FILE[start : start + length] == FILE[first : first + more + 1]


@given(st.integers(1, 1000))
def test_a_suffix_is_counted_from_the_end(length: int) -> None:
    cut = wanted_range(f"bytes=-{length}", len(FILE))
    assert cut is not None
    assert FILE[cut[0] : cut[0] + cut[1]] == FILE[-length:]


@pytest.mark.parametrize("header", ["", "bytes=-", "bytes=9-3", "lines=1-2", "bytes=0-1,4-5", "bytes=a-b"])
def test_what_is_no_single_range_of_bytes_gives_the_whole(header: str) -> None:
    assert wanted_range(header, len(FILE)) is None


@pytest.mark.parametrize("header", ["bytes=256-", "bytes=-0", "bytes=999-1000"])
def test_what_lies_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable, match="256 bytes"):
        wanted_range(header, len(FILE))


def test_a_known_version_is_recognised_among_several() -> None:
    assert is_known('"a", W/"b"', '"b"')
    assert is_known("*", '"b"')
    assert not is_known("", '"b"')
