"""A mask -> DICOM SEG (BINARY), still or cine.

highdicom builds and checks the object from the series' de-identified header; it knows no time axis (it refuses planes
at one position), so it builds the planes of one time and the frames of the others are laid beside them here, each
with its own source image and a TemporalPositionIndex as third dimension. Every (time, slice) on which a structure was
judged gets a frame, also an empty one; the same mask gives the same bytes. Source: PS3.3 A.51, C.7.6.17, C.8.20.
"""

from __future__ import annotations

import copy
import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from irp_kernel import Mask
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from irp_annotation.domain.errors import VolumeMovedOn
from irp_annotation.domain.provenance import Provenance
from irp_annotation.domain.seg_codes import CODES, Code
from irp_annotation.domain.seg_private import write_annotated_block
from irp_annotation.domain.seg_source import source_images
from irp_annotation.domain.series import Instances, Place

SERIES_NUMBER = 900  # above anything a scanner counts to
PARTS = {"series_description": "OpenIRP segmentation", "manufacturer": "OpenIRP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegContext:
    """What a SEG says beside its pixels.

    Attributes:
        header: one de-identified instance of the series, as DICOM JSON.
        instances: the image at [time][slice].
        provenance: of the mask.
        identity: the segmentation's identifier; its UIDs derive from it.
    """

    header: dict[str, object]
    instances: Instances
    provenance: Provenance
    identity: str


def write_seg(mask: Mask, context: SegContext) -> bytes:
    """DICOM file bytes.

    Raises:
        VolumeMovedOn: the mask and the series' instances do not belong together.
    """
    frames, slices = mask.geometry.frames, mask.geometry.shape[0]
    if len(context.instances) != frames or any(len(row) != slices for row in context.instances):
        raise VolumeMovedOn
    stand_ins = source_images(context.header, mask.geometry, [derived_uid("slice", str(at)) for at in range(slices)])
    seg = _template(mask, context, stand_ins)
    _lay_out(seg, mask, context.instances, [image.SOPInstanceUID for image in stand_ins])
    _refer_to_all(seg, stand_ins[0].SOPClassUID, context.instances)
    write_annotated_block(seg, mask)
    _date(seg, context.provenance)
    buffer = io.BytesIO()
    seg.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def derived_uid(*parts: str) -> str:
    """A UID that the content gives. Source: PS3.5 B.2 (2.25 and a 128-bit number)."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()[:16]
    return f"2.25.{int.from_bytes(digest, 'big')}"


def _template(mask: Mask, context: SegContext, sources: list[Dataset]) -> Segmentation:
    """The object with an empty frame for each segment and slice of the first time."""
    made_by = context.provenance
    return Segmentation(
        source_images=sources,
        pixel_array=np.zeros((*mask.geometry.shape, len(mask.table.labels)), dtype=np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(number, name, made_by) for number, name in enumerate(mask.table.names, 1)],
        series_instance_uid=derived_uid("series", context.identity),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid("instance", context.identity),
        instance_number=1,
        manufacturer=PARTS["manufacturer"],
        manufacturer_model_name=made_by.software.partition("/")[0] or "annotation",
        software_versions=made_by.software.partition("/")[2] or "0",
        device_serial_number="0",
        content_label="SEGMENTATION",
        content_description=PARTS["series_description"],
        series_description=PARTS["series_description"],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=False,
    )


def _describe(number: int, name: str, provenance: Provenance) -> SegmentDescription:
    codes, model = CODES[name], provenance.model
    algorithm = "MANUAL"
    if model is not None:
        algorithm = "AUTOMATIC" if provenance.software.startswith("inference/") else "SEMIAUTOMATIC"
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=_concept(codes.category),
        segmented_property_type=_concept(codes.type),
        anatomic_regions=[_concept(codes.region)] if codes.region else None,
        algorithm_type=algorithm,
        algorithm_identification=None
        if model is None
        else AlgorithmIdentificationSequence(
            name=model.name,
            version=str(model.version),
            family=_concept(Code("DCM", "123110", "Artificial Intelligence")),
            source="OpenIRP",
            parameters={"bundle_sha256": model.digest},
        ),
        tracking_uid=None,
        display_color=CIELabColor(*codes.lab),
    )


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, meaning=code.meaning, scheme_designator=code.scheme)


def _lay_out(seg: Segmentation, mask: Mask, instances: Instances, stand_ins: list[str]) -> None:
    """Replace the template's frames by one for each (segment, time, slice) that was judged or carries a label."""
    # highdicom sorts planes by its own rule: each frame is found by what it shows, never by its place.
    template = {_shown(item): item for item in seg.PerFrameFunctionalGroupsSequence}
    moving = mask.geometry.frames > 1
    items: list[Dataset] = []
    pixels: list[NDArray[np.bool_]] = []
    for index, label in enumerate(mask.table.labels):
        region = mask.labels == label.value
        wanted = mask.annotated[:, :, index] | region.any(axis=(2, 3))
        for time, slice_ in np.argwhere(wanted).tolist() or [[0, 0]]:
            plane = template[index + 1, stand_ins[slice_]]
            items.append(_frame(plane, instances[time][slice_], time if moving else None))
            pixels.append(region[time, slice_])
    seg.PerFrameFunctionalGroupsSequence = items
    seg.NumberOfFrames = len(items)
    packed = np.packbits(np.stack(pixels).ravel(), bitorder="little").tobytes()
    seg.PixelData = packed + b"\0" * (len(packed) % 2)
    seg.SegmentsOverlap = "NO"
    if moving:
        _add_time_dimension(seg)


def _shown(item: Dataset) -> tuple[int, str]:
    """Segment number and source image of a frame."""
    source = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    return int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber), str(source)


def _frame(template: Dataset, place: Place, time: int | None) -> Dataset:
    item = copy.deepcopy(template)
    for derivation in item.DerivationImageSequence:
        source = derivation.SourceImageSequence[0]
        source.ReferencedSOPInstanceUID = place.uid
        if place.frame:
            source.ReferencedFrameNumber = place.frame
    if time is not None:
        content = item.FrameContentSequence[0]
        content.TemporalPositionIndex = time + 1
        content.DimensionIndexValues = [*content.DimensionIndexValues, time + 1]
    return item


def _add_time_dimension(seg: Segmentation) -> None:
    dimension = Dataset()
    dimension.DimensionOrganizationUID = seg.DimensionOrganizationSequence[0].DimensionOrganizationUID
    dimension.DimensionIndexPointer = Tag("TemporalPositionIndex")
    dimension.FunctionalGroupPointer = Tag("FrameContentSequence")
    dimension.DimensionDescriptionLabel = "Temporal Position Index"
    seg.DimensionIndexSequence.append(dimension)
    if "DimensionOrganizationType" in seg:
        del seg.DimensionOrganizationType


def _refer_to_all(seg: Segmentation, sop_class: str, instances: Instances) -> None:
    """Name the images where highdicom named the stand-ins: in the referenced series, and as sources of the whole."""
    references = []
    for uid in dict.fromkeys(place.uid for row in instances for place in row):
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, uid
        references.append(reference)
    seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence = Sequence(references)
    seg.SourceImageSequence = copy.deepcopy(references)


def _date(seg: Segmentation, provenance: Provenance) -> None:
    """The dates of the mask, not of the export: the same mask gives the same bytes."""
    at = datetime.fromisoformat(provenance.at) if provenance.at else datetime(1970, 1, 1, tzinfo=UTC)
    at = at.astimezone(UTC)
    for moment in ("Content", "InstanceCreation", "Series"):
        setattr(seg, f"{moment}Date", at.strftime("%Y%m%d"))
        setattr(seg, f"{moment}Time", at.strftime("%H%M%S"))
    for equipment in seg.get("ContributingEquipmentSequence", ()):
        equipment.ContributionDateTime = at.strftime("%Y%m%d%H%M%S+0000")
    seg.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation = derived_uid(seg.SOPInstanceUID, "d")
    for dimension in seg.DimensionIndexSequence:
        dimension.DimensionOrganizationUID = organisation
    seg.ContentCreatorName = _person_name(provenance.actor)


def _person_name(actor: str) -> str:
    return actor.replace("\\", " ").replace("^", " ").replace("=", " ")[:64]
