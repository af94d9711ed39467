"""A model segmented a series: keep its mask as a proposed version."""

from __future__ import annotations

from dataclasses import dataclass

from irp_kernel import Geometry, ObjectRef, decode_mask
from irp_kernel.errors import InvalidArgument, NotYetKnown

from irp_annotation.app.ports import Catalogue, Compute, Objects
from irp_annotation.domain.provenance import Provenance
from irp_annotation.domain.review import State
from irp_annotation.domain.segmentation import Segmentation, StructureSummary, identity, summarise
from irp_annotation.domain.series import ProjectRevision


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What inference announced; the mask stays inference's object."""

    project: ProjectRevision
    series_uid: str
    volume_version: int
    volume_sha256: str
    mask: ObjectRef
    provenance: Provenance


class KeepProposal:
    """Stores a proposal; one on an older volume, or on a deleted one, is dropped."""

    def __init__(self, catalogue: Catalogue, objects: Objects, compute: Compute) -> None:
        self._catalogue, self._objects, self._compute = catalogue, objects, compute

    async def __call__(self, proposal: Proposal) -> Segmentation | None:
        """The stored version; None if it was dropped.

        Raises:
            NotYetKnown: the series, or this version of its volume, has not arrived here yet.
            GeometryMismatch: the mask does not lie on the volume's grid.
        """
        series = await self._catalogue.series(proposal.project.id, proposal.series_uid)
        if series is None or series.version < proposal.volume_version:
            if await self._catalogue.was_deleted(proposal.project.id, proposal.series_uid, proposal.volume_version):
                return None
            raise NotYetKnown
        if series.version > proposal.volume_version:
            return None
        if series.volume.sha256 != proposal.volume_sha256:
            raise InvalidArgument("a proposal names another volume than the series has", version=series.version)
        data = await self._objects.get(proposal.mask)
        summary = await self._compute(check_proposal, data, series.geometry)
        return await self._catalogue.add(
            Segmentation(
                id=_identity(proposal),
                project=proposal.project.id,
                series_uid=proposal.series_uid,
                version=0,
                revision=1,
                state=State.PROPOSED,
                volume_version=series.version,
                mask=proposal.mask,
                structures=summary,
                provenance=proposal.provenance,
            ),
            proposal.project,
        )


def check_proposal(data: bytes, geometry: Geometry) -> tuple[StructureSummary, ...]:
    """For a worker: the summary of a mask that lies on the grid."""
    mask = decode_mask(data)
    geometry.require_same_grid(mask.geometry)
    return summarise(mask)


def _identity(proposal: Proposal) -> str:
    model = proposal.provenance.model
    return identity(
        "proposal",
        proposal.project.id,
        proposal.series_uid,
        proposal.volume_sha256,
        proposal.mask.sha256,
        model.digest if model else "",
    )
