"""Somebody moves a version to another state; an acceptance is announced."""

from __future__ import annotations

from irp_annotation.app.ports import Catalogue, Clock
from irp_annotation.domain.errors import NewerVersionExists, SegmentationUnknown, VolumeMovedOn
from irp_annotation.domain.review import State, moved
from irp_annotation.domain.segmentation import Segmentation
from irp_annotation.domain.series import ProjectRevision


class ReviewSegmentation:
    """Applies the table of states."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue, self._clock = catalogue, clock

    async def __call__(
        self, project: ProjectRevision, id: str, state: State, actor: str, revision: int = 0
    ) -> Segmentation:
        """The segmentation in its new state; asking twice is asking once.

        Args:
            project: where.
            id: of the segmentation.
            state: the asked state.
            actor: who asks.
            revision: the one that was looked at; 0 = whichever it is.

        Raises:
            SegmentationUnknown: no such version.
            StateNotReachable: the table has no such step.
            NewerVersionExists: somebody changed it meanwhile.
            VolumeMovedOn: it would be accepted on a volume that is no longer the series' newest.
        """
        present = await self._catalogue.find(project.id, id)
        if present is None:
            raise SegmentationUnknown
        if moved(present.state, state) is present.state:
            return present
        if revision and revision != present.revision:
            raise NewerVersionExists("somebody reviewed it meanwhile", revision=present.revision)
        if state is State.ACCEPTED:
            await self._require_newest_volume(present)
        return await self._catalogue.move(
            present, state, project, actor=actor, at=self._clock().isoformat(timespec="seconds")
        )

    async def _require_newest_volume(self, present: Segmentation) -> None:
        series = await self._catalogue.series(present.project, present.series_uid)
        if series is None or series.version != present.volume_version:
            raise VolumeMovedOn
