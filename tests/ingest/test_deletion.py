"""What you learn here: how images leave ingest: rows at once, objects afterwards, and they may come again."""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path

import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.failpoints import BEFORE_REMOVAL
from irp_chassis.settings import ServiceSettings
from irp_chassis.verdicts import RemoteError
from irp_ingest.adapters.db import METADATA
from irp_ingest.adapters.remover import Remover
from pydicom import dcmread

from .conftest import Door, a_short_axis_series, to_bytes
from .test_quarantine import a_capture, quarantine
from .test_quarantine_process_is_killed import DIED, ingest_process


def as_owner(door: Door) -> None:
    act_as(Caller(subject="owner-1", project=door.project.id, roles=frozenset({"owner", "uploader"})))


async def delete(
    door: Door, outcome: pb.InstanceOutcome, *, level: str = "study", asked: bool = True
) -> tuple[int, int]:
    request = pb.DeleteInstancesRequest(project=door.project, study_uid=outcome.study_uid)
    request.series_uid = outcome.series_uid if level != "study" else ""
    request.sop_instance_uid = outcome.sop_instance_uid if level == "instance" else ""
    request.asked_series_uids.extend([outcome.series_uid] if asked else [])
    done = await door.client.call(door.stub.DeleteInstances, request)
    return done.instances, done.series


async def objects_of(door: Door, id: str, entity: str = "series") -> list[str]:
    return await door.objects.keys(project=door.project.id, entity=entity, id=id)


async def until_no_objects(door: Door, series_uid: str) -> None:
    async with asyncio.timeout(20):
        while await objects_of(door, series_uid):
            await asyncio.sleep(0.05)


async def test_a_deleted_study_is_gone_with_its_objects_and_may_come_again_as_a_newer_version(door: Door) -> None:
    as_owner(door)
    first = (await door.upload(a_short_axis_series(phases=2)))[0]
    await door.settled(first.series_uid)
    assert await delete(door, first) == (6, 1)
    assert await delete(door, first) == (0, 0)
    assert [await door.search(level) for level in ("study", "series", "instance")] == [[], [], []]
    await until_no_objects(door, first.series_uid)
    again = await door.upload(a_short_axis_series(phases=2))
    assert {(o.failure_reason, o.already_stored) for o in again} == {(0, False)}
    state = await door.settled(first.series_uid)
    assert (state.state, state.instances) == ("assembled", 6)
    assert state.version > 1
    assert len(await objects_of(door, first.series_uid)) >= 6


async def test_a_series_that_loses_an_instance_is_assembled_anew_from_what_is_left(door: Door) -> None:
    as_owner(door)
    outcomes = await door.upload(a_short_axis_series(slices=3, phases=1))
    before = await door.settled(outcomes[-1].series_uid)
    assert await delete(door, outcomes[-1], level="instance") == (1, 0)
    after = await door.settled(outcomes[-1].series_uid)
    assert (before.instances, after.instances) == (3, 2)
    assert after.version > before.version
    assert len(await door.search("instance")) == 2


async def test_only_an_owner_deletes_and_only_what_was_asked_about(door: Door) -> None:
    first = (await door.upload(a_short_axis_series(slices=1, phases=1)))[0]
    with pytest.raises(RemoteError) as refused:
        await delete(door, first)
    assert refused.value.reason == "PERMISSION_DENIED"
    as_owner(door)
    with pytest.raises(RemoteError) as changed:
        await delete(door, first, asked=False)
    assert changed.value.reason == "SERIES_CHANGED"
    assert len(await door.search("instance")) == 1


async def test_what_waits_in_quarantine_and_the_reports_of_uploads_stay(door: Door) -> None:
    as_owner(door)
    image = dcmread(io.BytesIO(a_short_axis_series(slices=1, phases=1)[0]))
    same_series = {name: image[name].value for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    answer = await door.sent([to_bytes(image), to_bytes(a_capture(5, **same_series))])
    kept, apart = answer.outcomes
    assert apart.reason == "QUARANTINED"
    await door.settled(kept.series_uid)
    elsewhere = {"quarantine": apart.sop_instance_uid, "upload": answer.report}
    before = [await objects_of(door, name, entity) for entity, name in elsewhere.items()]
    assert all(before)
    assert await delete(door, kept) == (1, 1)
    await until_no_objects(door, kept.series_uid)
    assert [await objects_of(door, name, entity) for entity, name in elsewhere.items()] == before
    assert [one.id for one in await quarantine(door, "waiting")] == [apart.sop_instance_uid]


async def test_objects_wait_for_an_assembly_that_may_still_put_some(door: Door) -> None:
    as_owner(door)
    first = (await door.upload(a_short_axis_series(slices=1, phases=1)))[0]
    await door.settled(first.series_uid)
    job = METADATA.tables["job"]
    key = f"{door.project.id}/{first.series_uid}/99"
    async with door.room.database.transaction() as tx:
        await tx.enqueue("assemble", key=key, payload={})
        await tx.execute(job.update().where(job.c.key == key).values(state="running", lease_until=1e12))
    assert await delete(door, first) == (1, 1)
    assert not await Remover(door.room.database, door.objects).remove_next()
    assert await objects_of(door, first.series_uid)
    async with door.room.database.transaction() as tx:
        await tx.execute(job.update().values(state="done"))
    await until_no_objects(door, first.series_uid)


async def test_ingest_that_is_killed_between_rows_and_objects_removes_the_objects_when_it_is_back(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    async with ingest_process(service_settings, minter, tmp_path) as door:
        as_owner(door)
        first = (await door.upload(a_short_axis_series(slices=2, phases=1, seed=41)))[0]
        await door.settled(first.series_uid)
        assert len(await objects_of(door, first.series_uid)) >= 4
        (tmp_path / BEFORE_REMOVAL).touch()
        with contextlib.suppress(*DIED):  # or it answers just before it dies
            assert await delete(door, first) == (2, 1)
        async with asyncio.timeout(20):
            while (tmp_path / BEFORE_REMOVAL).exists():
                await asyncio.sleep(0.02)
        assert await objects_of(door, first.series_uid)
    async with ingest_process(service_settings, minter, tmp_path) as door:
        as_owner(door)
        await until_no_objects(door, first.series_uid)
        assert await delete(door, first) == (0, 0)
        assert await door.search("instance") == []
