"""Every picture of a study, series or instance: found in the index, read one file at a time, drawn in the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.db import Database
from irp_chassis.objects import Objects
from irp_chassis.workers import in_worker
from irp_kernel import ObjectRef
from irp_kernel.errors import NotFound
from sqlalchemy import Row, Select, select

from irp_ingest.adapters.db import INSTANCE
from irp_ingest.domain.errors import PixelsNotReadable, RegionOutside
from irp_ingest.domain.render import Picture, render_batch

ROWS, NUMBER = "00280010", "00200013"
CANNOT_BE_SHOWN = (PixelsNotReadable, RegionOutside, NotFound)


async def images_of(database: Database, project: str, uids: Mapping[str, str]) -> Sequence[Row[Any]]:
    """UIDs and objects, by series and instance number; of a study or series only the instances that have rows.

    Args:
        database: where.
        project: of these instances.
        uids: column -> UID; empty = any.

    Raises:
        NotFound: there is none.
    """
    columns = (INSTANCE.c.series_uid, INSTANCE.c.sop_uid, INSTANCE.c.object)
    query: Select[Any] = select(*columns).where(INSTANCE.c.project == project)
    for name, uid in uids.items():
        query = query.where(INSTANCE.c[name] == uid) if uid else query
    if not uids["sop_uid"]:
        query = query.where(INSTANCE.c.header[ROWS]["Value"][0].as_integer().is_not(None))
    number = INSTANCE.c.header[NUMBER]["Value"][0].as_float().nulls_last()
    async with database.read() as connection:
        rows = list(await connection.execute(query.order_by(INSTANCE.c.series_uid, number, INSTANCE.c.sop_uid)))
    if not rows:
        raise NotFound("no such study, series or instance in this project, or no image in it")
    return rows


async def pictures_of(
    objects: Objects, images: Sequence[Row[Any]], wanted: Picture, frames: Sequence[int]
) -> AsyncIterator[pb.RenderAllResponse]:
    """Pictures in the images' order; one that cannot be shown is left out, unless that leaves nothing.

    Raises:
        NotFound, RegionOutside, PixelsNotReadable: why the first of them cannot be shown, if none can.
    """
    shown, reason = False, None
    for row in images:
        try:
            async for number, data in _pictures(await objects.get(ObjectRef(**row.object)), wanted, frames):
                yield pb.RenderAllResponse(
                    data=data, series_uid=row.series_uid, sop_instance_uid=row.sop_uid, frame=number
                )
                shown = True
        except CANNOT_BE_SHOWN as error:
            reason = reason or error
    if not shown:
        raise reason or NotFound("there is no picture in it")


async def _pictures(file: bytes, wanted: Picture, left: Sequence[int]) -> AsyncIterator[tuple[int, bytes]]:
    """Frame numbers and pictures; only a batch of them is in memory."""
    first = True
    while left or first:
        made, left = await in_worker(render_batch, file, wanted, left)
        first = False
        for number, data in made:
            yield number, data
