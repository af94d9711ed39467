"""What you learn here: how images leave ingest: rows at once, objects afterwards, and they may come again."""

from __future__ import annotations

import asyncio

import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.verdicts import RemoteError

from .conftest import Door, a_short_axis_series


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


async def objects_of(door: Door, series_uid: str) -> list[str]:
    return await door.objects.keys(project=door.project.id, entity="series", id=series_uid)


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
