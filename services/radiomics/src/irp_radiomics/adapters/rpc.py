"""The gRPC door of radiomics."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pandas as pd
from irp.radiomics.v1 import radiomics_service_pb2 as pb
from irp.radiomics.v1 import radiomics_service_pb2_grpc as pb_grpc
from irp_chassis.db import Database
from irp_chassis.rpc import caller
from irp_chassis.wire import project_ref_from_proto
from irp_chassis.workers import in_worker
from irp_kernel.errors import InvalidArgument, UnsupportedMediaType

from irp_radiomics.adapters.drawing import draw
from irp_radiomics.adapters.events import enqueue
from irp_radiomics.adapters.store import Store
from irp_radiomics.domain.errors import ExtractionUnknown, NoFeaturesYet
from irp_radiomics.domain.heatmap import build

CSV, JSON, PARQUET = "text/csv", "application/json", "application/vnd.apache.parquet"
HEATMAPS = {"image/png": "png", "image/svg+xml": "svg", JSON: "json"}
ID_LIMIT = 96


class RadiomicsServicer(pb_grpc.RadiomicsServiceServicer):
    """Wire <-> verbs."""

    def __init__(self, store: Store, database: Database, heatmap_features: int) -> None:
        self._store, self._database, self._features = store, database, heatmap_features

    async def StartExtraction(self, request: pb.StartExtractionRequest, context: Any) -> pb.StartExtractionResponse:  # noqa: N802
        """Answered after its rows are committed."""
        _enter(request.project)
        caller().require_role("owner", "annotator")
        if not 1 <= len(request.request_id) <= ID_LIMIT:
            raise InvalidArgument(f"an extraction's id has 1 to {ID_LIMIT} characters", field="request_id")
        async with self._database.transaction() as tx:
            await enqueue(tx, request.project, request.request_id)
        return pb.StartExtractionResponse(extraction=await self._extraction(request.project.id, request.request_id))

    async def GetExtraction(self, request: pb.GetExtractionRequest, context: Any) -> pb.GetExtractionResponse:  # noqa: N802
        """State and progress."""
        project = _enter(request.project)
        return pb.GetExtractionResponse(extraction=await self._extraction(project, request.extraction_id))

    async def GetFeatures(self, request: pb.GetFeaturesRequest, context: Any) -> pb.GetFeaturesResponse:  # noqa: N802
        """The tidy table."""
        table = await self._table(_enter(request.project))
        return pb.GetFeaturesResponse(body=await asyncio.to_thread(_file, table, request.media_type))

    async def GetHeatmap(self, request: pb.GetHeatmapRequest, context: Any) -> pb.GetHeatmapResponse:  # noqa: N802
        """The clustered heat-map; LVEF from the masks stands beside the clinical values."""
        project = _enter(request.project)
        if request.media_type not in HEATMAPS:
            raise UnsupportedMediaType(f"a heat-map is one of {', '.join(HEATMAPS)}")
        if request.features < 0:
            raise InvalidArgument("the number of features is not negative")
        table, (numbers, categories) = await self._table(project), await self._store.clinical(project)
        wanted = request.features or self._features
        body = await in_worker(_heatmap, table, numbers, categories, wanted, HEATMAPS[request.media_type])
        return pb.GetHeatmapResponse(body=body)

    async def GetFunction(self, request: pb.GetFunctionRequest, context: Any) -> pb.GetFunctionResponse:  # noqa: N802
        """Volumes and ejection fraction per series."""
        found = []
        for uid, patient, function in await self._store.functions(_enter(request.project)):
            numbers = {k: function.get(k) for k in ("edv_ml", "esv_ml", "lvef_percent")}
            known = {name: (float("nan") if value is None else value) for name, value in numbers.items()}
            mass = function.get("mass_g")
            found.append(
                pb.CardiacFunction(
                    series_uid=uid,
                    patient=patient,
                    myocardial_mass_g=float("nan") if mass is None else mass,
                    ed_frame=function.get("ed_frame", -1),
                    es_frame=function.get("es_frame", -1),
                    source="expert",
                    note=function.get("note", ""),
                    **known,
                )
            )
        return pb.GetFunctionResponse(functions=found)

    async def _extraction(self, project: str, id: str) -> pb.Extraction:
        row = await self._store.extraction(project, id)
        if row is None:
            raise ExtractionUnknown
        found = pb.Extraction(id=id, state=row.state, series=row.series, rois=row.rois, reason=row.reason)
        found.progress.fraction, found.progress.eta_s = row.fraction, row.eta_s
        return found

    async def _table(self, project: str) -> pd.DataFrame:
        rows = await self._store.table(project)
        if not rows:
            raise NoFeaturesYet
        return pd.DataFrame(rows)


def _enter(message: Any) -> str:
    project = project_ref_from_proto(message)
    caller().require_project(project.id)
    return str(project.id)


def _heatmap(
    table: pd.DataFrame,
    numbers: dict[str, dict[str, float]],
    categories: dict[str, dict[str, str]],
    wanted: int,
    form: str,
) -> bytes:
    """Runs in a worker process."""
    heatmap = build(table, numbers, categories, wanted)
    return json.dumps(heatmap.to_dict(), allow_nan=False).encode() if form == "json" else draw(heatmap, form)


def _file(table: pd.DataFrame, media_type: str) -> bytes:
    if media_type == CSV:
        return str(table.to_csv(index=False)).encode()
    if media_type == JSON:
        return str(table.to_json(orient="records")).encode()
    if media_type == PARQUET:
        out = io.BytesIO()
        table.to_parquet(out, index=False)
        return out.getvalue()
    raise UnsupportedMediaType(f"features are {', '.join((CSV, JSON, PARQUET))}")
