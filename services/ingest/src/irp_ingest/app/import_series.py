"""A NIfTI or NRRD file comes in: DICOM instances are made of it and take the road of every instance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from irp_ingest.app.outcome import Outcome
from irp_ingest.app.ports import ProjectAt
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.domain.errors import ContentDiffers, ImageKnownOtherwise, ImportRefused
from irp_ingest.domain.imported_dicom import Description
from irp_ingest.domain.intake import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The series of a file.

    Attributes:
        study_uid, series_uid: de-identified.
        instances: stored now or before.
        repeated: True if all had been stored before.
    """

    study_uid: str
    series_uid: str
    instances: int
    repeated: bool


class Converters(Protocol):
    """The worker that makes instances of a file."""

    async def convert(self, data: bytes, description: Description, max_bytes: int) -> list[bytes]:
        """See domain.imported_dicom.to_instances."""
        ...


class ImportSeries:
    """Convert, store, complete."""

    def __init__(self, store: StoreInstance, converters: Converters, *, max_bytes: int, in_flight: int) -> None:
        self._store, self._converters = store, converters
        self._max_bytes, self._in_flight = max_bytes, in_flight
        self._one = asyncio.Lock()  # a large image takes most of the memory that uploads leave

    async def __call__(
        self,
        data: bytes,
        description: Description,
        project: ProjectAt,
        order: Order,
        note: Callable[[Outcome], None],
    ) -> Imported:
        """Stored durably and complete when this returns; the same image again is the same series.

        Raises:
            BadVolumeFile, TooLarge, Image...: as `domain.imported.read_image`; nothing is stored.
            ImageKnownOtherwise: it is there with another description; nothing is stored.
            ImportRefused: by the project's rules, or some wait in quarantine.
        """
        async with self._one:
            files = await self._converters.convert(data, description, self._max_bytes)
            async with self._store.series(project, 0.0, more=False) as series:

                async def store(file: bytes) -> Outcome:
                    outcome = await self._store(file, project, order, series.open_s)
                    series.touch(outcome.series_uid)
                    note(outcome)
                    return outcome

                # the first one alone: under another description nothing must be mixed into the series that is there
                outcomes = [await store(files[0])]
                if outcomes[0].reason == ContentDiffers.reason:
                    raise ImageKnownOtherwise
                outcomes += await self._all(files[1:], store)
        return _imported(outcomes)

    async def _all(self, files: Sequence[bytes], store: Callable[[bytes], Awaitable[Outcome]]) -> list[Outcome]:
        gate = asyncio.Semaphore(self._in_flight)

        async def one(file: bytes) -> Outcome:
            async with gate:
                return await store(file)

        tasks = [asyncio.create_task(one(file)) for file in files]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _imported(outcomes: Sequence[Outcome]) -> Imported:
    refused = [outcome.reason for outcome in outcomes if outcome.failure]
    if refused:
        raise ImportRefused(f"{len(refused)} of {len(outcomes)} images: {refused[0]}")
    return Imported(
        study_uid=outcomes[0].study_uid,
        series_uid=outcomes[0].series_uid,
        instances=len(outcomes),
        repeated=all(outcome.repeated for outcome in outcomes),
    )
