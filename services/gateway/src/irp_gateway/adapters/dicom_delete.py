"""DELETE of studies, series and instances: what refers to them stands against it, and every room is asked first.

The rooms are asked twice. The second time each one that nothing refers in holds the series: nothing new may refer to
them until the deletion is told or the hold ends, so that nothing comes between their answers and the deletion.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request, Response
from irp.common.v1 import operations_service_pb2
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.http import problem
from irp_chassis.operations import SERIES_ASKED
from irp_kernel.errors import NotFound

from irp_gateway.adapters.dicom_retrieve import INSTANCE, SERIES, STUDY
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import Inside, Owner, UidInPath
from irp_gateway.domain.errors import DeletionTooSlow, StillReferredTo, TooManySeries

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

LOCATE_TIMEOUT_S, REFERENCES_TIMEOUT_S, DELETE_TIMEOUT_S = 60.0, 30.0, 30.0
HOLD_S = 120.0  # in which ingest has deleted and told of it; then the series takes masks and ratings again
ASKED_WITHIN_S = 60.0  # of the hold: then DELETE_TIMEOUT_S are left, and as much for the fact to arrive
TOLD = 100  # references in one answer
DELETED: dict[str, Any] = {
    "status_code": 204,
    "response_class": Response,
    "responses": {
        404: {"description": "There is no such study, series or instance (any more)"},
        409: {"description": "STILL_REFERRED_TO, with what refers to it in `references`; nothing is deleted"},
        503: {"description": "A room does not answer; nothing is deleted"},
    },
}


@dataclass(slots=True)
class References:
    """How many there are, and the first of each room."""

    count: int = 0
    told: list[dict[str, str]] = field(default_factory=list)


@router.delete(STUDY, summary="Delete a study", **DELETED)
async def delete_study(request: Request, study: UidInPath, here: Owner) -> Response:
    """Owners only. Refused if a segmentation, rating, dataset, run, model or feature refers to one of its series."""
    return await _delete(request, here, study)


@router.delete(SERIES, summary="Delete a series", **DELETED)
async def delete_series(request: Request, study: UidInPath, series: UidInPath, here: Owner) -> Response:
    """Owners only. Refused if a segmentation, rating, dataset, run, model or feature refers to it."""
    return await _delete(request, here, study, series)


@router.delete(INSTANCE, summary="Delete an instance", **DELETED)
async def delete_instance(
    request: Request, study: UidInPath, series: UidInPath, instance: UidInPath, here: Owner
) -> Response:
    """Owners only. Refused if anything refers to its series; the series is assembled anew from what is left."""
    return await _delete(request, here, study, series, instance)


async def _delete(request: Request, here: Inside, study: str, series: str = "", instance: str = "") -> Response:
    uids = await _located(here, study, series, instance)
    for hold_s in (0.0, HOLD_S):  # a refusal must not keep people from working on what stays
        began, references = time.monotonic(), await _references(here, uids, hold_s)
        if references.count:
            return _refused(references)
    if time.monotonic() - began > ASKED_WITHIN_S:
        raise DeletionTooSlow
    asked = pb.DeleteInstancesRequest(
        project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance, asked_series_uids=uids
    )
    done = await here.ask("ingest", "DeleteInstances", asked, timeout_s=DELETE_TIMEOUT_S)
    made(request, deleted_instances=done.instances, deleted_series=done.series)
    return Response(status_code=204)


async def _located(here: Inside, study: str, series: str, instance: str) -> list[str]:
    """The series that would lose instances.

    Raises:
        NotFound: there is nothing to delete.
        TooManySeries: more than rooms are asked about at once.
    """
    asked = pb.LocateRequest(project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance)
    located = here.stream("ingest", "Locate", asked, timeout_s=LOCATE_TIMEOUT_S)
    uids = {found.series_uid async for found in located}
    if not uids:
        raise NotFound("no such study, series or instance in this project")
    if len(uids) > SERIES_ASKED:
        raise TooManySeries(series=len(uids), limit=SERIES_ASKED)
    return sorted(uids)


async def _references(here: Inside, uids: list[str], hold_s: float) -> References:
    """What refers to these series; a room that does not answer might have known of something, so nothing goes on."""
    asked = operations_service_pb2.ReferencesRequest(project=here.project.id, series_uids=uids, hold_s=hold_s)
    found = References()
    for room in here.desk.rooms:
        answer = await here.ask(room, "References", asked, timeout_s=REFERENCES_TIMEOUT_S)
        found.count += answer.count
        found.told += [
            {"room": room, "kind": one.kind, "id": one.id, "series_uid": one.series_uid, "state": one.state}
            for one in answer.references
        ]
    return found


def _refused(found: References) -> Response:
    words = "1 thing refers" if found.count == 1 else f"{found.count} things refer"
    return problem(StillReferredTo(f"{words} to these images", count=found.count), references=found.told[:TOLD])
