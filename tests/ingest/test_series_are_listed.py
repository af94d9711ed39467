"""What you learn here: series are listed page by page in the order of their arrival, and none twice as more arrive."""

from __future__ import annotations

import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.verdicts import RemoteError

from .conftest import Door, a_short_axis_series


async def listed(door: Door, after: str, limit: int) -> tuple[list[str], str]:
    asked = pb.ListSeriesRequest(project=door.project, after=after, limit=limit)
    page: pb.ListSeriesResponse = await door.client.call(door.stub.ListSeries, asked)
    return [state.series.series_uid for state in page.series], page.next


async def test_pages_follow_the_order_of_arrival(door: Door) -> None:
    arrived = [(await door.upload(a_short_axis_series(slices=1, phases=1, seed=n)))[0].series_uid for n in range(4)]
    first, after = await listed(door, "", 3)
    assert first == arrived[:3]
    (later,) = await door.upload(a_short_axis_series(slices=1, phases=1, seed=4))
    assert await listed(door, after, 3) == ([arrived[3], later.series_uid], "")
    assert await listed(door, "", 0) == ([*arrived, later.series_uid], "")
    for nowhere in ("nowhere", "soon 1.2.3"):
        with pytest.raises(RemoteError) as refused:
            await listed(door, nowhere, 3)
        assert (refused.value.reason, refused.value.code.name) == ("CURSOR_NOT_VALID", "INVALID_ARGUMENT")
