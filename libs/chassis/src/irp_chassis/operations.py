"""What is asked of any room: parked facts, rows whose objects are missing, and what refers to a series."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from irp.common.v1 import operations_service_pb2 as pb
from irp.common.v1 import operations_service_pb2_grpc as pb_grpc
from irp_kernel import ObjectRef
from irp_kernel.errors import InvalidArgument, IrpError

from irp_chassis.again import again_if_aborted
from irp_chassis.auth import ADMIN, caller
from irp_chassis.db import Database
from irp_chassis.departures import NAME, hold
from irp_chassis.facts import every_fact
from irp_chassis.inbox import Inbox, Parked
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_to_proto

References = Callable[[], Awaitable[Iterable[ObjectRef]]]
REFERENCES_TOLD = 100  # of one answer; the count says how many there are
SERIES_ASKED = 1000  # of one question: about a second to hold them
LONGEST_HOLD_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReference:
    """Something a room keeps that would lose its series.

    Attributes:
        kind: "segmentation", "rating", "dataset", "run", "model" or "features".
        id: identity within its kind; never of a patient.
        state: where it stands, in a word.
    """

    kind: str
    id: str
    series_uid: str
    state: str = ""


SeriesReferences = Callable[[str, Sequence[str]], Awaitable[Iterable[SeriesReference]]]


class Operations(pb_grpc.OperationsServiceServicer):
    """Serves OperationsService for one room."""

    def __init__(
        self,
        inbox: Inbox,
        database: Database,
        objects: Objects,
        references: list[References],
        of_series: list[SeriesReferences],
    ) -> None:
        self._inbox, self._database, self._objects = inbox, database, objects
        self._references, self._of_series = references, of_series

    async def ListParked(self, request: pb.ListParkedRequest, context: Any) -> pb.ListParkedResponse:  # noqa: N802
        """Parked facts, oldest first."""
        caller().require_role(ADMIN)
        return pb.ListParkedResponse(facts=[parked_to_proto(fact) for fact in await self._inbox.in_state("parked")])

    async def ReplayParked(self, request: pb.ReplayParkedRequest, context: Any) -> pb.ReplayParkedResponse:  # noqa: N802
        """Hand parked facts to their handlers again."""
        caller().require_role(ADMIN)
        return pb.ReplayParkedResponse(replayed=await self._inbox.replay(list(request.message_ids)))

    async def VerifyObjects(  # noqa: N802
        self, request: pb.VerifyObjectsRequest, context: Any
    ) -> AsyncIterator[pb.VerifyObjectsResponse]:
        """Every broken object, and at the end how many were looked at."""
        caller().require_role(ADMIN)
        checked = 0
        async for checked, broken, reason in verify(self._objects, self._references, read=request.read):
            if broken is not None:
                yield pb.VerifyObjectsResponse(checked=checked, broken=object_ref_to_proto(broken), reason=reason)
        yield pb.VerifyObjectsResponse(checked=checked)

    async def References(self, request: pb.ReferencesRequest, context: Any) -> pb.ReferencesResponse:  # noqa: N802
        """What stands against deleting series; if nothing does, nothing new comes until the hold ends."""
        caller().require_project(request.project)
        uids = list(request.series_uids)
        if not 0 < len(uids) <= SERIES_ASKED:
            raise InvalidArgument(f"between 1 and {SERIES_ASKED} series are asked for at once")
        if not 0 <= request.hold_s <= LONGEST_HOLD_S:
            raise InvalidArgument(f"series are held for {LONGEST_HOLD_S:g} s at most")
        # Held before it looks: what was being written meanwhile is there by then, or refused.
        if request.hold_s:
            await self._hold(request.project, uids, time.time() + request.hold_s)
        found = [reference for ask in self._of_series for reference in await ask(request.project, uids)]
        if found and request.hold_s:
            await self._hold(request.project, uids, 0.0)
        return pb.ReferencesResponse(
            references=[reference_to_proto(reference) for reference in found[:REFERENCES_TOLD]], count=len(found)
        )

    @again_if_aborted
    async def _hold(self, project: str, uids: Sequence[str], until: float) -> None:
        if NAME not in self._database.metadata.tables:  # a room that keeps nothing of series
            return
        async with self._database.transaction() as tx:
            await hold(tx, project, uids, until)


async def verify(
    objects: Objects, references: list[References], *, read: bool
) -> AsyncIterator[tuple[int, ObjectRef | None, str]]:
    """Look at every object that rows refer to: (number so far, the object if broken, reason)."""
    checked = 0
    for list_references in references:
        for ref in await list_references():
            checked += 1
            reason = await _broken(objects, ref, read)
            yield checked, (ref if reason else None), reason


async def _broken(objects: Objects, ref: ObjectRef, read: bool) -> str:
    try:
        if read:
            await objects.get(ref)
        elif not await objects.exists(ref):
            return "MISSING"
    except IrpError as error:
        return error.reason
    return ""


def parked_to_proto(fact: Parked) -> pb.ParkedFact:
    """Parked -> message; the fact itself as JSON if it can be read."""
    kind = next((k for k in every_fact() if fact.subject.startswith(f"{k.subject}.")), None)
    try:
        text = MessageToJson(kind.message.FromString(fact.data), indent=None) if kind else ""
    except DecodeError:
        text = ""
    return pb.ParkedFact(
        durable=fact.durable,
        message_id=fact.message_id,
        subject=fact.subject,
        reason=fact.reason,
        failures=fact.failures,
        at=datetime.fromtimestamp(fact.at, UTC).isoformat(),
        fact=text,
    )


def reference_to_proto(found: SeriesReference) -> pb.Reference:
    """SeriesReference -> message."""
    return pb.Reference(kind=found.kind, id=found.id, series_uid=found.series_uid, state=found.state)
