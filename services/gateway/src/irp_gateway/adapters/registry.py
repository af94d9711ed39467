"""/models: what the registry remembers and signs, and the second person's word."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from irp.training.v1 import training_service_pb2 as pb
from irp_kernel.signed import payload_of
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import Page, Paging, page, read_json
from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import Door
from irp_gateway.adapters.models import ModelAnswer, Reason, model_answer
from irp_gateway.adapters.versions import VersionInPath, version_of
from irp_gateway.adapters.visitor import Admin, ModelInPath, Visitor
from irp_gateway.domain.errors import SignatureMissing

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)


class HistoryItem(BaseModel):
    """One thing that happened to a model."""

    at: str
    kind: str = Field(
        description="registered, judged (by the gate), refused (by the gate), waits (for a second person), approved, "
        "rejected, outdated (the champion had changed), promoted, rolled-back, serving (an operator said which version "
        "answers)",
        examples=["promoted"],
    )
    version: int | None = Field(description="of `serving` the pinned version; null = none")
    before: int | None = Field(description="the champion before, where it changed")
    actor: str
    reason: str
    run_id: str = Field(description="run that made the version; empty = pushed, or not said here")
    gate: dict[str, Any] = Field(description="the gate's verdict, where it was asked")


class ServedShare(BaseModel):
    """A version and its part of the series."""

    version: int
    percent: float


class History(Page[HistoryItem]):
    """What happened, oldest first, and what answered at `at`, or answers now."""

    name: str
    served: int | None = Field(description="version that answered: the pinned one, else the champion; null = none")
    champion: int | None
    pin: int | None = Field(description="what an operator had pinned; not loaded, it gave way to the champion")
    canary: ServedShare | None = Field(description="answered for some series")
    shadow: ServedShare | None = Field(description="computed some answers too, for comparison only")


class Keys(BaseModel):
    """Public keys of the registry (RFC 7517)."""

    keys: list[dict[str, str]]


class Signature(BaseModel):
    """A version's statement, signed."""

    name: str
    version: int
    digest: str = Field(description="SHA-256 of the bundle")
    jws: str = Field(description="compact JWS (EdDSA); `irp models verify` checks it offline")
    statement: dict[str, Any] = Field(description="in-toto statement: who, from which data, by which run and code")


@router.get("/keys", summary="Public keys that check the signatures of versions")
async def keys(identity: Visitor, desk: DeskHere) -> Keys:
    """Keep them beside exported models."""
    answer = await desk.rooms["training"].ask("GetModelKeys", pb.GetModelKeysRequest())
    return Keys(keys=[read_json(jwk) for jwk in answer.jwks])


@router.get("/{name}/history", summary="Everything that happened to a model, and what served at a time")
async def history(
    name: ModelInPath,
    identity: Visitor,
    desk: DeskHere,
    paging: Annotated[Paging, Query()],
    at: Annotated[
        str, Query(max_length=40, description="RFC 3339; empty = now", examples=["2026-01-31T12:00:00Z"])
    ] = "",
) -> History:
    """Registrations, verdicts, requests, approvals, promotions, rollbacks, pins, canaries: who, when, why."""
    answer = await desk.rooms["training"].ask("GetHistory", pb.GetHistoryRequest(name=name, at=at))
    items = page([_item(entry) for entry in answer.entries], paging.cursor, paging.limit)
    return History(
        name=name,
        served=answer.served or None,
        champion=answer.champion or None,
        pin=answer.pin or None,
        canary=_share(answer.canary, answer.canary_percent),
        shadow=_share(answer.shadow, answer.shadow_percent),
        items=items.items,
        next_cursor=items.next_cursor,
    )


@router.get("/{name}/versions/{version}/signature", summary="Where a version comes from, signed by the registry")
async def signature(name: ModelInPath, version: VersionInPath, identity: Visitor, desk: DeskHere) -> Signature:
    """Detached from the bundle, and about its digest."""
    found = await version_of(desk, name, version)
    if not found.signature:
        raise SignatureMissing(model=name, version=version)
    statement = payload_of(found.signature)
    return Signature(name=name, version=version, digest=found.ref.digest, jws=found.signature, statement=statement)


@router.post("/{name}/versions/{version}/approve", summary="Agree to a promotion that waits")
async def approve(
    name: ModelInPath, version: VersionInPath, admin: Admin, desk: DeskHere, reason: Reason = ""
) -> ModelAnswer:
    """By another person than the one that asked; it is the champion then."""
    return await _decide(desk, name, version, approve=True, reason=reason)


@router.post("/{name}/versions/{version}/reject", summary="Refuse a promotion that waits")
async def reject(
    name: ModelInPath, version: VersionInPath, admin: Admin, desk: DeskHere, reason: Reason = ""
) -> ModelAnswer:
    """The champion stays; the promotion can be asked for again."""
    return await _decide(desk, name, version, approve=False, reason=reason)


async def _decide(desk: Desk, name: str, version: int, *, approve: bool, reason: str) -> ModelAnswer:
    asked = pb.DecidePromotionRequest(name=name, version=version, approve=approve, reason=reason)
    return model_answer((await desk.rooms["training"].ask("DecidePromotion", asked)).model)


def _item(entry: pb.HistoryEntry) -> HistoryItem:
    return HistoryItem(
        at=entry.at,
        kind=entry.kind,
        version=entry.version or None,
        before=entry.before or None,
        actor=entry.actor,
        reason=entry.reason,
        run_id=entry.run_id,
        gate=read_json(entry.gate),
    )


def _share(version: int, percent: float) -> ServedShare | None:
    return ServedShare(version=version, percent=percent) if version else None
