"""What you learn here: the progress of a proposal lies in its job's row, whoever works on it."""

from __future__ import annotations

import time

import pytest
from irp.common.v1.types_pb2 import ObjectRef, ProjectRef
from irp_chassis.db import Database
from irp_chassis.jobs import Job
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.events import enqueue_proposal
from irp_inference.adapters.proposals import Noting, Proposals
from irp_inference.domain.errors import ProposalUnknown
from sqlalchemy import MetaData, select

REF = ObjectRef(bucket="irp-gateway", key="k", sha256="a" * 64, size=1, media_type="application/json")
PROJECT = ProjectRef(id="demo", revision=1, configuration=REF)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


async def test_a_proposal_tells_frames_and_seconds_to_its_end(database: Database) -> None:
    proposals = Proposals(database)
    async with database.transaction() as tx:
        key = await enqueue_proposal(tx, PROJECT, "1.2", 1, "cine", by="cine@3")
    queued = await proposals.state(key)
    assert (queued.state, queued.done, queued.total, queued.eta_s) == ("queued", 0, 0, -1)
    async with database.read() as connection:
        row = (await connection.execute(select(METADATA.tables["job"]))).first()
    assert row
    noting = Noting(database, Job(kind=row.kind, key=row.key, payload=row.payload, attempt=1), time.time() - 10)
    await noting(2, 4)
    told = await proposals.state(key)
    assert (told.done, told.total, told.series_uid, told.model) == (2, 4, "1.2", "cine")
    assert 9 < told.eta_s <= 10.1
    with pytest.raises(ProposalUnknown):
        await proposals.state("demo/9.9/1/cine")
