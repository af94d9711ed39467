"""DICOM SEG -> mask on the series' grid.

Each frame is put where its source image lies (by SOP instance UID), or, for a still series, where its own position
says; a frame on another grid is refused, never resampled. Reads BINARY, FRACTIONAL (half of the maximum counts as
inside) and LABELMAP, native or compressed. Source: PS3.3 A.51, C.8.20, C.8.20.5.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pydicom
from irp_kernel import Geometry, LabelTable, Mask
from irp_kernel.errors import GeometryMismatch, IrpError, TooLarge, UnknownStructure
from irp_kernel.geometry import GRID_TOLERANCE_MM, ORIENTATION_TOLERANCE_DEG
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from irp_annotation.domain.errors import BadSegmentationObject, FramesNotPlaced, StructuresOverlap
from irp_annotation.domain.seg_codes import CODES, Code
from irp_annotation.domain.seg_private import read_annotated_block
from irp_annotation.domain.series import Instances, Place
from irp_annotation.domain.structures import LabelChoice, Structures

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
MAX_PIXELS = 1 << 30  # pixels of all frames together; beyond: TOO_LARGE
_INSIDE_MYOCARDIUM = ("scar", "no_reflow")
_PAINTED = ("rv_blood_pool", "lv_blood_pool", "lv_myocardium", "scar", "no_reflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where frames may lie: the series' geometry and its instances [time][slice]."""

    geometry: Geometry
    instances: Instances

    @property
    def places(self) -> dict[Place, tuple[int, int]]:
        """Image -> (time, slice)."""
        return {place: (t, s) for t, row in enumerate(self.instances) for s, place in enumerate(row)}


def read_seg(data: bytes, grid: Grid, structures: Structures, choice: LabelChoice) -> Mask:
    """DICOM SEG bytes -> Mask, annotated where frames say so (the private block of our own objects, else labels).

    Raises:
        BadSegmentationObject: not a segmentation, or not readable.
        GeometryMismatch: a frame lies on another grid.
        FramesNotPlaced: a frame cannot be assigned to an image.
        StructuresOverlap: two structures claim one voxel.
        UnknownStructure: a segment is not known; name it in the label table.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=False)
        return _read(dataset, grid, structures, choice)
    except IrpError:
        raise
    except Exception as cause:  # a foreign file can break a parser in every way; its words stay inside
        raise BadSegmentationObject from cause


def _read(dataset: Dataset, grid: Grid, structures: Structures, choice: LabelChoice) -> Mask:
    if dataset.SOPClassUID not in (SEGMENTATION_STORAGE, LABEL_MAP_STORAGE):
        raise BadSegmentationObject("the object is no segmentation")
    frames = int(dataset.get("NumberOfFrames", 1))
    if frames * dataset.Rows * dataset.Columns > MAX_PIXELS:
        raise TooLarge(f"the segmentation has {frames} frames of {dataset.Rows} x {dataset.Columns} pixels")
    if "ImageOrientationSlide" in dataset or "TotalPixelMatrixRows" in dataset:
        raise GeometryMismatch("the segmentation lies on a slide, not in a patient")
    if (dataset.Rows, dataset.Columns) != grid.geometry.shape[1:]:
        raise GeometryMismatch(
            f"frames have {dataset.Rows} x {dataset.Columns} pixels, expected {grid.geometry.shape[1:]}"
        )
    meaning = {int(s.SegmentNumber): _meaning(s, structures, choice) for s in dataset.SegmentSequence}
    regions = _regions(dataset, grid, meaning)
    if not regions:
        raise UnknownStructure("no segment of the object is a structure that is drawn here")
    mask = _merge(regions, grid.geometry)
    return read_annotated_block(dataset, mask)


def _meaning(segment: Dataset, structures: Structures, choice: LabelChoice) -> str | None:
    number, label = str(int(segment.SegmentNumber)), str(segment.get("SegmentLabel", ""))
    for key in (number, label):
        if key in choice:
            return choice.by_key[key]
    if number == "0":
        return None
    type_, region = _code(segment, "SegmentedPropertyTypeCodeSequence"), _code(segment, "AnatomicRegionSequence")
    found = structures.find(name=label, code=type_)
    if found is None and type_:
        found = next((name for name, own in CODES.items() if own.matches(type_, region)), None)
    if found is None:
        raise UnknownStructure("a segment has no known name or code: name it in the label table", segment=int(number))
    return found


def _code(segment: Dataset, keyword: str) -> Code | None:
    items = segment.get(keyword)
    if not items:
        return None
    return Code(str(items[0].get("CodingSchemeDesignator", "")), str(items[0].get("CodeValue", "")), "")


def _regions(dataset: Dataset, grid: Grid, meaning: Mapping[int, str | None]) -> dict[str, NDArray[np.bool_]]:
    regions = {
        name: np.zeros(grid.geometry.array_shape, dtype=np.bool_) for name in meaning.values() if name is not None
    }
    pixels = np.asarray(dataset.pixel_array).reshape(-1, dataset.Rows, dataset.Columns)
    places = _Places(dataset, grid)
    threshold = dataset.MaximumFractionalValue / 2 if dataset.get("SegmentationType") == "FRACTIONAL" else 0
    for index, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        place = places.of(item)
        for number, region in _segments(dataset, item, pixels[index], threshold):
            if number not in meaning:
                raise BadSegmentationObject("a frame refers to a segment that is not described")
            name = meaning[number]
            if name is not None:
                regions[name][place] |= region
    return regions


def _segments(
    dataset: Dataset, item: Dataset, pixels: NDArray[np.integer], threshold: float
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    if dataset.get("SegmentationType") == "LABELMAP":
        for number in np.unique(pixels):
            if number:
                yield int(number), pixels == number
        return
    shared = dataset.SharedFunctionalGroupsSequence[0]
    own = item if "SegmentIdentificationSequence" in item else shared
    yield int(own.SegmentIdentificationSequence[0].ReferencedSegmentNumber), pixels > threshold


def _merge(regions: Mapping[str, NDArray[np.bool_]], geometry: Geometry) -> Mask:
    labels = np.zeros(geometry.array_shape, dtype=np.uint8)
    for name in _PAINTED:
        if name not in regions:
            continue
        allowed = (0,) if name not in _INSIDE_MYOCARDIUM else (0, VALUE_OF["lv_myocardium"], VALUE_OF["scar"])
        if not np.isin(labels[regions[name]], allowed).all():
            raise StructuresOverlap
        labels[regions[name]] = VALUE_OF[name]
    table = LabelTable.canonical(name for name in VALUE_OF if name in regions)
    return Mask.annotated_where_labelled(geometry, labels, table)


class _Places:
    """Says at which (time, slice) a frame lies, and checks that it lies on the grid there."""

    def __init__(self, dataset: Dataset, grid: Grid) -> None:
        self._geometry, self._by_image = grid.geometry, grid.places
        self._shared = dataset.SharedFunctionalGroupsSequence[0]

    def of(self, item: Dataset) -> tuple[int, int]:
        """(time, slice) of one frame.

        Raises:
            FramesNotPlaced: neither source image nor position says it.
            GeometryMismatch: the frame lies elsewhere.
        """
        position = np.asarray(self._group(item, "PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
        known = {place for source in _sources(item) if (place := self._by_image.get(source)) is not None}
        if len(known) > 1 or (not known and self._geometry.frames > 1):
            raise FramesNotPlaced
        place = known.pop() if known else (0, round(float(self._geometry.to_index(position)[0])))
        self._require_on_grid(item, position, place[1])
        return place

    def _require_on_grid(self, item: Dataset, position: NDArray[np.float64], slice_: int) -> None:
        geometry = self._geometry
        if not 0 <= slice_ < geometry.shape[0]:
            raise GeometryMismatch("a frame lies on no slice of the series")
        off_mm = float(np.linalg.norm(position - geometry.to_patient(np.array([slice_, 0.0, 0.0]))))
        if off_mm > GRID_TOLERANCE_MM:
            raise GeometryMismatch(f"a frame lies {off_mm:.3f} mm off its slice, allowed are {GRID_TOLERANCE_MM} mm")
        directions = np.reshape(
            np.asarray(self._group(item, "PlaneOrientationSequence").ImageOrientationPatient, dtype=np.float64), (2, 3)
        )
        spacing = np.asarray(self._group(item, "PixelMeasuresSequence").PixelSpacing, dtype=np.float64)
        for direction, axis, pixel_mm in zip(directions, (2, 1), spacing[::-1], strict=True):
            own = geometry.matrix[:3, axis]
            off = float(np.linalg.norm(direction * pixel_mm - own)) * (geometry.shape[axis] - 1)
            turned = float(np.degrees(np.linalg.norm(np.cross(direction, own)) / np.linalg.norm(own)))
            if off > GRID_TOLERANCE_MM or turned > ORIENTATION_TOLERANCE_DEG:
                raise GeometryMismatch(f"a frame ends {off:.3f} mm off the image, allowed are {GRID_TOLERANCE_MM} mm")

    def _group(self, item: Dataset, keyword: str) -> Dataset:
        found = item.get(keyword) or self._shared.get(keyword)
        if not found:
            raise GeometryMismatch("a frame does not say where it lies")
        return found[0]  # type: ignore[no-any-return]


def _sources(item: Dataset) -> Iterator[Place]:
    """Source images; each both as a single image and as the frames that are named, whichever the series has."""
    for derivation in item.get("DerivationImageSequence", []):
        for source in derivation.get("SourceImageSequence", []):
            uid, named = str(source.ReferencedSOPInstanceUID), source.get("ReferencedFrameNumber")
            yield Place(uid)
            for number in named if isinstance(named, MultiValue) else [named] if named else []:
                yield Place(uid, int(number))
