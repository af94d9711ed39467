"""What you learn here: every upload leaves a signed report, and what a report may make ingest believe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_from_proto
from irp_deid import SiteKey
from irp_deid.signed import verify
from irp_deid.uploads import count_actions

from .conftest import SECRETS, Door, a_short_axis_series
from .uploader import Uploader


async def document_of(door: Door, name: str) -> dict[str, Any]:
    """A report made by ingest, its signature checked."""
    found = await door.client.call(door.stub.GetReport, pb.GetReportRequest(project=door.project, id=name))
    key = await door.client.call(door.stub.GetReportKey, pb.GetReportKeyRequest(project=door.project))
    jws = (await door.objects.get(object_ref_from_proto(found.report.object))).decode()
    return verify(jws, json.loads(key.jwk))


async def an_uploader(door: Door, site: str = "north") -> Uploader:
    """Somebody who fetched the key of a site."""
    asked = pb.IssueSiteKeyRequest(project=door.project, site=site)
    key = SiteKey((await door.client.call(door.stub.IssueSiteKey, asked)).key)
    ref = door.project.configuration
    return Uploader(key, project=door.project.id, revision=door.project.revision, configuration=ref.sha256)


async def send_report(door: Door, uploader: Uploader, document: dict[str, Any], site: str = "north") -> str:
    request = pb.StoreReportRequest(project=door.project, site=site, jws=uploader.signed(document))
    return str((await door.client.call(door.stub.StoreReport, request)).id)


async def refusal(waiting: Any) -> str:
    with pytest.raises(RemoteError) as refused:
        await waiting
    return str(refused.value.reason)


async def test_an_upload_leaves_a_signed_report_of_what_was_done(door: Door) -> None:
    files = a_short_axis_series(slices=1, phases=2)
    answer = await door.sent([*files, b"no image"])
    document = await document_of(door, answer.report)
    assert (document["by"], document["complete"], document["project"]) == ("ingest", True, "hearts")
    assert document["configuration"] == door.project.configuration.sha256
    assert document["profile"]["options"] == ["113105", "113107", "113111"]
    assert {one["sop_uid"] for one in document["instances"]} == {o.sop_instance_uid for o in answer.outcomes[:2]}
    stored = [found async for found in door.client.stream(door.stub.Locate, pb.LocateRequest(project=door.project))]
    assert {one["sha256"] for one in document["instances"]} == {found.object.sha256 for found in stored}
    assert document["refused"] == {"NOT_DICOM": 1}
    assert len(document["treatments"]) == 1, "instances that were treated alike share an entry"
    assert count_actions(document)["replaced"] > 0
    assert not [secret for secret in SECRETS if secret in json.dumps(document)]
    again = await door.sent([b"no image", *files[::-1]])
    assert again.report == answer.report, "the same upload has the same report"
    assert [(line.by, line.instances, line.refused) for line in await _lines(door)] == [("ingest", 2, 1)]


async def test_a_cut_upload_has_a_report_of_what_was_stored(door: Door) -> None:
    files = a_short_axis_series(slices=1, phases=2)

    async def cut() -> AsyncIterator[pb.StoreInstancesRequest]:
        yield pb.StoreInstancesRequest(upload=pb.Upload(project=door.project, site="north"))
        yield pb.StoreInstancesRequest(begin=True)
        yield pb.StoreInstancesRequest(data=files[0])
        yield pb.StoreInstancesRequest(end=True)
        while not await door.search("instance"):
            await asyncio.sleep(0.02)
        raise ConnectionError

    with pytest.raises(Exception):  # noqa: B017 - whatever a broken stream looks like to its sender
        await door.client.call(door.stub.StoreInstances, cut(), timeout_s=30)
    async with asyncio.timeout(10):
        while not (found := await _lines(door)):
            await asyncio.sleep(0.02)
    assert (found[0].instances, found[0].complete) == (1, False)


async def _lines(door: Door) -> list[pb.UploadReport]:
    answer = await door.client.call(door.stub.ListReports, pb.ListReportsRequest(project=door.project, limit=10))
    return list(answer.reports)


async def test_what_its_uploader_deidentified_is_stored_as_it_is_and_joins_what_ingest_did(door: Door) -> None:
    uploader, files = await an_uploader(door), a_short_axis_series()
    treated = [uploader.treat(file) for file in files[:6]]
    name = await send_report(door, uploader, uploader.report([one for _, one in treated]))
    answer = await door.sent([data for data, _ in treated], report=name)
    assert [outcome.reason for outcome in answer.outcomes] == [""] * 6
    assert (await document_of(door, answer.report))["declared"] == name
    stored = [found async for found in door.client.stream(door.stub.Locate, pb.LocateRequest(project=door.project))]
    assert {found.object.sha256 for found in stored} == {one.sha256 for _, one in treated}
    rest = await door.upload(files)
    assert [outcome.already_stored for outcome in rest] == [True] * 6 + [False] * 6
    assert len({outcome.series_uid for outcome in [*answer.outcomes, *rest]}) == 1
    state = await door.settled(rest[0].series_uid)
    assert (state.instances, state.series.sequence_class) == (12, "cine-sax"), "the uploader matched the rules"


async def test_a_project_may_demand_it_and_a_report_holds_for_its_site_and_rules_only(door: Door) -> None:
    await door.configure(before_arrival="required")
    uploader = await an_uploader(door)
    data, treated = uploader.treat(a_short_axis_series(slices=1, phases=1)[0])
    assert await refusal(door.upload([data])) == "DEIDENTIFIED_BEFORE_ARRIVAL", "the attribute alone proves nothing"
    name = await send_report(door, uploader, uploader.report([treated]))
    good, bad = await door.upload([data, data[:-2] + b"\x01\x01"], report=name)
    assert (good.failure_reason, bad.failure_reason, bad.reason) == (0, 0xA900, "NOT_IN_REPORT")
    assert await refusal(door.upload([data], site="south", report=name)) == "SIGNATURE_NOT_VALID"
    assert await refusal(door.upload([data], report="0" * 32)) == "REPORT_UNKNOWN"
    by_ingest = [line.id for line in await _lines(door) if line.by == "ingest"]
    assert await refusal(door.upload([data], report=by_ingest[0])) == "REPORT_UNKNOWN"
    await door.configure(options=["113105"])
    assert await refusal(door.upload([data], report=name)) == "REPORT_OUTDATED"
