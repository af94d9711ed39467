"""What an operator asks of any room: parked facts, and rows whose objects are missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import DecodeError
from irp.common.v1 import operations_service_pb2 as pb
from irp.common.v1 import operations_service_pb2_grpc as pb_grpc
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError

from irp_chassis.auth import ADMIN, caller
from irp_chassis.facts import every_fact
from irp_chassis.inbox import Inbox, Parked
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_to_proto

References = Callable[[], Awaitable[Iterable[ObjectRef]]]


class Operations(pb_grpc.OperationsServiceServicer):
    """Serves OperationsService for one room."""

    def __init__(self, inbox: Inbox, objects: Objects, references: list[References]) -> None:
        self._inbox, self._objects, self._references = inbox, objects, references

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
