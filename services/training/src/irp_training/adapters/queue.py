"""The order in which runs begin: the highest priority first, then the oldest; over all projects of the room."""

from __future__ import annotations

from typing import Any

from irp_chassis.db import Database
from sqlalchemy import and_, desc, func, or_, select

from irp_training.adapters.db import METADATA, RUN
from irp_training.domain.run import Run


def run_order() -> tuple[Any, ...]:
    """What job rows of runs are sorted by; a run's row says its priority, so that changing it is one write."""
    payload = METADATA.tables["job"].c.payload
    mine = and_(RUN.c.project == payload["project"].as_string(), RUN.c.id == payload["run"].as_string())
    priority = select(RUN.c.priority).where(mine).scalar_subquery()
    return (desc(func.coalesce(priority, 0)),)


async def runs_ahead(database: Database, run: Run) -> int:
    """Runs that work, or will begin before this one; 0 once it has begun."""
    if run.state != "queued":
        return 0
    older = and_(RUN.c.priority == run.priority, RUN.c.created_at < run.created_at)
    first = and_(RUN.c.state == "queued", or_(RUN.c.priority > run.priority, older))
    query = select(func.count()).select_from(RUN).where(or_(RUN.c.state == "running", first))
    async with database.read() as connection:
        return int((await connection.execute(query)).scalar() or 0)
