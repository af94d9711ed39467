"""How far queued proposals are: kept in their jobs' rows, so that any process can say it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from irp.inference.v1 import inference_service_pb2 as pb
from irp_chassis.db import Database
from irp_chassis.jobs import Job
from sqlalchemy import select

from irp_inference.domain.errors import ProposalUnknown

PROPOSAL = "proposal"


@dataclass(slots=True)
class Noting:
    """Writes down the progress of one attempt."""

    database: Database
    job: Job
    began: float

    async def __call__(self, done: int, total: int) -> None:
        """So many frames are done."""
        table = self.database.metadata.tables["job"]
        progress = {"done": done, "total": total, "began": self.began, "at": time.time()}
        here = (table.c.kind == self.job.kind) & (table.c.key == self.job.key)
        statement = table.update().where(here).values(payload={**self.job.payload, "progress": progress})
        async with self.database.transaction(mark=False) as tx:
            await tx.execute(statement)


class Proposals:
    """Reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, key: str) -> pb.GetProposalResponse:
        """State and progress of a job.

        Raises:
            ProposalUnknown: there is no such job.
        """
        table = self._database.metadata.tables["job"]
        columns = (table.c.state, table.c.reason, table.c.payload)
        async with self._database.read() as connection:
            query = select(*columns).where(table.c.kind == PROPOSAL, table.c.key == key)
            row = (await connection.execute(query)).first()
        if row is None:
            raise ProposalUnknown
        progress: dict[str, Any] = row.payload.get("progress", {})
        return pb.GetProposalResponse(
            state=row.state,
            reason=row.reason,
            series_uid=row.payload["series_uid"],
            model=row.payload["model"],
            done=progress.get("done", 0),
            total=progress.get("total", 0),
            eta_s=0.0 if row.state == "done" else _eta_s(progress),
        )


def _eta_s(progress: dict[str, Any]) -> float:
    """Seconds to the end at the pace so far; -1 = unknown."""
    done = progress.get("done", 0)
    if not done:
        return -1.0
    left_s = float((progress["at"] - progress["began"]) / done * (progress["total"] - done))
    since_s = time.time() - float(progress["at"])
    return max(0.0, left_s - since_s)
