"""/training/runs/{id}/...: a run as its cases, as pictures, and as files for other programs' viewers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import read_json
from irp_gateway.adapters.door import AUDITED, WHILE_THERE, Door
from irp_gateway.adapters.visitor import AnyMember, IdInPath, Inside
from irp_gateway.domain.errors import OverlayUnknown

router = APIRouter(prefix="/api/v1/projects/{project}/training/runs", tags=["training"], route_class=Door)

EXPORT_TIMEOUT_S = 120.0
Which = Literal["best", "median", "worst"]
Epoch = Annotated[int, Path(ge=0, le=1_000_000, description="counts through both stages from 1")]
COLUMNS = ("patient", "series", "split", "structure", "dice_before", "dice", "hd95_mm", "assd_mm", "unmatched")


class RunCases(BaseModel):
    """Patients kept out of a run, judged with the whole pipeline when it ended; both are empty until then."""

    cases: list[dict[str, Any]] = Field(
        description="per series: patient, split, Dice before and after per structure, distances of borders (mm) after"
    )
    intervals: dict[str, Any] = Field(
        description="split -> structure -> dice, hd95_mm, assd_mm -> mean of the cases with its 95 % bootstrap "
        "interval over patients; low and high are null for one patient"
    )


class OverlayAnswer(BaseModel):
    """A picture of one validation slice after a pass."""

    epoch: int
    which: str = Field(description='"best", "median" or "worst" of the slices that were looked at, by Dice')
    dice: float
    sha256: str
    href: str = Field(description="where the PNG is: image, the expert's border in white, the network's in colour")


def _binary(media_type: str) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        "response_class": Response,
        "responses": {200: {"description": "The file", "content": content}},
        "openapi_extra": AUDITED | WHILE_THERE,
    }


@router.get("/{id}/cases", summary="Every patient kept out: Dice and distances of borders", openapi_extra=AUDITED)
async def cases(id: IdInPath, here: AnyMember) -> RunCases:
    """What nobody judged is left out, not counted as wrong; docs/adr/0036 has the conventions."""
    run = await _run(here, id)
    return RunCases(cases=read_json(run.cases) or [], intervals=read_json(run.summary))


@router.get("/{id}/cases.csv", summary="The same as a table", **_binary("text/csv"))
async def cases_table(id: IdInPath, here: AnyMember) -> Response:
    """One row per series and structure; empty cells are not known."""
    run = await _run(here, id)
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, restval="")
    table.writeheader()
    table.writerows(_rows(read_json(run.cases) or []))
    return Response(out.getvalue(), media_type="text/csv", headers=_as_file(f"{id}.csv"))


@router.get("/{id}/overlays", summary="Pictures of validation slices, three per pass")
async def overlays(id: IdInPath, here: AnyMember) -> list[OverlayAnswer]:
    """By epoch; they show hearts of patients and carry no name. Where passes are short few have some: `overhead`."""
    return [
        OverlayAnswer(
            epoch=one.epoch,
            which=one.which,
            dice=one.dice,
            sha256=one.picture.sha256,
            href=here.address("training", "runs", id, "overlays", one.epoch, one.which),
        )
        for one in (await _run(here, id)).overlays
    ]


@router.get("/{id}/overlays/{epoch}/{which}", summary="One of these pictures", **_binary("image/png"))
async def overlay(id: IdInPath, epoch: Epoch, which: Which, here: AnyMember) -> Response:
    """PNG; the same picture for ever."""
    for one in (await _run(here, id)).overlays:
        if (one.epoch, one.which) == (epoch, which):
            ref = object_ref_from_proto(one.picture)
            body = await here.desk.objects.get(ref)
            return Response(body, media_type="image/png", headers={"ETag": f'"{ref.sha256}"'})
    raise OverlayUnknown


@router.get("/{id}/curve.{form}", summary="The curves as a picture", **_binary("image/png"))
async def curve(id: IdInPath, form: Literal["png", "svg"], here: AnyMember) -> Response:
    """Losses; on validation slices Dice, HD95 and mean surface distance (mm), with 95 % bands over patients."""
    return await _export(here, id, f"curve-{form}")


@router.get("/{id}/tensorboard", summary="A TensorBoard event file", **_binary("application/octet-stream"))
async def tensorboard(id: IdInPath, here: AnyMember) -> Response:
    """Every curve and the newest pictures; put it into a folder and start TensorBoard on that."""
    return await _export(here, id, "tensorboard")


async def _run(here: Inside, id: str) -> pb.Run:
    run: pb.Run = (await here.ask("training", "GetRun", pb.GetRunRequest(project=here.ref, run_id=id))).run
    return run


async def _export(here: Inside, id: str, form: str) -> Response:
    asked = pb.ExportRunRequest(project=here.ref, run_id=id, form=form)
    found = await here.ask("training", "ExportRun", asked, timeout_s=EXPORT_TIMEOUT_S)
    return Response(found.body, media_type=found.media_type, headers=_as_file(found.file_name))


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _rows(cases: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for case in cases:
        origin = {key: case.get(key, "") for key in ("patient", "series", "split")}
        before, after, distances = (case.get(key, {}) for key in ("before", "after", "distances"))
        for structure in dict.fromkeys([*after, *distances]):
            known = {"structure": structure, "dice": after.get(structure), "dice_before": before.get(structure)}
            yield (
                origin
                | {key: value for key, value in known.items() if value is not None}
                | distances.get(structure, {})
            )
