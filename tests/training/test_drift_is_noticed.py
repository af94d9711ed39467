"""What you learn here: proposals are compared with what experts accept; alarms are rare where nothing changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp.training.v1.events_pb2 import ModelDrifted
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import encode_mask
from irp_training.adapters.change import SqlChange
from irp_training.adapters.db import METADATA
from irp_training.adapters.deleted_series import DeletedSeries
from irp_training.adapters.room_metrics import RoomMetrics
from irp_training.adapters.store import SqlStore
from irp_training.adapters.watched import CORRECTION_JOB
from irp_training.adapters.wire_watching import drift_to_proto
from irp_training.app.approvals import Approvals
from irp_training.app.configuration import Configurations
from irp_training.app.notice_correction import NoticeCorrection
from irp_training.app.ports import Project
from irp_training.app.register_model import RegisterModel
from irp_training.app.remember_mask import RememberMask
from irp_training.domain.drift.blocks import ALPHA, BLOCK, REFERENCE, groups, look, worse
from irp_training.domain.drift.correction import Correction, Proposal, compare
from irp_training.domain.run import ModelRef
from precision_builders import a_pool, a_threshold
from prometheus_client import REGISTRY
from sqlalchemy import MetaData, select
from training_builders import a_case, a_heart, a_ref, only

NOW = "2026-01-02T00:00:00Z"
MODEL = ModelRef(name="pool", version=1, digest="d" * 64)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def corrections(dice: list[float], site: str = "S1", first: int = 0) -> list[Correction]:
    return [
        Correction(
            project="demo",
            series=f"1.2.{number}",
            patient=f"p{number}",
            site=site,
            scanner="",
            model=MODEL,
            accepted=a_ref(),
            proposed=a_ref(),
            at=f"2026-01-01T{number:06d}",
            dice={"lv_blood_pool": value},
        )
        for number, value in enumerate(dice, start=first)
    ]


def test_where_nothing_changed_an_alarm_is_as_rare_as_it_says() -> None:
    random, rounds = np.random.default_rng(11), 400
    alarms = sum(worse(*np.split(random.beta(40, 4, REFERENCE + BLOCK), [BLOCK])) < ALPHA for _ in range(rounds))
    assert alarms / rounds <= 2 * ALPHA


def test_a_real_change_is_noticed_within_two_blocks() -> None:
    random, noticed, rounds = np.random.default_rng(12), 0, 60
    for _ in range(rounds):
        before = random.normal(0.93, 0.02, REFERENCE)
        after = random.normal(0.90, 0.02, 2 * BLOCK)  # one and a half standard deviations
        blocks = [look(MODEL, ("all", ""), corrections([*before, *after[:n]]), 1) for n in (BLOCK, 2 * BLOCK)]
        noticed += any(block.drifted for block in blocks)
    assert noticed / rounds > 0.9


def test_a_group_is_judged_by_its_own_past_and_pays_for_being_one_of_many() -> None:
    fine, worse_ = [0.9 + 0.001 * (n % 7) for n in range(REFERENCE)], [0.8] * BLOCK
    one, other = corrections([*fine, *worse_]), corrections([*fine, *fine], "S2", 1000)
    found = {group: look(MODEL, group, [*one, *other], 3) for group in groups([*one, *other])}
    assert [(group, drift.drifted) for group, drift in found.items()] == [
        (("all", ""), False),  # its newest block are the other site's patients
        (("site", "S1"), True),
        (("site", "S2"), False),
    ]
    waiting = look(MODEL, ("all", ""), one[: REFERENCE + BLOCK - 1], 1)
    assert (waiting.p_value, waiting.recent_cases, waiting.drifted) == (1.0, BLOCK - 1, False)


def test_a_block_is_tested_when_it_is_complete_and_never_again() -> None:
    fine = corrections([0.9 + 0.001 * n for n in range(REFERENCE + BLOCK)])
    first = look(MODEL, ("all", ""), fine, 1)
    again = [replace(one, series=f"{one.series}.2", dice={"lv_blood_pool": 0.1}) for one in fine[REFERENCE:]]
    later = look(MODEL, ("all", ""), [*fine, *again], 1, first)
    assert (later.p_value, later.drifted, later.tested_cases) == (first.p_value, False, REFERENCE + BLOCK)
    assert later.recent < first.recent
    fewer = look(MODEL, ("all", ""), fine[1:], 1, later)
    assert (fewer.cases, fewer.tested_cases) == (REFERENCE + BLOCK - 1, REFERENCE + BLOCK)
    assert look(MODEL, ("all", ""), fine, 1, fewer).p_value == first.p_value  # the block is complete once more
    bad = corrections([0.5] * BLOCK, first=100)
    assert look(MODEL, ("all", ""), [*fine, *bad], 1, fewer).drifted  # the next one
    gone = look(MODEL, ("all", ""), [], 1, later)
    assert (gone.cases, gone.reference, gone.drifted, gone.tested_cases) == (0, 0, False, REFERENCE + BLOCK)


def test_series_of_one_patient_count_once_and_those_who_taught_the_model_not_at_all() -> None:
    found = corrections([0.9, 0.7, 0.5])
    found[1] = replace(found[1], patient="p0")
    found[2] = replace(found[2], seen=True)
    drift = look(MODEL, ("all", ""), found, 1)
    assert (drift.cases, drift.reference) == (1, pytest.approx(0.8))


def test_only_what_the_expert_judged_is_compared() -> None:
    _, proposed = a_heart(1)
    accepted = only(proposed, "lv_blood_pool")
    dice, changed = compare(encode_mask(proposed), encode_mask(accepted))
    assert (dice, changed) == ({"lv_blood_pool": 1.0}, {"lv_blood_pool": 0})


class World:
    """A training room without its doors, a registered model, and what it proposed."""

    def __init__(self, database: Database) -> None:
        self.database, self.store, self.objects = database, SqlStore(database), InMemoryObjects()
        self.notice = NoticeCorrection(self.store, self.objects, self.compute, lambda: NOW)
        self.masks = RememberMask(self.store, Configurations(self.objects))

    @staticmethod
    async def compute(work: Any, *arguments: object) -> Any:
        return work(*arguments)

    async def put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )

    async def begin(self) -> None:
        approvals = Approvals(self.store, Configurations(self.objects), 0)
        model = await RegisterModel(self.store, self.objects, approvals, lambda: NOW)("pool", a_threshold(), "somebody")
        self.model = model.ref
        self.project = Project(id="demo", revision=1, configuration=await self.put(b'{"name": "demo"}'))
        _, mask = a_pool(1)
        self.mask = await self.put(encode_mask(mask))

    async def propose_and_accept(self, number: int, at: str = NOW) -> None:
        case = replace(a_case(number), mask=self.mask, manufacturer="Siemens", field_strength_t=1.494)
        proposal = Proposal(
            project="demo",
            series=case.series,
            version=1,
            model=self.model,
            mask=self.mask,
            volume_sha256=case.volume.sha256,
        )
        await self.notice.proposed(proposal)
        await self.masks(self.project, case, at=at)
        await self.notice.compare("demo", case.series, "pool", 1)

    async def rows(self, table: str, where: str) -> list[Any]:
        rows = METADATA.tables[table]
        async with self.database.read() as connection:
            found = (await connection.execute(select(rows))).all()
        return [row for row in found if where in str(row)]


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.begin()
    return world


async def test_an_accepted_mask_is_compared_with_the_proposal_for_its_volume_once(world: World) -> None:
    await world.propose_and_accept(1)
    await world.notice.compare("demo", "1.2.1", "pool", 1)  # the job comes twice
    pair = await world.store.correction("demo", "1.2.1", "pool", 1)
    assert pair is not None
    assert (pair.agreement, pair.at, pair.scanner) == (1.0, NOW, "Siemens 1.5 T")
    assert len(await world.rows("job", CORRECTION_JOB)) == 1
    drifts = await world.store.drifts("pool")
    assert [(one.by, one.value, one.cases) for one in drifts] == [
        ("all", "", 1),
        ("scanner", "Siemens 1.5 T", 1),
        ("site", "site-1", 1),
    ]
    assert drift_to_proto(drifts[0]).reference == 1.0
    assert await world.store.correction("demo", "1.2.9", "pool", 1) is None
    await world.notice.compare("demo", "1.2.9", "pool", 1)  # its rows have left meanwhile


async def test_an_alarm_is_announced_once_per_block_and_its_time_is_kept(world: World) -> None:
    await world.propose_and_accept(999, at="2026-01-09")
    before = corrections([0.95 + 0.001 * (n % 5) for n in range(REFERENCE)])
    after = corrections([0.8] * (BLOCK - 1), first=500)
    async with world.store.change() as change:
        assert isinstance(change, SqlChange)
        for one in [*before, *after]:
            await change.save_correction(one)
    await world.propose_and_accept(1000, at="2026-01-08")  # Dice 1, but the block is complete
    await world.notice.compare("demo", "1.2.1000", "pool", 1)
    facts = [ModelDrifted.FromString(row.data) for row in await world.rows("outbox", "drifted")]
    assert {(fact.by, fact.aggregate.version) for fact in facts} >= {("all", REFERENCE + BLOCK)}
    assert len(facts) == len({fact.aggregate.id for fact in facts})
    (whole,) = [one for one in await world.store.drifts("pool") if one.by == "all"]
    assert whole.drifted
    assert whole.alarmed_at == NOW
    await RoomMetrics(world.database).look()
    assert REGISTRY.get_sample_value("irp_training_model_drifted", {"model": "pool", "version": "1", "by": "all"}) == 1
    when = {"model": "pool", "version": "1", "when": "recent"}
    assert REGISTRY.get_sample_value("irp_training_proposal_dice", when) == pytest.approx(whole.recent)


async def test_a_mask_that_is_accepted_during_a_comparison_is_not_overwritten_by_the_one_before(world: World) -> None:
    await world.propose_and_accept(1)
    pair = await world.store.correction("demo", "1.2.1", "pool", 1)
    assert pair is not None
    newer, at_once = replace(pair, accepted=await world.put(b"v2"), dice=None), world.compute

    async def meanwhile(work: Any, *arguments: object) -> Any:
        async with world.store.change() as change:
            await change.save_correction(newer)
        return await at_once(work, *arguments)

    await NoticeCorrection(world.store, world.objects, meanwhile, lambda: NOW).compare("demo", "1.2.1", "pool", 1)
    assert await world.store.correction("demo", "1.2.1", "pool", 1) == newer


async def test_a_deleted_series_does_not_come_back_and_no_mean_holds_it(world: World) -> None:
    await world.propose_and_accept(1)
    await world.propose_and_accept(2)
    at_once, rows = world.compute, DeletedSeries(world.database, world.objects, lambda: NOW)

    def deleted(series: str) -> SeriesDeleted:
        return SeriesDeleted(project=ProjectRef(id="demo"), aggregate=Aggregate(version=9), series_uid=series)

    async def meanwhile(work: Any, *arguments: object) -> Any:
        await rows.forget(deleted("1.2.1"))
        return await at_once(work, *arguments)

    await NoticeCorrection(world.store, world.objects, meanwhile, lambda: NOW).compare("demo", "1.2.1", "pool", 1)
    assert await world.store.correction("demo", "1.2.1", "pool", 1) is None
    assert {one.cases for one in await world.store.drifts("pool")} == {1}
    first = {"model": "pool", "version": "1", "when": "reference"}
    await RoomMetrics(world.database).look()
    assert REGISTRY.get_sample_value("irp_training_proposal_dice", first) == 1
    await rows.forget(deleted("1.2.2"))
    await RoomMetrics(world.database).look()
    assert REGISTRY.get_sample_value("irp_training_proposal_dice", first) is None
    assert {(one.cases, one.reference) for one in await world.store.drifts("pool")} == {(0, 0.0)}
