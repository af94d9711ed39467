"""Give a stored version, or a mask that is not stored, in another format."""

from __future__ import annotations

from dataclasses import dataclass

from irp_kernel import Geometry, decode_mask
from irp_kernel.codec import NRRD
from irp_kernel.errors import NotAcceptable, SeriesUnknown

from irp_annotation.app.ports import Catalogue, Compute, Objects
from irp_annotation.app.series_files import read_header, read_instances
from irp_annotation.domain.errors import SegmentationUnknown, VolumeMovedOn
from irp_annotation.domain.formats import DICOM, EXTENSION, encode_answer
from irp_annotation.domain.provenance import Provenance
from irp_annotation.domain.seg_write import SegContext
from irp_annotation.domain.segmentation import identity
from irp_annotation.domain.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Bytes, their media type, and a file name without patient data."""

    body: bytes
    media_type: str
    file_name: str


class EncodeMask:
    """Encodes a mask on a series' grid that is not stored (a real-time answer)."""

    def __init__(self, catalogue: Catalogue, objects: Objects, compute: Compute) -> None:
        self._catalogue, self._objects, self._compute = catalogue, objects, compute

    async def __call__(
        self, project: str, series_uid: str, mask: bytes, media_type: str, provenance: Provenance
    ) -> bytes:
        """The mask in the asked format.

        Raises:
            SeriesUnknown: no such series in the project.
            GeometryMismatch: the mask does not lie on the series' grid.
            NotAcceptable: a media type that is not given.
        """
        series = await self._catalogue.series(project, series_uid)
        if series is None:
            raise SeriesUnknown
        return await self.on(series, mask, media_type, provenance, identity("unsaved", project, series_uid))

    async def on(self, series: Series, mask: bytes, media_type: str, provenance: Provenance, id: str) -> bytes:
        """The same, for a series that is known already."""
        if media_type not in EXTENSION:
            raise NotAcceptable(f"masks are given as {', '.join(EXTENSION)}")
        with_dicom = media_type == DICOM
        context = SegContext(
            header=await read_header(self._objects, series) if with_dicom else {},
            instances=await read_instances(self._objects, series) if with_dicom else (),
            provenance=provenance,
            identity=id,
        )
        return await self._compute(transcode, mask, media_type, series.uid, context, series.geometry)


class ExportSegmentation:
    """Gives a stored version."""

    def __init__(self, catalogue: Catalogue, objects: Objects, encode: EncodeMask) -> None:
        self._catalogue, self._objects, self._encode = catalogue, objects, encode

    async def __call__(self, project: str, id: str, media_type: str) -> Exported:
        """One version in the asked format.

        Raises:
            SegmentationUnknown: no such version.
            VolumeMovedOn: as DICOM, when the series has a newer volume than the mask.
            NotAcceptable: a media type that is not given.
        """
        found = await self._catalogue.find(project, id)
        series = await self._catalogue.series(project, found.series_uid) if found else None
        if found is None or series is None:
            raise SegmentationUnknown
        body = await self._objects.get(found.mask)
        if media_type != NRRD:
            if series.version != found.volume_version:
                raise VolumeMovedOn
            body = await self._encode.on(series, body, media_type, found.provenance, found.id)
        name = f"{found.series_uid}_v{found.version}.seg.{EXTENSION[media_type]}"
        return Exported(body=body, media_type=media_type, file_name=name)


def transcode(mask: bytes, media_type: str, series_uid: str, context: SegContext, geometry: Geometry) -> bytes:
    """For a worker: NRRD mask -> the asked format."""
    decoded = decode_mask(mask)
    geometry.require_same_grid(decoded.geometry)
    return encode_answer(decoded, media_type, series_uid, context)
