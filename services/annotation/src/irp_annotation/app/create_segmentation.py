"""Somebody sends a mask or contours: check, number, store; announce it if it is accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass

from irp_kernel import Mask, encode_mask, sha256_of
from irp_kernel.codec import NRRD
from irp_kernel.errors import InvalidArgument, SeriesUnknown

from irp_annotation.app.ports import Catalogue, Clock, Compute, Objects
from irp_annotation.app.series_files import read_instances
from irp_annotation.domain.formats import Upload, decode_upload
from irp_annotation.domain.provenance import Provenance
from irp_annotation.domain.review import State
from irp_annotation.domain.seg_read import Grid
from irp_annotation.domain.segmentation import Segmentation, StructureSummary, identity, summarise
from irp_annotation.domain.series import ProjectRevision, Series
from irp_annotation.domain.structures import Structures

CERTAINTIES = range(4)  # 0 = not said, 1 to 3 (Likert)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCommand:
    """What a person sends.

    Attributes:
        project: where.
        series_uid: on which series.
        upload: what.
        structures: what the project draws.
        state: draft, submitted or accepted.
        actor: who.
        certainty: 1 to 3; 0 = not said.
        based_on: the version that was edited; 0 = none.
    """

    project: ProjectRevision
    series_uid: str
    upload: Upload
    structures: Structures
    state: State
    actor: str
    certainty: int = 0
    based_on: int = 0


class CreateSegmentation:
    """Stores a new version of a series' mask."""

    def __init__(self, catalogue: Catalogue, objects: Objects, compute: Compute, clock: Clock) -> None:
        self._catalogue, self._objects, self._compute, self._clock = catalogue, objects, compute, clock

    async def __call__(self, command: CreateCommand) -> Segmentation:
        """The stored version; the same command twice is one version.

        Raises:
            SeriesUnknown: no such series in the project.
            GeometryMismatch, UnknownStructure, BadContours, ...: see `decode_upload`.
            NewerVersionExists: somebody stored another version since `based_on`.
        """
        if command.certainty not in CERTAINTIES:
            raise InvalidArgument("certainty is 1 to 3, or 0 when it is not said")
        series = await self._catalogue.series(command.project.id, command.series_uid)
        if series is None:
            raise SeriesUnknown
        own_id = _identity(command, series)
        known = await self._catalogue.find(command.project.id, own_id)
        if known is not None:
            return known
        grid = Grid(geometry=series.geometry, instances=await read_instances(self._objects, series))
        nrrd, summary = await self._compute(decode_and_encode, command.upload, grid, command.structures)
        mask = await self._objects.put(
            nrrd,
            project=command.project.id,
            entity="series",
            id=command.series_uid,
            kind="mask",
            media_type=NRRD,
            extension="nrrd",
        )
        provenance = self._provenance(command, series, mask.sha256)
        draft = Segmentation(
            id=own_id,
            project=command.project.id,
            series_uid=command.series_uid,
            version=0,
            revision=1,
            state=command.state,
            volume_version=series.version,
            mask=mask,
            structures=summary,
            provenance=provenance,
        )
        return await self._catalogue.add(draft, command.project, based_on=command.based_on)

    def _provenance(self, command: CreateCommand, series: Series, mask_sha256: str) -> Provenance:
        parameters = {"media_type": command.upload.media_type}
        if command.certainty:
            parameters["certainty"] = str(command.certainty)
        if command.based_on:
            parameters["based_on"] = str(command.based_on)
        return Provenance(
            actor=command.actor,
            at=self._clock().isoformat(timespec="seconds"),
            inputs={
                "volume": series.volume.sha256,
                "upload": sha256_of(command.upload.body),
                "configuration": command.project.configuration.sha256,
                "mask": mask_sha256,
            },
            parameters=parameters,
        )


def decode_and_encode(upload: Upload, grid: Grid, structures: Structures) -> tuple[bytes, tuple[StructureSummary, ...]]:
    """For a worker: what was sent -> the mask's NRRD and its summary."""
    mask: Mask = decode_upload(upload, grid, structures)
    return encode_mask(mask), summarise(mask)


def _identity(command: CreateCommand, series: Series) -> str:
    upload = command.upload
    return identity(
        "upload",
        command.project.id,
        series.uid,
        series.volume.sha256,
        upload.media_type,
        sha256_of(upload.body),
        _canonical_json(upload.label_table),
        _canonical_json(upload.annotated),
        command.state,
        command.actor,
        str(command.certainty),
    )


def _canonical_json(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text
