"""A complete series becomes a volume, a header and an index, and is announced; or says why it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from irp_kernel import ObjectRef
from irp_kernel.codec import NRRD
from irp_kernel.errors import DataLoss

from irp_ingest.app.ports import Assembled, Builders, Index, Kept, Objects, ProjectAt
from irp_ingest.domain.component import preferred
from irp_ingest.domain.errors import NotAssembled
from irp_ingest.domain.plane import Frame, Plane
from irp_ingest.domain.sequence_class import decide
from irp_ingest.domain.stack import Stack, arrange

READS = 8  # instances read from the store at the same time


class AssembleSeries:
    """Assemble what has come of a series."""

    def __init__(self, index: Index, objects: Objects, builders: Builders) -> None:
        self._index, self._objects, self._builders = index, objects, builders

    async def __call__(self, project: ProjectAt, series_uid: str) -> None:
        """Keep volume and row; may run twice."""
        count = await self._index.count(project.id, series_uid)
        if count is None:
            await self._index.left_over(project.id, series_uid)
            return
        kept = {instance.sop_uid: instance for instance in await self._index.instances(project.id, series_uid)}
        try:
            stack = arrange(_planes(kept), preferred([rule for one in kept.values() for rule in one.candidates]))
            volume = await self._volume(stack, kept)
        except NotAssembled as reason:
            await self._index.not_assembled(project.id, series_uid, count, reason.reason, reason.message)
            return
        except DataLoss:
            if await self._index.count(project.id, series_uid) == count:
                raise
            return  # instances were deleted meanwhile: what is left is assembled by another job
        first = kept[stack.order[0][0].uid]
        result = Assembled(
            sequence_class=decide(first.candidates, stack.geometry.frames),
            volume=await self._put(project, series_uid, "volume", volume, NRRD, "nrrd"),
            header=await self._put_json(project, series_uid, "header", first.header),
            instances=await self._put_json(project, series_uid, "instances", _places(stack, kept)),
            shape=stack.geometry.array_shape,
            spacing_mm=stack.geometry.spacing_mm,
            facts=_facts(first.header),
            left_out=stack.left_out,
        )
        await self._index.assembled(project, series_uid, count, result)

    async def _volume(self, stack: Stack, kept: dict[str, Kept]) -> bytes:
        """Each instance is read once, however many of its frames are wanted."""
        uids = list(dict.fromkeys(frame.uid for phase in stack.order for frame in phase))
        at = {uid: index for index, uid in enumerate(uids)}
        order = [[(at[frame.uid], frame.number) for frame in phase] for phase in stack.order]
        return await self._builders.build(await self._files(uids, kept), order, stack.geometry)

    async def _files(self, uids: Sequence[str], kept: dict[str, Kept]) -> list[bytes]:
        gate = asyncio.Semaphore(READS)

        async def read(uid: str) -> bytes:
            async with gate:
                return await self._objects.get(kept[uid].object)

        return await asyncio.gather(*(read(uid) for uid in uids))

    async def _put(
        self, project: ProjectAt, uid: str, kind: str, data: bytes, media_type: str, extension: str
    ) -> ObjectRef:
        return await self._objects.put(
            data, project=project.id, entity="series", id=uid, kind=kind, media_type=media_type, extension=extension
        )

    async def _put_json(self, project: ProjectAt, uid: str, kind: str, content: Any) -> ObjectRef:
        data = json.dumps(content, sort_keys=True).encode()
        media_type = "application/dicom+json" if kind == "header" else "application/json"
        return await self._put(project, uid, kind, data, media_type, "json")


def _places(stack: Stack, kept: dict[str, Kept]) -> dict[str, Any]:
    """Index -> SOPInstanceUID, frame number where instances have several frames, and position of each slice."""
    places: dict[str, Any] = {
        "instances": [[frame.uid for frame in phase] for phase in stack.order],
        "positions_mm": [list(kept[uid].planes[number - 1].position_mm) for uid, number in stack.order[0]],
    }
    if any(len(kept[frame.uid].planes) > 1 for phase in stack.order for frame in phase):
        places["frames"] = [[frame.number for frame in phase] for phase in stack.order]
    return places


def _planes(kept: dict[str, Kept]) -> dict[Frame, Plane | None]:
    planes: dict[Frame, Plane | None] = {}
    for uid, instance in kept.items():
        for number, plane in enumerate(instance.planes or (None,), 1):
            planes[Frame(uid, number)] = plane
    return planes


def _facts(header: dict[str, Any]) -> dict[str, Any]:
    """What later rooms ask of the scanner and (where the profile keeps it) of the patient."""

    def value(tag: str) -> Any:
        values: Sequence[Any] = (header.get(tag) or {}).get("Value") or [None]
        return values[0]

    return {
        "modality": str(value("00080060") or ""),
        "manufacturer": str(value("00080070") or ""),
        "manufacturer_model": str(value("00081090") or ""),
        "field_strength_t": float(value("00180087") or 0.0),
        "age_years": _years(str(value("00101010") or "")),
        "sex": str(value("00100040") or "") if value("00100040") in {"M", "F", "O"} else "",
    }


def _years(age: str) -> float:
    """DICOM AS ("071Y", "018M") in years; -1 if unknown. Source: PS3.5 section 6.2."""
    per_year = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
    if len(age) == 4 and age[:3].isdecimal() and age[3] in per_year:
        return int(age[:3]) / per_year[age[3]]
    return -1.0
