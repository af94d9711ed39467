"""Which version answers, as inference tells it: each revision once, for the history."""

from __future__ import annotations

import json
from collections.abc import Callable

from irp.inference.v1.events_pb2 import ServingConfigured
from irp_chassis.db import Database
from sqlalchemy import select

from irp_training.adapters.db import SERVING
from irp_training.adapters.documents import to_document
from irp_training.domain.registry.serving import Serving


class ServingRows:
    """See irp_training.app.tell_history.Servings.

    Args:
        database: of the room.
        now: for what came without a time, RFC 3339 UTC.
    """

    def __init__(self, database: Database, now: Callable[[], str]) -> None:
        self._database, self._now = database, now

    async def on_serving_configured(self, fact: ServingConfigured) -> None:
        """Keep a revision; the same again is the one that is there."""
        said = Serving.from_document(
            json.loads(fact.policy)
            | {"revision": fact.aggregate.version, "actor": fact.actor, "at": fact.at or self._now()}
        )
        row = {"name": fact.name, "revision": said.revision, "document": to_document(said)}
        async with self._database.transaction() as tx:
            await tx.insert_once(SERVING, row, keys=("name", "revision"))

    async def of(self, name: str) -> list[Serving]:
        """Of a model, by revision."""
        query = select(SERVING.c.document).where(SERVING.c.name == name).order_by(SERVING.c.revision)
        async with self._database.read() as connection:
            return [Serving.from_document(row) for row in (await connection.execute(query)).scalars()]
