"""What you learn here: frames of one instance make a volume as instances do; components, copies and tilt are said."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from irp_chassis.wire import object_ref_from_proto
from irp_ingest.domain.component import MAGNITUDE_FIRST, SIGNED_FIRST, component_of, preferred
from irp_ingest.domain.errors import SeriesPitchUneven, SeriesPositionRepeated, SeriesTilted
from irp_ingest.domain.functional_groups import planes_of
from irp_ingest.domain.plane import Frame, Plane, planes_from_json, planes_to_json
from irp_ingest.domain.stack import arrange
from irp_kernel import decode_volume
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence

from .conftest import Door, a_short_axis_series, an_image, to_bytes
from .enhanced import an_enhanced_image

PLACES = [(s, t) for t, s in itertools.product(range(2), reversed(range(3)))]  # (slice, phase) of each frame


def a_cine_of_frames() -> tuple[Dataset, np.ndarray]:
    """Frames by phase, the highest slice first; and the voxels [phase][slice] that they make."""
    voxels = np.random.default_rng(1).integers(0, 4000, (2, 3, 4, 5))
    pixels = np.array([voxels[t, s] for s, t in PLACES])
    positions = [(-10.0, -20.0, 8.0 * s) for s, _ in PLACES]
    return an_enhanced_image(pixels, positions, delays_ms=[40.0 * t for _, t in PLACES]), voxels


def planes_by_frame(ds: Dataset) -> dict[Frame, Plane | None]:
    return {Frame("a", number): plane for number, plane in enumerate(planes_of(ds), 1)}


async def test_an_enhanced_cine_becomes_a_volume_whose_index_names_the_frames(door: Door) -> None:
    ds, voxels = a_cine_of_frames()
    (stored,) = await door.upload([to_bytes(ds)])
    state = await door.settled(stored.series_uid)
    assert state.state == "assembled", (state.reason, state.message)
    volume = decode_volume(await door.objects.get(object_ref_from_proto(state.series.volume)))
    assert np.array_equal(volume.array, voxels)
    assert volume.geometry.frame_times_ms == (0.0, 40.0)
    assert volume.geometry.spacing_mm == pytest.approx((8.0, 1.5, 1.25))
    places = json.loads(await door.objects.get(object_ref_from_proto(state.series.instances)))
    assert places["frames"] == [[3, 2, 1], [6, 5, 4]]
    assert places["instances"] == [[stored.sop_instance_uid] * 3] * 2
    assert places["positions_mm"][1] == [-10.0, -20.0, 8.0]


async def test_a_later_instance_makes_a_new_version_of_a_volume_of_single_images(door: Door) -> None:
    files = a_short_axis_series(slices=3, phases=1)
    (first, *_) = await door.upload(files[:2])
    before = await door.settled(first.series_uid, version=1)
    await door.upload(files[2:])
    after = await door.settled(first.series_uid, version=before.version + 1)
    assert (before.series.shape[1], after.series.shape[1]) == (2, 3)
    assert "frames" not in json.loads(await door.objects.get(object_ref_from_proto(after.series.instances)))


async def test_the_components_of_one_series_are_told_apart_and_the_absent_one_is_named(door: Door) -> None:
    def both(ds: Dataset, s: int, t: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M" if t == 0 else "P"]
        ds.TriggerTime = 500.0

    (first, *_) = await door.upload(a_short_axis_series(slices=3, phases=2, change=both))
    state = await door.settled(first.series_uid)
    assert list(state.series.shape)[:2] == [1, 3]
    assert state.message == "the volume holds the magnitude images; not in it: 3 phase"


@pytest.mark.parametrize(
    ("image_type", "complex_component", "component"),
    [
        (["ORIGINAL", "PRIMARY", "M", "ND"], None, "magnitude"),
        (["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"], None, "real"),
        (["DERIVED", "PRIMARY", "OTHER", "PSIR"], None, "real"),
        (["ORIGINAL", "PRIMARY", "CINE", "NONE"], "PHASE", "phase"),
        (["M", "P"], None, ""),
        ("ORIGINAL", "", ""),
        (None, None, ""),
    ],
)
def test_a_component_is_what_the_header_says(image_type: object, complex_component: object, component: str) -> None:
    assert component_of(image_type, complex_component) == component


def test_a_psir_series_wants_the_signed_images_and_others_the_magnitude() -> None:
    assert preferred([{"class": "cine-sax"}, {"class": "lge-psir"}]) == SIGNED_FIRST
    assert preferred([{"class": "lge-sax"}]) == MAGNITUDE_FIRST
    kinds = [("ORIGINAL", "PRIMARY", kind) for kind in ("M", "R", "R", "M")]
    ds = an_enhanced_image(np.zeros((4, 2, 2)), [(0, 0, z) for z in (0, 0, 8, 8)], kinds=kinds)
    signed, magnitude = (arrange(planes_by_frame(ds), order) for order in (SIGNED_FIRST, MAGNITUDE_FIRST))
    assert [frame.number for frame in signed.order[0]] == [2, 3]
    assert [frame.number for frame in magnitude.order[0]] == [1, 4]
    assert signed.left_out == "the volume holds the real images; not in it: 2 magnitude"


def test_planes_come_back_from_the_index_as_also_older_rows_do() -> None:
    several, (one,) = planes_of(a_cine_of_frames()[0]), planes_of(an_image(np.zeros((2, 2))))
    for planes in (several, (one,), ()):
        assert planes_from_json(json.loads(json.dumps(planes_to_json(planes)))) == planes
    older = {name: value for name, value in one.to_dict().items() if name not in {"component", "content"}}
    assert planes_from_json(older) == (replace(one, component="", content=""),)
    assert one.thickness_mm == 6.0


def test_functional_groups_beside_the_plane_of_a_single_image_change_nothing() -> None:
    ds = an_image(np.zeros((2, 2)))
    ds.PerFrameFunctionalGroupsSequence = Sequence([Dataset()])
    assert len(planes_of(ds)) == 1


@pytest.mark.parametrize("spoilt", ["PlanePositionSequence", "count", "nothing", "segmentation"])
def test_frames_of_which_one_has_no_place_and_segmentations_have_no_planes(spoilt: str) -> None:
    ds, _ = a_cine_of_frames()
    groups = ds.PerFrameFunctionalGroupsSequence
    if spoilt == "count":
        ds.NumberOfFrames = 7
    elif spoilt == "nothing":
        groups[2].clear()
    elif spoilt == "segmentation":
        ds.SegmentSequence = Sequence([Dataset()])
    else:
        groups[2][spoilt].value[0].ImagePositionPatient = [0.0, "nan", 0.0]
    assert planes_of(ds) == ()


@pytest.mark.parametrize("spacing", [[0.0, 1.0], [1.0, -1.0], ["nan", 1.0], [1.0], None])
def test_a_spacing_that_is_no_length_is_no_plane(spacing: list[object] | None) -> None:
    ds = an_image(np.zeros((2, 2)))
    ds.PixelSpacing = spacing
    assert planes_of(ds) == ()


def images(*changes: tuple[int, float, int]) -> dict[Frame, Plane | None]:
    """Images (slice, trigger time in ms, grey value) of one series."""
    found: dict[Frame, Plane | None] = {}
    for number, (s, time_ms, grey) in enumerate(changes, 1):
        ds = an_image(np.full((2, 2), grey))
        ds.ImagePositionPatient, ds.TriggerTime, ds.InstanceNumber = [0.0, 0.0, 8.0 * s], time_ms, number
        found[Frame(str(number))] = planes_of(dcmread(io.BytesIO(to_bytes(ds))))[0]
    return found


def test_copies_under_other_uids_are_left_out_and_the_first_stays() -> None:
    stack = arrange(images((0, 10, 7), (1, 10, 8), (0, 10, 7)))
    assert stack.order == ((Frame("1"), Frame("2")),)
    assert stack.left_out == "1 of 3 images are left out: they are copies of others"


def test_images_in_one_place_at_one_time_that_differ_are_no_copies() -> None:
    with pytest.raises(SeriesPositionRepeated):
        arrange(images((0, 10, 7), (1, 10, 8), (0, 10, 9), (1, 10, 9)))


def test_phases_that_look_alike_are_no_copies() -> None:
    assert arrange(images((0, 0, 0), (0, 40, 0), (1, 0, 0), (1, 40, 0))).geometry.frames == 2


def leaning(*shifts_mm: float) -> dict[Frame, Plane | None]:
    planes = images(*((s, 0, s) for s in range(len(shifts_mm))))
    for plane_at, shift in zip(planes, shifts_mm, strict=True):
        plane = planes[plane_at]
        assert plane is not None
        planes[plane_at] = replace(plane, position_mm=(0.0, shift, plane.position_mm[2]))
    return planes


def test_a_steady_shift_is_a_tilted_gantry_and_says_by_how_much() -> None:
    with pytest.raises(SeriesTilted, match=r"14\.0 degree"):
        arrange(leaning(0, 2, 4, 6))
    with pytest.raises(SeriesPitchUneven, match="shifted"):
        arrange(leaning(0, 2, 0, 2))
    assert arrange(leaning(0, 0.1, 0.2, 0.3)).geometry.shape[0] == 4
