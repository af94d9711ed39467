"""What you learn here: every upload leaves a signed report, and what a report may make ingest believe."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pydicom
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_from_proto
from irp_deid import Profile, SiteKey, after_meta, deidentify_file
from irp_deid.sequences import matching_sequences
from irp_deid.signed import sign, verify
from irp_deid.uploads import UPLOADER, Rules, Treated, count_actions, upload_report
from irp_kernel import sha256_of

from .conftest import CONFIGURATION, SECRETS, Door, a_short_axis_series

AT = "2026-01-01T00:00:00+00:00"


class Uploader:
    """De-identifies on its own side with the site's key."""

    def __init__(self, door: Door, key: SiteKey, site: str) -> None:
        self.door, self.key, self.site = door, key, site
        self.section: dict[str, Any] = CONFIGURATION["deidentification"]

    @classmethod
    async def of(cls, door: Door, site: str = "north") -> Uploader:
        asked = pb.IssueSiteKeyRequest(project=door.project, site=site)
        return cls(door, SiteKey((await door.client.call(door.stub.IssueSiteKey, asked)).key), site)

    def treat(self, original: bytes) -> tuple[bytes, Treated]:
        data, report = deidentify_file(original, self.key, Profile.from_configuration(self.section))
        clean = pydicom.dcmread(io.BytesIO(data))
        matched = matching_sequences(CONFIGURATION["sequences"], pydicom.dcmread(io.BytesIO(original)))
        return data, Treated(
            study_uid=clean.StudyInstanceUID,
            series_uid=clean.SeriesInstanceUID,
            sop_uid=clean.SOPInstanceUID,
            sop_class=clean.SOPClassUID,
            sha256=sha256_of(data),
            original=self.key.fingerprint(after_meta(original)),
            sequences=tuple(matched),
            report=report,
        )

    def report(self, treated: list[Treated], **changes: Any) -> dict[str, Any]:
        rules = Rules(
            project=self.door.project.id,
            revision=self.door.project.revision,
            configuration=self.door.project.configuration.sha256,
            profile=Profile.from_configuration(self.section),
            site=self.key.site_name(),
        )
        return upload_report(UPLOADER, rules, treated, {}, at=AT) | changes

    async def file_report(self, document: dict[str, Any], key: SiteKey | None = None) -> str:
        jws = sign(document, (key or self.key).signing_key())
        request = pb.StoreReportRequest(project=self.door.project, site=self.site, jws=jws)
        return str((await self.door.client.call(self.door.stub.StoreReport, request)).id)


@pytest.fixture
async def uploader(door: Door) -> Uploader:
    return await Uploader.of(door)


async def document_of(door: Door, name: str) -> dict[str, Any]:
    """A report made by ingest, its signature checked."""
    found = await door.client.call(door.stub.GetReport, pb.GetReportRequest(project=door.project, id=name))
    key = await door.client.call(door.stub.GetReportKey, pb.GetReportKeyRequest(project=door.project))
    jws = (await door.objects.get(object_ref_from_proto(found.report.object))).decode()
    return verify(jws, json.loads(key.jwk))


async def refusal(waiting: Any) -> str:
    with pytest.raises(RemoteError) as refused:
        await waiting
    return str(refused.value.reason)


async def test_an_upload_leaves_a_signed_report_of_what_was_done(door: Door) -> None:
    answer = await door.sent([*a_short_axis_series(slices=1, phases=2), b"no image"])
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


async def test_the_same_upload_again_has_the_same_report(door: Door) -> None:
    files = a_short_axis_series(slices=1, phases=2)
    first, second = await door.sent(files), await door.sent(files[::-1])
    assert first.report == second.report
    listed = await door.client.call(door.stub.ListReports, pb.ListReportsRequest(project=door.project, limit=10))
    assert [(line.id, line.by, line.instances) for line in listed.reports] == [(first.report, "ingest", 2)]


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


async def test_what_its_uploader_deidentified_is_stored_as_it_is_and_joins_what_ingest_did(
    door: Door, uploader: Uploader
) -> None:
    files = a_short_axis_series()
    treated = [uploader.treat(file) for file in files[:6]]
    name = await uploader.file_report(uploader.report([one for _, one in treated]))
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


async def test_a_file_that_was_changed_after_its_report_is_refused(door: Door, uploader: Uploader) -> None:
    data, treated = uploader.treat(a_short_axis_series(slices=1, phases=1)[0])
    name = await uploader.file_report(uploader.report([treated]))
    (outcome,) = await door.upload([data[:-2] + b"\x01\x01"], report=name)
    assert (outcome.failure_reason, outcome.reason) == (0xA900, "NOT_IN_REPORT")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientName", "Planted^Patricia"), ("InstitutionName", "Plantedhospital"), ("StudyDescription", "Mrs Planted")],
)
async def test_a_name_that_was_left_in_a_listed_file_refuses_it(
    door: Door, uploader: Uploader, keyword: str, value: str
) -> None:
    data, treated = uploader.treat(a_short_axis_series(slices=1, phases=1)[0])
    spoilt = pydicom.dcmread(io.BytesIO(data))
    setattr(spoilt, keyword, value)
    assert spoilt.PatientIdentityRemoved == "YES"
    file = io.BytesIO()
    spoilt.save_as(file, enforce_file_format=True)
    listed = {"instances": [uploader.report([treated])["instances"][0] | {"sha256": sha256_of(file.getvalue())}]}
    name = await uploader.file_report(uploader.report([treated], **listed))
    (outcome,) = await door.upload([file.getvalue()], report=name)
    assert (outcome.failure_reason, outcome.reason) == (0x0110, "NOT_DEIDENTIFIED")
    assert await door.search("instance") == []


async def test_a_report_is_believed_from_the_holder_of_the_sites_key_only(door: Door, uploader: Uploader) -> None:
    south = await Uploader.of(door, "south")
    document = uploader.report([])
    assert await refusal(uploader.file_report(document, south.key)) == "SIGNATURE_NOT_VALID"
    assert await refusal(south.file_report(document)) == "REPORT_OUTDATED", "the report names another site"
    name = await uploader.file_report(document)
    assert await refusal(door.upload([], site="south", report=name)) == "SIGNATURE_NOT_VALID"
    assert await refusal(door.upload([], report="0" * 32)) == "REPORT_UNKNOWN"


async def test_a_report_must_follow_the_projects_present_rules(door: Door, uploader: Uploader) -> None:
    for changes in (
        {"profile": uploader.report([])["profile"] | {"options": []}},
        {"configuration": "0" * 64},
        {"project": "another"},
        {"engine": {"edition": "of tomorrow", "version": 99}},
    ):
        assert await refusal(uploader.file_report(uploader.report([], **changes))) == "REPORT_OUTDATED"
    for changes in ({"schema": 9}, {"by": "ingest"}, {"instances": [{"sha256": "x"}]}, {"instances": 5}):
        assert await refusal(uploader.file_report(uploader.report([], **changes))) == "REPORT_NOT_READABLE"
    name = await uploader.file_report(uploader.report([]))
    await door.configure(options=["113105"])
    assert await refusal(door.upload([], report=name)) == "REPORT_OUTDATED"


async def test_a_project_may_demand_deidentification_before_arrival(door: Door) -> None:
    await door.configure(before_arrival="required")
    uploader = await Uploader.of(door)
    data, treated = uploader.treat(a_short_axis_series(slices=1, phases=1)[0])
    assert await refusal(door.upload([data])) == "DEIDENTIFIED_BEFORE_ARRIVAL", "the attribute alone proves nothing"
    name = await uploader.file_report(uploader.report([treated]))
    (outcome,) = await door.upload([data], report=name)
    assert outcome.failure_reason == 0


async def test_a_study_in_the_address_may_be_the_original_or_the_new_one(door: Door, uploader: Uploader) -> None:
    original = a_short_axis_series(slices=1, phases=1)[0]
    data, treated = uploader.treat(original)
    name = await uploader.file_report(uploader.report([treated]))
    asked = str(pydicom.dcmread(io.BytesIO(original)).StudyInstanceUID)
    outcomes = [
        (await door.upload([data], report=name, study_uid=study))[0].reason
        for study in (asked, treated.study_uid, "1.2.3")
    ]
    assert outcomes == ["", "", "STUDY_MISMATCH"]
