"""What you learn here: a masked region is black in every frame and colour, whatever the transfer syntax was."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irp_deid import Profile, ProjectSecret, deidentify_file
from irp_deid.pixels import Region
from irp_ingest.domain.errors import CannotMask, RegionOutside
from irp_ingest.domain.mask import masked
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
)

from .conftest import an_image, to_bytes

KEY = ProjectSecret(bytes(32)).site_key("north")


def cleaned(file: bytes) -> bytes:
    """As ingest hands it on: header de-identified, pixels as they came."""
    return deidentify_file(file, KEY, Profile().with_suspects())[0]


def shipped(name: str) -> bytes:
    """A file that pydicom ships with itself."""
    return Path(str(get_testdata_file(name, download=False))).read_bytes()


def pixels_of(file: bytes) -> np.ndarray[Any, Any]:
    """(frame, row, column, sample)."""
    ds = dcmread(io.BytesIO(file))
    pixels = pixel_array(ds)
    return np.reshape(pixels, (int(ds.get("NumberOfFrames") or 1), ds.Rows, ds.Columns, ds.SamplesPerPixel))


def grey(frames: int, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """Noise with "text" (its brightest values) in the upper left corner of every frame."""
    rng = np.random.default_rng(3)
    ds = an_image(rng.integers(1, 200, (64, 96)))
    ds.SOPClassUID, ds.BitsAllocated, ds.BitsStored, ds.HighBit = (
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage, 8, 8, 7,
    )  # fmt: skip
    pixels = rng.integers(1, 200, (frames, 64, 96)).astype(np.uint8)
    pixels[:, 2:5, 3:9] = 255
    ds.NumberOfFrames, ds.PixelData = frames, pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    file = to_bytes(ds)
    if syntax == ExplicitVRLittleEndian:
        return file
    ds = dcmread(io.BytesIO(file))
    ds.compress(syntax, pixels if frames > 1 else pixels[0], generate_instance_uid=False)
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def header_of(file: bytes) -> Dataset:
    return dcmread(io.BytesIO(file))


def is_masked(before: bytes, after: bytes, region: Region, black: int = 0) -> None:
    """The region is one value in every frame and sample, and no other pixel has changed."""
    x, y, width, height = region
    old, new = pixels_of(before), pixels_of(after)
    assert new.shape == old.shape
    inside = np.zeros(old.shape, bool)
    inside[:, y : y + height, x : x + width] = True
    assert set(np.unique(new[inside])) == {black}
    np.testing.assert_array_equal(new[~inside], old[~inside])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("frames", [1, 3])
def test_a_region_is_black_in_every_frame_and_the_rest_as_it_was(frames: int, syntax: str) -> None:
    before = cleaned(grey(frames, syntax))
    after = masked(before, [(3, 2, 6, 3)])
    is_masked(before, after, (3, 2, 6, 3), black=int(pixels_of(before).min()))
    assert 255 not in pixels_of(after)
    ds = header_of(after)
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.BurnedInAnnotation == "NO"
    codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113105", "113107", "113111"]
    assert ds.SOPInstanceUID == header_of(before).SOPInstanceUID


@pytest.mark.parametrize(
    "name",
    [
        "examples_ybr_color.dcm",  # ultrasound, 30 frames, JPEG baseline, YBR_FULL_422
        "examples_rgb_color.dcm",  # ultrasound, uncompressed
        "SC_rgb_rle_16bit_2frame.dcm",
        "SC_rgb_jpeg_gdcm.dcm",  # JPEG lossless
        "SC_rgb_gdcm_KY.dcm",  # JPEG 2000
        "SC_ybr_full_422_uncompressed.dcm",
        "ExplVR_BigEnd.dcm",
        "SC_rgb_small_odd.dcm",  # 27 bytes: an odd number
    ],
)
def test_real_colour_images_are_masked(name: str) -> None:
    before = cleaned(shipped(name))
    after = masked(before, [(1, 0, 2, 2)])
    is_masked(before, after, (1, 0, 2, 2))
    ds = header_of(after)
    assert (ds.PhotometricInterpretation, ds.PlanarConfiguration) == ("RGB", 0)


def test_a_palette_stays_a_palette() -> None:
    before = cleaned(shipped("examples_palette.dcm"))
    after = masked(before, [(0, 0, 100, 20)])
    is_masked(before, after, (0, 0, 100, 20), black=int(pixels_of(before).min()))
    assert header_of(after).PhotometricInterpretation == "PALETTE COLOR"


def test_black_is_the_largest_value_where_large_values_are_dark() -> None:
    before = cleaned(grey(1, PhotometricInterpretation="MONOCHROME1"))
    is_masked(before, masked(before, [(10, 10, 4, 4)]), (10, 10, 4, 4), black=255)


def test_signed_pixels_stay_signed() -> None:
    ds = an_image(np.arange(-128, 128).reshape(16, 16) & 0xFFF)
    ds.PixelRepresentation = 1
    before = cleaned(to_bytes(ds))
    after = masked(before, [(14, 14, 2, 2)])
    is_masked(before, after, (14, 14, 2, 2), black=-128)


def test_a_region_that_reaches_beyond_the_edge_is_cut_there_and_one_beside_the_image_is_a_mistake() -> None:
    before = cleaned(grey(1))
    assert pixels_of(masked(before, [(90, 60, 900, 900)])).shape == (1, 64, 96, 1)
    for beside in ((96, 0, 5, 5), (0, 64, 5, 5), (-5, 0, 5, 5), (0, 0, 0, 5)):
        with pytest.raises(RegionOutside):
            masked(before, [beside])


def test_what_cannot_be_decoded_and_written_again_is_refused() -> None:
    broken = header_of(cleaned(grey(1, RLELossless)))
    broken.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00\xff\xff\xff\xff"
    out = io.BytesIO()
    broken.save_as(out)
    bits = header_of(cleaned(grey(1)))
    bits.BitsAllocated = bits.BitsStored = 1
    few = io.BytesIO()
    bits.save_as(few)
    for file in (out.getvalue(), few.getvalue()):
        with pytest.raises(CannotMask):
            masked(file, [(0, 0, 4, 4)])
