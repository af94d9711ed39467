"""What you learn here: a multipart body is cut into its parts however the network cuts it, in constant memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irp_gateway.domain.errors import MultipartBroken
from irp_gateway.domain.multipart import (
    MAX_HEADER_BYTES,
    PartBegins,
    PartData,
    PartEnds,
    Splitter,
    boundary_of,
    parameters_of,
)

B = "0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"  # what dicomweb-client sends


def parts_of(body: bytes, sizes: list[int], boundary: str = B) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a body that comes in pieces of these sizes, the last one repeated."""
    splitter, parts, at = Splitter(boundary.encode()), [], 0
    headers, data = {}, b""
    for index in range(len(body) + 1):
        size = max(1, sizes[min(index, len(sizes) - 1)])
        for event in splitter.feed(body[at : at + size]):
            match event:
                case PartBegins(found):
                    headers, data = found, b""
                case PartData(piece):
                    data += piece
                case PartEnds():
                    parts.append((headers, data))
        at += size
        if at >= len(body):
            break
    splitter.finish()
    return parts


def body_of(*files: bytes, preamble: bytes = b"\r\n", end: bytes = b"", header: bytes = b"Content-Type: a/b") -> bytes:
    parts = [b"--" + B.encode() + b"\r\n" + header + b"\r\n\r\n" + file + b"\r\n" for file in files]
    return preamble + b"".join(parts) + b"--" + B.encode() + b"--" + end


tricky = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\r", b"\n", b"--", b"\r\n--", b"\r\n--" + B[:20].encode(), b"x"]), max_size=20).map(
        b"".join
    ),
)


@given(files=st.lists(tricky, min_size=1, max_size=4), sizes=st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_files_come_out_as_they_went_in_however_they_are_cut(files: list[bytes], sizes: list[int]) -> None:
    assert [data for _, data in parts_of(body_of(*files), sizes)] == files


@pytest.mark.parametrize("preamble", [b"", b"\r\n", b"This is a message in MIME format.\r\n"])
@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\nan epilogue that nobody reads" * 100])
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_what_stands_before_and_after_is_left_out(preamble: bytes, end: bytes, size: int) -> None:
    assert parts_of(body_of(b"one", b"", preamble=preamble, end=end), [size]) == [
        ({"content-type": "a/b"}, b"one"),
        ({"content-type": "a/b"}, b""),
    ]


def test_a_part_may_have_no_headers_and_blanks_may_follow_a_boundary() -> None:
    body = f"--{B} \t\r\n\r\nplain\r\n--{B}--".encode()
    assert parts_of(body, [3]) == [({}, b"plain")]


def test_memory_stays_small_while_a_large_part_flows_through() -> None:
    splitter = Splitter(B.encode())
    list(splitter.feed(body_of(b"")[: -len(B) - 6] + b"--"))
    splitter = Splitter(B.encode())
    list(splitter.feed(f"--{B}\r\n\r\n".encode()))
    for _ in range(100):
        (event,) = splitter.feed(bytes(1 << 16))
        assert isinstance(event, PartData)
        assert len(splitter._buffer) < 100


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        body_of(b"cut")[:-2],
        body_of(b"cut")[:60],
        f"--{B}garbage\r\n\r\nx\r\n--{B}--".encode(),
        f"--{B}{' ' * 300}\r\n\r\nx\r\n--{B}--".encode(),
        f"--{B}\r\nA: {'x' * MAX_HEADER_BYTES}\r\n\r\nx\r\n--{B}--".encode(),
    ],
)
@pytest.mark.parametrize("size", [5, 10**6])
def test_what_is_no_multipart_body_is_refused(body: bytes, size: int) -> None:
    with pytest.raises(MultipartBroken):
        parts_of(body, [size])


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        (f'multipart/related; type="application/dicom"; boundary="{B}"', B),
        ("multipart/related;boundary=abc;type=x", "abc"),
        ('Multipart/Form-Data; Boundary="a b;c,d"', "a b;c,d"),
    ],
)
def test_the_boundary_is_read_quoted_or_not(header: str, boundary: str) -> None:
    assert boundary_of(header) == boundary.encode()


@pytest.mark.parametrize(
    "header", ["", "multipart/related", "text/plain; boundary=a", f"multipart/x; boundary={'a' * 71}"]
)
def test_without_a_boundary_nothing_is_read(header: str) -> None:
    with pytest.raises(MultipartBroken):
        boundary_of(header)


def test_quoted_parameters_keep_their_quotes_and_commas() -> None:
    found = parameters_of(r'form-data; name="mask"; filename="a \"b\", c.nii.gz"')
    assert found == {"name": "mask", "filename": 'a "b", c.nii.gz'}
