"""What you learn here: a voxel holds what the scanner measured, whatever way the file stores and shows it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from irp_ingest.domain.errors import NotAssembled, PixelsNotReadable, SeriesInColour
from irp_ingest.domain.pixels import build_volume
from irp_kernel import Geometry, decode_volume
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from .conftest import an_image, to_bytes
from .enhanced import an_enhanced_image


def a_grid(slices: int = 1, rows: int = 2, columns: int = 2) -> Geometry:
    return Geometry.from_dicom(
        position_mm=(0, 0, 0), row_direction=(1, 0, 0), column_direction=(0, 1, 0),
        spacing_mm=(6, 1.5, 1.25), shape=(slices, rows, columns),
    )  # fmt: skip


def values_of(ds: Dataset) -> Any:
    """Voxels of a series of one image."""
    return decode_volume(build_volume([to_bytes(ds)], [[(0, 1)]], a_grid())).array[0, 0]


def stored(kind: str, values: list[int], *, bits: int, **more: Any) -> Dataset:
    ds = an_image(np.zeros((2, 2)))
    array = np.array(values, kind).reshape(2, 2)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = array.itemsize * 8, bits, bits - 1
    ds.PixelRepresentation, ds.PixelData = int(array.dtype.kind == "i"), array.tobytes()
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def a_float(keyword: str, kind: str, values: list[float]) -> Dataset:
    ds = an_image(np.zeros((2, 2)))
    for absent in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, absent)
    ds.BitsAllocated = np.dtype(kind).itemsize * 8
    setattr(ds, keyword, np.array(values, kind).tobytes())
    return ds


@pytest.mark.parametrize(
    ("image", "expected", "kind"),
    [
        pytest.param(stored("<i2", [-5, 0, 7, -32768], bits=16), [-5, 0, 7, -32768], "int16", id="signed"),
        pytest.param(stored("<u2", [0, 1, 2, 65535], bits=16), [0, 1, 2, 65535], "int32", id="above int16"),
        pytest.param(stored("<u4", [0, 1, 2, 2**31], bits=32), [0, 1, 2, 2**31], "float32", id="above int32"),
        pytest.param(stored("<i4", [-9, 0, 1, 2**20], bits=32), [-9, 0, 1, 2**20], "int32", id="32 bits signed"),
        pytest.param(stored("<u1", [0, 1, 200, 255], bits=8), [0, 1, 200, 255], "int16", id="bytes"),
        pytest.param(stored("<u2", [0xF001, 0x1002, 3, 4], bits=12), [1, 2, 3, 4], "int16", id="overlay in high bits"),
        pytest.param(stored("<i2", [0x0FFF, 0x7001, 3, 4], bits=12), [-1, 1, 3, 4], "int16", id="signed in 12 bits"),
        pytest.param(
            stored("<u2", [0, 1, 2, 3], bits=12, PhotometricInterpretation="MONOCHROME1"), [0, 1, 2, 3], "int16",
            id="MONOCHROME1 is how values are shown",
        ),
        pytest.param(
            stored("<i2", [-2000, 1, 2, 3], bits=16, PixelPaddingValue=-2000), [-2000, 1, 2, 3], "int16",
            id="padding stays",
        ),
        pytest.param(
            stored("<u2", [0, 1, 2, 3], bits=12, RescaleSlope=0.5, RescaleIntercept=-1.0), [-1, -0.5, 0, 0.5],
            "float32", id="rescaled",
        ),
        pytest.param(a_float("FloatPixelData", "<f4", [-1.5, 0, 2, 3]), [-1.5, 0, 2, 3], "float32", id="float"),
        pytest.param(a_float("DoubleFloatPixelData", "<f8", [0.25, 0, 2, 3]), [0.25, 0, 2, 3], "float32", id="double"),
    ],
)  # fmt: skip
def test_values_are_what_was_measured(image: Dataset, expected: list[float], kind: str) -> None:
    values = values_of(image)
    assert values.ravel().tolist() == expected
    assert values.dtype == kind


def a_table() -> Dataset:
    table = Dataset()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [4, 0, 16], bytes(8), "US"
    return table


def in_colour(interpretation: str) -> Dataset:
    ds = stored("<u1", [0, 0, 0, 0], bits=8, PhotometricInterpretation=interpretation)
    if interpretation != "PALETTE COLOR":
        ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PixelData = 3, 0, bytes(12)
    return ds


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (in_colour("RGB"), SeriesInColour),
        (in_colour("YBR_FULL"), SeriesInColour),
        (in_colour("PALETTE COLOR"), SeriesInColour),
        (a_float("FloatPixelData", "<f4", [np.nan, 0, 0, 0]), PixelsNotReadable),
        (a_float("DoubleFloatPixelData", "<f8", [np.inf, 0, 0, 0]), PixelsNotReadable),
        (a_float("DoubleFloatPixelData", "<f8", [1e300, 0.5, 0, 0]), PixelsNotReadable),
        (stored("<u2", [0, 1, 2, 3], bits=12, RescaleSlope=0, RescaleIntercept=0), PixelsNotReadable),
        (stored("<u2", [0, 1, 2, 3], bits=12, ModalityLUTSequence=[a_table()]), PixelsNotReadable),
    ],
)
def test_what_is_no_measured_grey_value_is_refused_with_its_reason(image: Dataset, reason: type[NotAssembled]) -> None:
    with pytest.raises(reason):
        values_of(image)


@pytest.mark.parametrize("packed", [False, True])
def test_each_frame_has_its_own_rescaling_and_only_wanted_frames_are_taken(packed: bool) -> None:
    pixels = np.arange(12).reshape(3, 2, 2)
    ds = an_enhanced_image(pixels, [(0, 0, z) for z in range(3)], rescalings=[(1, 0), (2, 1), (3, -1)])
    file = compressed(to_bytes(ds)) if packed else to_bytes(ds)
    array = decode_volume(build_volume([file], [[(0, 3), (0, 2)]], a_grid(slices=2))).array[0]
    assert np.array_equal(array, [pixels[2] * 3 - 1, pixels[1] * 2 + 1])


def compressed(file: bytes) -> bytes:
    ds, buffer = dcmread(io.BytesIO(file)), io.BytesIO()
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(buffer)
    return buffer.getvalue()
