"""What was deleted where it came from: a fact about an older version that comes late must not bring it back.

Facts of different kinds are not ordered among each other: "stored, version 3" may be handled after "deleted, version 4".
A room that keeps a read model declares this table beside it, writes into it what it forgot, and asks it first.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, String, Table, select

from irp_chassis.db import Transaction


def forgotten_table(metadata: MetaData) -> Table:
    """Declare the table: the newest version of each thing that was deleted."""
    return Table(
        "forgotten",
        metadata,
        Column("project", String(64), primary_key=True),
        Column("id", String(128), primary_key=True),
        Column("version", BigInteger, nullable=False),
    )


async def forget(tx: Transaction, table: Table, *, project: str, id: str, version: int) -> bool:
    """Write down that everything up to `version` was deleted; False if that was known."""
    if await is_forgotten(tx, table, project=project, id=id, version=version):
        return False
    await tx.upsert(table, {"project": project, "id": id, "version": version}, keys=("project", "id"))
    return True


async def is_forgotten(tx: Transaction, table: Table, *, project: str, id: str, version: int) -> bool:
    """True if this version of a thing, or a newer one, was deleted."""
    known = await tx.execute(select(table.c.version).where(table.c.project == project, table.c.id == id))
    return int(known.scalar() or 0) >= version > 0
