"""Series that are being deleted, and series that were: what each room remembers of them.

Facts reach a room through several durables, in no order among each other: without a note of what left, a late fact
would bring it back. And what people make of a series is refused from when the room answered that nothing refers to it
until the deletion is told, or until the hold ends: otherwise it could come in between.
Every function locks the note of its series first, so that two transactions about one series follow one another.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from irp_kernel.errors import SeriesHeld, SeriesUnknown
from sqlalchemy import BigInteger, Column, Float, MetaData, String, Table, select

from irp_chassis.db import Transaction

NAME = "departure"


def add_departures(metadata: MetaData) -> Table:
    """Declare the table: for rooms that keep something of series."""
    return Table(
        NAME,
        metadata,
        Column("project", String(48), primary_key=True),
        Column("series_uid", String(64), primary_key=True),
        # of the volume: this one and older ones are gone; 0 = none is
        Column("version", BigInteger, nullable=False),
        # seconds since 1970: until then nothing new may refer to the series
        Column("held_until", Float, nullable=False),
    )


async def still_comes(tx: Transaction, project: str, series_uid: str, version: int) -> bool:
    """False if this version of a series' volume was deleted: what is said of it is said too late."""
    gone = int((await _locked(tx, project, series_uid)).version)
    return gone == 0 or version > gone


async def leave(tx: Transaction, project: str, series_uid: str, version: int) -> None:
    """Note that a series' volumes up to this version are gone; the hold ends."""
    row = await _locked(tx, project, series_uid)
    await _write(tx, project, series_uid, version=max(version, int(row.version)), held_until=0.0)


async def hold(tx: Transaction, project: str, series_uids: Iterable[str], until: float) -> None:
    """Let nothing new refer to these series until then, in seconds since 1970; 0 ends it."""
    for uid in sorted(series_uids):
        await _locked(tx, project, uid)
        await _write(tx, project, uid, held_until=until)


async def require_there(tx: Transaction, project: str, series_uid: str, version: int) -> None:
    """Something is about to refer to this version of a series' volume.

    Raises:
        SeriesHeld: it is being deleted.
        SeriesUnknown: it was deleted since it was looked at.
    """
    row = await _locked(tx, project, series_uid)
    if row.held_until > time.time():
        raise SeriesHeld
    if row.version and version <= row.version:
        raise SeriesUnknown


async def _locked(tx: Transaction, project: str, series_uid: str) -> Any:
    table = tx.table(NAME)
    row = {"project": project, "series_uid": series_uid, "version": 0, "held_until": 0.0}
    if not await tx.insert_once(table, row, keys=("project", "series_uid")):
        await _write(tx, project, series_uid, held_until=table.c.held_until)  # PostgreSQL locks what is written
    query = select(table).where(table.c.project == project, table.c.series_uid == series_uid)
    return (await tx.execute(query)).one()


async def _write(tx: Transaction, project: str, series_uid: str, **values: Any) -> None:
    table = tx.table(NAME)
    here = (table.c.project == project) & (table.c.series_uid == series_uid)
    await tx.execute(table.update().where(here).values(**values))
