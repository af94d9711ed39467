"""Rooms with canned answers, on real gRPC: what the gateway's contract tests talk to."""

from __future__ import annotations

import asyncio
import io
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from irp.annotation.v1 import annotation_service_pb2 as annotation_pb
from irp.annotation.v1 import annotation_service_pb2_grpc as annotation_grpc
from irp.common.v1 import operations_service_pb2 as operations_pb
from irp.common.v1 import operations_service_pb2_grpc as operations_grpc
from irp.common.v1 import types_pb2
from irp.ingest.v1 import events_pb2 as ingest_events
from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.quality.v1 import quality_service_pb2 as quality_pb
from irp.quality.v1 import quality_service_pb2_grpc as quality_grpc
from irp.radiomics.v1 import radiomics_service_pb2 as radiomics_pb
from irp.radiomics.v1 import radiomics_service_pb2_grpc as radiomics_grpc
from irp.training.v1 import training_service_pb2 as training_pb
from irp.training.v1 import training_service_pb2_grpc as training_grpc
from irp_chassis.auth import caller
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_from_proto, object_ref_to_proto
from irp_ingest.adapters.rpc_pixels import picture_of
from irp_ingest.domain.frames import frames_of, transcoded
from irp_ingest.domain.render import render
from irp_kernel import encode_volume
from irp_kernel.errors import FailedPrecondition, IrpError, ModelUnknown, SeriesUnknown
from pydicom import dcmread

from .fake_datasets import Datasets
from .fake_deletions import Deletions
from .fake_found import Found, header_of
from .fake_heart import PROVENANCE, a_volume
from .fake_imports import Imports
from .fake_model_reports import ModelReports
from .fake_pages import cut
from .fake_precisions import Precisions, a_trial
from .fake_quarantine import Quarantine
from .fake_registry import Registry, a_signature
from .fake_reports import Reports
from .fake_watching import Watching


@dataclass
class Ingest(Deletions, Imports, Quarantine, Reports, Found):
    """Keeps DICOM files as they come; says what it is told to say."""

    objects: Objects
    files: dict[str, dict[str, tuple[Any, types_pb2.ObjectRef]]] = field(default_factory=lambda: defaultdict(dict))
    uploads: list[ingest_pb.Upload] = field(default_factory=list)
    largest_piece: int = 0
    refuse: IrpError | None = None
    clinical: list[ingest_pb.RecordClinicalRequest] = field(default_factory=list)
    held_after: int = -1  # files; then uploads wait for `go`, and nobody who is killed meanwhile hears an answer
    held: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def StoreInstances(self, requests: Any, context: Any) -> ingest_pb.StoreInstancesResponse:
        outcomes: list[ingest_pb.InstanceOutcome] = []
        project, data = "", b""
        if self.refuse:
            raise self.refuse
        async for request in requests:
            match request.WhichOneof("piece"):
                case "upload":
                    project = request.upload.project.id
                    caller().require_project(project)
                    self.uploads.append(request.upload)
                case "begin":
                    data = b""
                case "data":
                    self.largest_piece = max(self.largest_piece, len(request.data))
                    data += request.data
                case "end":
                    outcomes.append(await self._keep(project, data))
        if 0 <= self.held_after <= len(self.files[project]):
            self.held.set()
            await self.go.wait()
        return ingest_pb.StoreInstancesResponse(outcomes=outcomes, report="0" * 32)

    async def _keep(self, project: str, data: bytes) -> ingest_pb.InstanceOutcome:
        if data[128:132] != b"DICM":
            return ingest_pb.InstanceOutcome(failure_reason=0xC000, reason="NOT_DICOM")
        ds = dcmread(io.BytesIO(data))
        if "SOPInstanceUID" not in ds:
            return ingest_pb.InstanceOutcome(failure_reason=0xA900, reason="IDENTIFIERS_MISSING")
        again = str(ds.SOPInstanceUID) in self.files[project]
        ref = await self.objects.put(
            data,
            project=project,
            entity="instance",
            id="i",
            kind="dicom",
            media_type="application/dicom",
            extension="dcm",
        )
        self.files[project][str(ds.SOPInstanceUID)] = (ds, object_ref_to_proto(ref))
        return ingest_pb.InstanceOutcome(
            study_uid=str(ds.StudyInstanceUID),
            series_uid=str(ds.SeriesInstanceUID),
            sop_instance_uid=str(ds.SOPInstanceUID),
            sop_class_uid=str(ds.SOPClassUID),
            already_stored=again,
        )

    async def Locate(self, request: Any, context: Any) -> AsyncIterator[ingest_pb.LocateResponse]:
        for ds, ref in self.matching(request):
            yield ingest_pb.LocateResponse(
                study_uid=str(ds.StudyInstanceUID),
                series_uid=str(ds.SeriesInstanceUID),
                sop_instance_uid=str(ds.SOPInstanceUID),
                sop_class_uid=str(ds.SOPClassUID),
                transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
                object=ref,
                dicom_json=json.dumps(header_of(ds)) if request.metadata else "",
            )

    async def _file(self, asked: ingest_pb.InstanceRef) -> bytes:
        found = self.images(asked)
        return await self.objects.get(object_ref_from_proto(found[len(found) // 2][1]))

    async def Frames(self, request: Any, context: Any) -> AsyncIterator[ingest_pb.FramesResponse]:
        frames, syntax = frames_of(await self._file(request.instance), request.frames, decoded=request.decoded)
        for frame in frames:
            yield ingest_pb.FramesResponse(data=frame, transfer_syntax_uid=syntax)

    async def Render(self, request: Any, context: Any) -> ingest_pb.RenderResponse:
        return ingest_pb.RenderResponse(data=render(await self._file(request.instance), picture_of(request)))

    async def Transcode(self, request: Any, context: Any) -> AsyncIterator[ingest_pb.TranscodeResponse]:
        yield ingest_pb.TranscodeResponse(data=transcoded(await self._file(request.instance)))

    async def GetSeries(self, request: Any, context: Any) -> ingest_pb.GetSeriesResponse:
        if request.series_uid == "1.2.3.4":
            return ingest_pb.GetSeriesResponse(series=_receiving(request.series_uid))
        if request.series_uid != "1.2.3":
            raise SeriesUnknown
        return ingest_pb.GetSeriesResponse(series=await self._series(request.project.id))

    async def ListSeries(self, request: Any, context: Any) -> ingest_pb.ListSeriesResponse:
        states = [await self._series(request.project.id), _receiving("1.2.3.4"), _receiving("1.2.3.5")]
        series, following = cut(states, request)
        return ingest_pb.ListSeriesResponse(series=series, next=following)

    async def _series(self, project: str) -> ingest_pb.SeriesState:
        volume = a_volume()
        ref = await self.objects.put(
            encode_volume(volume),
            project=project,
            entity="series",
            id="1.2.3",
            kind="volume",
            media_type="application/x-nrrd",
            extension="nrrd",
        )
        series = ingest_events.Series(
            series_uid="1.2.3",
            study_uid="1.2",
            patient="P1",
            sequence_class="cine-sax",
            volume=object_ref_to_proto(ref),
            shape=volume.array.shape,
            spacing_mm=(8, 1.4, 1.4),
            modality="MR",
            age_years=-1,
        )
        return ingest_pb.SeriesState(state="assembled", series=series, version=1, instances=6)

    async def CompleteSeries(self, request: Any, context: Any) -> ingest_pb.CompleteSeriesResponse:
        caller().require_role("uploader", "owner")
        return ingest_pb.CompleteSeriesResponse()

    async def RecordClinical(self, request: Any, context: Any) -> ingest_pb.RecordClinicalResponse:
        self.clinical.append(request)
        return ingest_pb.RecordClinicalResponse(patients=1, values=2, refused=["row 3: PATIENT_UNKNOWN"])

    async def ListRejections(self, request: Any, context: Any) -> ingest_pb.ListRejectionsResponse:
        rejection = ingest_pb.Rejection(at="2026-01-01T00:00:00Z", reason="NOT_DICOM", message="not DICOM", count=1)
        return ingest_pb.ListRejectionsResponse(rejections=[rejection])


def _receiving(uid: str) -> ingest_pb.SeriesState:
    return ingest_pb.SeriesState(state="receiving", series=ingest_events.Series(series_uid=uid, study_uid="1.2"))


class Quality(quality_grpc.QualityServiceServicer):
    """One report."""

    async def GetReport(self, request: Any, context: Any) -> quality_pb.GetReportResponse:
        if request.series_uid != "1.2.3":
            raise SeriesUnknown
        slices = [quality_pb.SliceQuality(slice=s, parameters={"snr": 20.0 + s, "cnr": float("nan")}) for s in (0, 1)]
        return quality_pb.GetReportResponse(
            series_uid="1.2.3", verdict="good", parameters={"snr": 20.5}, slices=slices, provenance=PROVENANCE
        )

    async def Rate(self, request: Any, context: Any) -> quality_pb.RateResponse:
        return quality_pb.RateResponse(version=1)

    async def ListRatings(self, request: Any, context: Any) -> quality_pb.ListRatingsResponse:
        rating = quality_pb.Rating(rater="reader-1", stars=4, form='{"motion": 2}', at="2026", version=1)
        return quality_pb.ListRatingsResponse(ratings=[rating])


@dataclass
class Annotation(annotation_grpc.AnnotationServiceServicer):
    """Keeps what it was asked."""

    asked: list[annotation_pb.CreateSegmentationRequest] = field(default_factory=list)

    async def CreateSegmentation(self, request: Any, context: Any) -> annotation_pb.CreateSegmentationResponse:
        self.asked.append(request)
        return annotation_pb.CreateSegmentationResponse(segmentation=_segmentation(request.state))

    async def Review(self, request: Any, context: Any) -> annotation_pb.ReviewResponse:
        return annotation_pb.ReviewResponse(segmentation=_segmentation(request.state))

    async def ListSegmentations(self, request: Any, context: Any) -> annotation_pb.ListSegmentationsResponse:
        wanted = request.segmentation_id in {"", "seg-1"}
        return annotation_pb.ListSegmentationsResponse(segmentations=[_segmentation("accepted")] if wanted else [])

    async def Export(self, request: Any, context: Any) -> annotation_pb.ExportResponse:
        return annotation_pb.ExportResponse(body=b"mask", media_type=request.media_type, file_name="seg-1.nrrd")

    async def Encode(self, request: Any, context: Any) -> annotation_pb.EncodeResponse:
        return annotation_pb.EncodeResponse(body=json.dumps({"encoded": request.media_type}).encode())


def _segmentation(state: str) -> annotation_pb.Segmentation:
    summary = annotation_pb.StructureSummary(name="lv_blood_pool", value=1, voxels=96, annotated=6)
    ref = types_pb2.ObjectRef(bucket="b", key="k", sha256="a" * 64, size=1, media_type="application/x-nrrd")
    return annotation_pb.Segmentation(
        id="seg-1", series_uid="1.2.3", version=1, state=state, mask=ref, structures=[summary], provenance=PROVENANCE
    )


@dataclass
class Training(Watching, Datasets, ModelReports, Precisions, Registry, training_grpc.TrainingServiceServicer):
    """One run, one model."""

    pushed: bytes = b""
    learns_on: bool = False

    async def StartRun(self, request: Any, context: Any) -> training_pb.StartRunResponse:
        caller().require_role("annotator", "owner")
        self.started = request
        return training_pb.StartRunResponse(run=_run("queued"))

    async def GetRun(self, request: Any, context: Any) -> training_pb.GetRunResponse:
        return training_pb.GetRunResponse(run=self.seen(_run("running")))

    async def ListRuns(self, request: Any, context: Any) -> training_pb.ListRunsResponse:
        runs, following = cut([_run("running"), _run("queued"), _run("queued")], request)
        return training_pb.ListRunsResponse(runs=runs, next=following)

    async def WatchRun(self, request: Any, context: Any) -> AsyncIterator[training_pb.WatchRunResponse]:
        for state in ("running", "succeeded"):
            yield training_pb.WatchRunResponse(run=_run(state))
            while self.learns_on:
                await asyncio.sleep(0.05)

    async def CancelRun(self, request: Any, context: Any) -> training_pb.CancelRunResponse:
        return training_pb.CancelRunResponse(run=_run("cancelled"))

    async def PrioritiseRun(self, request: Any, context: Any) -> training_pb.PrioritiseRunResponse:
        run = _run("queued")
        run.priority, run.ahead, run.spent_s, run.cost, run.currency = request.priority, 2, 90.0, 0.5, "EUR"
        return training_pb.PrioritiseRunResponse(run=run)

    async def RegisterModel(self, requests: Any, context: Any) -> training_pb.RegisterModelResponse:
        caller().require_role("admin")
        received = [request async for request in requests]
        self.header, self.pushed = received[0].header, b"".join(request.data for request in received)
        if self.header.dry_run:
            return training_pb.RegisterModelResponse(report=self.looked_through(self.pushed))
        return training_pb.RegisterModelResponse(model=_model())

    async def ListModels(self, request: Any, context: Any) -> training_pb.ListModelsResponse:
        models = [_model(unagreed=self.unagreed)] if request.name in {"", "cine"} and not request.after else []
        return training_pb.ListModelsResponse(models=models, next="cine/2" if request.limit == 1 and models else "")

    async def GetModel(self, request: Any, context: Any) -> training_pb.GetModelResponse:
        found = _model(unagreed=self.unagreed and request.version in {0, 2})
        self.looked_up.append(request.alias)
        names = {*found.aliases, f"sha256:{found.ref.digest}"}
        if request.name != "cine" or not (1 <= request.version <= NEWEST or request.alias in names):
            raise ModelUnknown(name=request.name)
        found.ref.version = request.version or found.ref.version
        return training_pb.GetModelResponse(model=found)

    async def Promote(self, request: Any, context: Any) -> training_pb.PromoteResponse:
        if request.version != 2:
            raise GateRefused("lv_myocardium is 0.04 worse", difference=-0.04)
        return self.promoted(_model())

    async def Rollback(self, request: Any, context: Any) -> training_pb.RollbackResponse:
        self.said = request.reason
        return training_pb.RollbackResponse(model=_model())


class GateRefused(FailedPrecondition):
    """The candidate is worse than the champion.

    Train longer, or look at the cases that got worse.
    """


def _run(state: str) -> training_pb.Run:
    return training_pb.Run(
        id="run-1",
        state=state,
        model="cine",
        progress=types_pb2.Progress(fraction=0.5, eta_s=-1, step="epoch 2 of 4"),
        base=types_pb2.ModelRef(name="cine", version=1, digest="d"),
        dataset=training_pb.Dataset(digest="e", training=3, validation=1, test=1),
        metrics=[training_pb.Metric(epoch=1, name="loss", value=0.5)],
        recipe='{"epochs": 4}',
        configured='{"chosen": {"window": 2.6}, "reasons": {"window": "Hearts fit."}, "fingerprint": {"series": 3}}',
    )


NEWEST = 7  # version of the model


def _model(*, unagreed: bool = False) -> training_pb.Model:
    return training_pb.Model(
        unagreed=unagreed,
        ref=types_pb2.ModelRef(name="cine", version=2, digest="d" * 64),
        champion=True,
        licence="CC BY-NC-SA",
        precisions=[a_trial("accepted")],
        aliases=["champion"],
        signature=a_signature(),
    )


class Radiomics(radiomics_grpc.RadiomicsServiceServicer):
    """One table."""

    async def StartExtraction(self, request: Any, context: Any) -> radiomics_pb.StartExtractionResponse:
        return radiomics_pb.StartExtractionResponse(extraction=radiomics_pb.Extraction(id="x-1", state="queued"))

    async def GetExtraction(self, request: Any, context: Any) -> radiomics_pb.GetExtractionResponse:
        return radiomics_pb.GetExtractionResponse(extraction=radiomics_pb.Extraction(id="x-1", state="running"))

    async def GetFeatures(self, request: Any, context: Any) -> radiomics_pb.GetFeaturesResponse:
        return radiomics_pb.GetFeaturesResponse(body=b"patient,feature,value\n")

    async def GetHeatmap(self, request: Any, context: Any) -> radiomics_pb.GetHeatmapResponse:
        return radiomics_pb.GetHeatmapResponse(body=b"<svg/>")

    async def GetFunction(self, request: Any, context: Any) -> radiomics_pb.GetFunctionResponse:
        found = radiomics_pb.CardiacFunction(series_uid="1.2.3", edv_ml=120, esv_ml=float("nan"), note="no ES mask")
        return radiomics_pb.GetFunctionResponse(functions=[found])


class Operations(operations_grpc.OperationsServiceServicer):
    """One parked fact, no broken object."""

    async def ListParked(self, request: Any, context: Any) -> operations_pb.ListParkedResponse:
        caller().require_role("admin")
        fact = operations_pb.ParkedFact(durable="d", message_id="m", subject="s", reason="INVALID_ARGUMENT", failures=3)
        return operations_pb.ListParkedResponse(facts=[fact])

    async def References(self, request: Any, context: Any) -> operations_pb.ReferencesResponse:
        return operations_pb.ReferencesResponse()

    async def ReplayParked(self, request: Any, context: Any) -> operations_pb.ReplayParkedResponse:
        return operations_pb.ReplayParkedResponse(replayed=1)

    async def VerifyObjects(self, request: Any, context: Any) -> AsyncIterator[operations_pb.VerifyObjectsResponse]:
        yield operations_pb.VerifyObjectsResponse(checked=2)
