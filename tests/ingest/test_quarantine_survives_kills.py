"""What you learn here: whoever is killed between any two steps of the quarantine repeats the step, and all is well.

Every call of store and tables is a moment at which the process may end: before it, or after it and before anybody
hears of it. For each moment the story is told once, ended there, and begun again where its caller would.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_deid.pixels import Region
from irp_ingest.adapters.db import INSTANCE, METADATA
from irp_ingest.adapters.index import SqlIndex
from irp_ingest.adapters.quarantine import KIND, SqlQuarantine
from irp_ingest.adapters.sealed import KEY_BYTES, SealedInStore, seal, unseal
from irp_ingest.adapters.secrets import ProjectSecrets
from irp_ingest.app.carry_out import CarryOut
from irp_ingest.app.decide_quarantined import DecideQuarantined
from irp_ingest.app.keep_apart import KeepApart
from irp_ingest.app.ports import ProjectAt
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.domain.decision import DONE, Decision
from irp_ingest.domain.errors import QuarantineDecided, QuarantineUnknown
from irp_ingest.domain.intake import Intake, Order, take_in
from irp_ingest.domain.mask import masked
from irp_kernel import ObjectRef
from irp_kernel.errors import DataLoss
from sqlalchemy import MetaData, select

from .conftest import to_bytes
from .test_quarantine import a_capture

REF = ObjectRef(bucket="b", key="k", sha256="0" * 64, size=1, media_type="application/json")
PROJECT = ProjectAt(id="hearts", revision=1, configuration=REF)
ORIGINAL = to_bytes(a_capture())


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Killed(BaseException):
    """The process ended."""


class Death:
    """Comes at one of the moments, and once only."""

    def __init__(self, moment: int) -> None:
        self.moment, self.passed = moment, 0

    def may_come(self) -> None:
        self.passed += 1
        if self.passed == self.moment:
            raise Killed


class Mortal:
    """A collaborator whose every call is two moments."""

    def __init__(self, whole: Any, death: Death) -> None:
        self._whole, self._death = whole, death

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._whole, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._death.may_come()
            answer = await method(*args, **kwargs)
            self._death.may_come()
            return answer

        return call


class Here:
    """Work of the workers, in this process."""

    async def take_in(self, original: bytes, order: Order) -> Intake:
        return take_in(original, order)

    async def mask(self, file: bytes, regions: Sequence[Region]) -> bytes:
        return masked(file, regions)

    async def read(self, ref: ObjectRef) -> dict[str, Any]:
        return {"series_quiet_s": 1.0}


async def tell(database: Database, death: Death, decision: Decision) -> InMemoryObjects:
    """Upload, decision, and the job that carries it out; each repeated until it was heard."""
    objects, secrets, here = InMemoryObjects(), ProjectSecrets(database, bytes(32)), Here()
    rows: Any = Mortal(SqlQuarantine(database, lambda: datetime.now(UTC)), death)
    index: Any = Mortal(SqlIndex(database, secrets), death)
    store: Any = Mortal(objects, death)
    sealed = SealedInStore(store, secrets)
    keep = StoreInstance(here, store, index, here, KeepApart(rows, sealed, limit=9))
    decide, carry_out = DecideQuarantined(rows, sealed, here), CarryOut(rows, sealed, here, keep, here)
    order = Order(site_key=bytes(32), options=frozenset({"113105", "113107"}), sequences=[], study_uid="")
    outcome = await again(lambda: keep(ORIGINAL, PROJECT, order, 1.0))
    assert outcome.reason == "QUARANTINED"
    await again(lambda: decide(PROJECT, outcome.sop_uid, decision, "curator-1"))
    await again(lambda: carry_out(PROJECT, outcome.sop_uid))
    await again(lambda: carry_out(PROJECT, outcome.sop_uid))  # a job may run twice
    apart = await SqlQuarantine(database, lambda: datetime.now(UTC)).find("hearts", outcome.sop_uid)
    assert (apart.state, apart.decided_by, apart.object) == (DONE[decision.follows], "curator-1", None)
    return objects


async def again(step: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await step()
    except Killed:
        return await step()


@pytest.mark.parametrize(
    ("decision", "stored"),
    [
        (Decision(action="release"), 1),
        (Decision(action="mask", regions=((8, 4, 40, 3),)), 1),
        (Decision(action="discard"), 0),
    ],
    ids=["release", "mask", "discard"],
)
async def test_killed_at_any_moment_the_end_is_the_same(decision: Decision, stored: int, tmp_path: Path) -> None:
    moment, death = 0, Death(0)
    while moment <= death.passed:  # once it is past the last moment, nobody was killed
        moment, death = moment + 1, Death(moment + 1)
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/{moment}.db", METADATA)
        async with database.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        objects = await tell(database, death, decision)
        kinds = sorted(key.split("/")[4] for _, key in objects.stored)
        assert kinds == ["instance"] * stored, moment
        async with database.read() as connection:
            held = (await connection.execute(select(INSTANCE.c.object))).scalars().all()
            jobs = METADATA.tables["job"]
            queued = (await connection.execute(select(jobs.c.key).where(jobs.c.kind == KIND))).all()
        assert [ref["key"] for ref in held] == [key for _, key in objects.stored], moment
        assert len(queued) == 1, moment
        await database.close()
    assert moment > 20


async def test_the_rows_wait_page_and_end_alike_on_both_databases(either_database: Database) -> None:
    rows = SqlQuarantine(either_database, lambda: datetime.now(UTC))
    order = Order(site_key=bytes(32), options=frozenset({"113107"}), sequences=[], study_uid="")
    intakes = [take_in(to_bytes(a_capture(seed)), order) for seed in range(3)]
    for intake in intakes + intakes[:1]:
        await rows.enter("hearts", intake, REF)
    uids = [intake.sop_uid for intake in intakes]
    found, after = await rows.page("hearts", "waiting", "", 2)
    assert ([one.id for one in found], await rows.waiting("hearts")) == (uids[:2], 3)
    last, end = await rows.page("hearts", "waiting", after, 2)
    assert ([one.id for one in last], end) == (uids[2:], "")
    decision = Decision(action="mask", regions=((1, 2, 3, 4),))
    for _ in range(2):
        decided = await rows.decide(PROJECT, found[0], decision, "curator-1")
    assert (decided.state, decided.regions) == ("masking", [(1, 2, 3, 4)])
    with pytest.raises(QuarantineDecided):
        await rows.decide(PROJECT, found[0], Decision(action="discard"), "curator-2")
    assert len(await rows.references()) == 3
    await rows.settle(decided)
    assert (len(await rows.references()), await rows.waiting("hearts")) == (2, 2)
    with pytest.raises(QuarantineUnknown):
        await rows.find("lungs", uids[0])


async def test_a_release_whose_uid_was_taken_meanwhile_waits_again(either_database: Database) -> None:
    rows, here = SqlQuarantine(either_database, lambda: datetime.now(UTC)), Here()
    secrets, objects = ProjectSecrets(either_database, bytes(32)), InMemoryObjects()
    sealed = SealedInStore(objects, secrets)
    keep = StoreInstance(here, objects, SqlIndex(either_database, secrets), here, KeepApart(rows, sealed, limit=9))
    order = Order(site_key=bytes(32), options=frozenset({"113107"}), sequences=[], study_uid="")
    outcome = await keep(ORIGINAL, PROJECT, order, 1.0)
    apart = await rows.find("hearts", outcome.sop_uid)
    other = replace(take_in(ORIGINAL, order), fingerprint="another", data=b"another", doubt=None)
    await keep.keep(other, PROJECT, 1.0)
    await rows.decide(PROJECT, apart, Decision(action="release"), "curator-1")
    await CarryOut(rows, sealed, here, keep, here)(PROJECT, apart.id)
    again = await rows.find("hearts", apart.id)
    assert (again.state, again.decided_by, again.times) == ("waiting", "", 2)
    assert again.object is not None
    assert await objects.exists(again.object)


def test_a_sealed_object_opens_in_its_own_place_only_and_sealing_twice_is_sealing_once() -> None:
    keys = bytes(range(2 * KEY_BYTES))
    sealed = seal(ORIGINAL, keys, b"hearts/2.25.1")
    assert sealed == seal(ORIGINAL, keys, b"hearts/2.25.1")
    assert unseal(sealed, keys, b"hearts/2.25.1") == ORIGINAL
    assert seal(ORIGINAL + b"x", keys, b"hearts/2.25.1")[:12] != sealed[:12]
    for wrong in (
        (sealed, keys, b"hearts/2.25.2"),
        (sealed, keys[::-1], b"hearts/2.25.1"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), keys, b"hearts/2.25.1"),
    ):
        with pytest.raises(DataLoss):
            unseal(*wrong)
