"""Planes of the frames of an instance: enhanced multi-frame, or one image.

Source: PS3.3 C.7.6.16 (multi-frame functional groups), C.7.6.18.1 (cardiac synchronisation).
"""

from __future__ import annotations

import hashlib

from pydicom import Dataset

from irp_ingest.domain.component import component_of
from irp_ingest.domain.plane import Plane, make_plane, number_in, phases_said, plane_of, thickness_of

MAX_FRAMES = 16_384  # of one instance; beyond, it does not become a volume
PER_FRAME = "PerFrameFunctionalGroupsSequence"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def planes_of(dataset: Dataset) -> tuple[Plane, ...]:
    """The plane of each frame; empty if one does not say it, or if the object is no image but a segmentation."""
    if "SegmentSequence" in dataset:
        return ()
    # some scanners write functional groups beside the plane of a single-frame image: the plane is what counts
    if plane := plane_of(dataset, _content(dataset)):
        return (plane,)
    if PER_FRAME not in dataset:
        return ()
    count = int(number_in(dataset, "NumberOfFrames") or 0)
    if not 1 <= count <= MAX_FRAMES or len(dataset[PER_FRAME].value) != count:
        return ()
    planes = [_plane(dataset, index) for index in range(count)]
    known = tuple(plane for plane in planes if plane)
    return known if len(known) == count else ()


def group_of(dataset: Dataset, index: int, keyword: str) -> Dataset:
    """A functional group of a frame (counted from 0): its own, else that of all frames, else an empty one."""
    own = dataset.get(PER_FRAME) or []
    for holder in (*own[index : index + 1], *(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]):
        if holder.get(keyword):
            found: Dataset = holder[keyword].value[0]
            return found
    return Dataset()


def _plane(dataset: Dataset, index: int) -> Plane | None:
    measures = group_of(dataset, index, "PixelMeasuresSequence")
    kind = group_of(dataset, index, "MRImageFrameTypeSequence")
    time, trigger = _time(dataset, index)
    return make_plane(
        position=group_of(dataset, index, "PlanePositionSequence").get("ImagePositionPatient"),
        orientation=group_of(dataset, index, "PlaneOrientationSequence").get("ImageOrientationPatient"),
        spacing=measures.get("PixelSpacing"),
        matrix=(dataset.get("Rows"), dataset.get("Columns")),
        time=time,
        trigger=trigger,
        instance_number=index + 1,
        phases_said=phases_said(dataset),
        thickness_mm=thickness_of(measures),
        component=component_of(
            kind.get("FrameType") or dataset.get("ImageType"),
            kind.get("ComplexImageComponent") or dataset.get("ComplexImageComponent"),
        ),
    )


def _time(dataset: Dataset, index: int) -> tuple[float, bool]:
    """Delay after the R wave in ms, else the index of the temporal position."""
    delay = number_in(group_of(dataset, index, "CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime")
    if delay is not None:
        return delay, True
    return number_in(group_of(dataset, index, "FrameContentSequence"), "TemporalPositionIndex") or 0.0, False


def _content(dataset: Dataset) -> str:
    """Hash of the pixels as they are stored and of what makes values of them."""
    pixels = next((dataset[keyword].value for keyword in _PIXELS if keyword in dataset), None)
    if not isinstance(pixels, bytes):
        return ""
    rescaling = f"{dataset.get('RescaleSlope')} {dataset.get('RescaleIntercept')} {dataset.get('PixelRepresentation')}"
    return hashlib.sha256(rescaling.encode() + b"\0" + pixels).hexdigest()[:32]
