"""What you learn here: all asks of a series reach the replica that knows it; where it is gone or full, the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from irp_chassis.auth import TokenMinter
from irp_gateway.adapters import replicas as replicas_module
from irp_gateway.adapters.replicas import addresses_of
from irp_gateway.adapters.rooms import series_key

from .two_replicas import SERIES, Pair, a_request, two_replicas


@pytest.fixture
async def pair(key_files: tuple[Path, Path], minter: TokenMinter) -> AsyncIterator[Pair]:
    async with two_replicas(key_files, minter) as found:
        yield found


async def test_all_asks_of_a_series_reach_one_replica_and_series_are_shared_out(pair: Pair) -> None:
    for model in ("cine", "click"):
        for series in SERIES:
            await pair.ask(series, model)
    asked = [one.asked for one in pair.replicas.values()]
    assert not set(asked[0]) & set(asked[1])
    assert set(asked[0]) | set(asked[1]) == set(SERIES)
    assert all(asked)


async def test_a_replica_that_is_killed_costs_no_request_and_gets_its_series_back(pair: Pair) -> None:
    gone, stays = pair.owner(SERIES[0]), pair.other(SERIES[0])
    mine = [series for series in SERIES if pair.owner(series) is gone]
    asking = [asyncio.create_task(pair.ask(series)) for series in SERIES * 3]
    await asyncio.sleep(0)
    await gone.die()
    await asyncio.gather(*asking)  # none failed
    await asyncio.gather(*map(pair.ask, SERIES))
    assert set(mine) <= set(stays.asked)
    await gone.start()
    await pair.both_are_there()
    gone.asked.clear()
    await asyncio.gather(*map(pair.ask, SERIES))
    assert sorted(gone.asked) == sorted(mine)


async def test_a_replica_that_says_it_does_not_serve_is_left_alone(pair: Pair) -> None:
    leaving = pair.owner(SERIES[0])
    assert leaving.server
    await leaving.server.set_serving(False)
    await pair.until(lambda: len(pair.line.near("any")) == 1)
    await pair.ask(SERIES[0])
    assert leaving.asked == []
    await leaving.server.set_serving(True)
    await pair.both_are_there()


async def test_being_watched_does_not_hold_up_a_replica_that_leaves(pair: Pair) -> None:
    leaving = pair.owner(SERIES[0])
    assert leaving.server
    await leaving.server.set_serving(False)
    async with asyncio.timeout(5):
        await leaving.server.stop(30)
    await pair.ask(SERIES[0])


async def test_a_full_replica_gives_to_the_next_and_if_all_are_full_the_caller_hears_it(pair: Pair) -> None:
    pair.owner(SERIES[0]).full = True
    await pair.ask(SERIES[0])
    assert pair.other(SERIES[0]).asked == [SERIES[0]]
    pair.other(SERIES[0]).full = True
    with pytest.raises(Exception, match="More requests wait") as found:
        await pair.ask(SERIES[0])
    assert getattr(found.value, "reason", "") == "INFERENCE_QUEUE_FULL"


async def test_what_is_wrong_with_a_request_is_not_asked_twice(pair: Pair) -> None:
    with pytest.raises(Exception, match=r".") as found:
        await pair.ask(SERIES[0], "liver")
    assert getattr(found.value, "reason", "") == "NOT_FOUND"
    assert pair.other(SERIES[0]).asked == []


async def test_replicas_that_leave_the_name_are_not_asked_and_one_alone_is_asked_as_ever(pair: Pair) -> None:
    owner = pair.owner(SERIES[0])
    replicas = pair.line.replicas
    assert replicas
    await replicas.set(frozenset({f"127.0.0.1:{pair.other(SERIES[0]).port}"}))
    assert pair.line.near(series_key(a_request(SERIES[0]))) == []
    await pair.ask(SERIES[0])
    await replicas.set(frozenset(pair.replicas))
    await pair.both_are_there()
    assert pair.owner(SERIES[0]) is owner


async def test_a_replica_that_left_long_ago_is_hung_up_on_and_may_come_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas_module, "RETIRED_S", -1.0)
    replicas, left = pair.line.replicas, pair.owner(SERIES[0])
    assert replicas
    old = pair.line.near(series_key(a_request(SERIES[0])))[0]
    await replicas.set(frozenset({f"127.0.0.1:{pair.other(SERIES[0]).port}"}))
    assert old.client.channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    await replicas.set(frozenset(pair.replicas))
    await pair.both_are_there()
    await pair.ask(SERIES[0])
    assert left.asked == [SERIES[0]]


async def test_names_lead_to_addresses_of_one_family() -> None:
    assert await addresses_of("dns:///127.0.0.1:9000") == {"127.0.0.1:9000"}
    assert await addresses_of("127.0.0.1:9000") == {"127.0.0.1:9000"}
    assert await addresses_of("ipv4:10.0.0.1:9000,10.0.0.2:9000") == {"10.0.0.1:9000", "10.0.0.2:9000"}
    assert len(await addresses_of("localhost:9000")) == 1
