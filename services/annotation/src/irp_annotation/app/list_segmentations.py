"""Which versions of a mask a series has."""

from __future__ import annotations

from collections.abc import Sequence

from irp_kernel.errors import SeriesUnknown

from irp_annotation.app.ports import Catalogue
from irp_annotation.domain.errors import SegmentationUnknown
from irp_annotation.domain.segmentation import Segmentation


class ListSegmentations:
    """Answers all versions, newest last."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def __call__(self, project: str, series_uid: str) -> Sequence[Segmentation]:
        """The versions of a series.

        Raises:
            SeriesUnknown: no such series in the project.
        """
        if await self._catalogue.series(project, series_uid) is None:
            raise SeriesUnknown
        return await self._catalogue.versions(project, series_uid)

    async def one(self, project: str, id: str) -> Segmentation:
        """One version.

        Raises:
            SegmentationUnknown: no such version.
        """
        found = await self._catalogue.find(project, id)
        if found is None:
            raise SegmentationUnknown
        return found
