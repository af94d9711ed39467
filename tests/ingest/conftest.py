"""A living ingest on the real parts, and builders of what is sent to it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from irp.common.v1 import types_pb2
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.objects import Objects
from irp_chassis.room import Room
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_chassis.wire import object_ref_to_proto
from irp_ingest.adapters.db import METADATA
from irp_ingest.main import compose
from irp_ingest.settings import Settings
from pydantic import SecretStr
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

PLANTED = {
    "PatientName": "Planted^Patricia",
    "PatientID": "PLANTED-4711",
    "PatientBirthDate": "19510417",
    "ReferringPhysicianName": "Refer^Doctor",
    "InstitutionName": "Plantedhospital",
    "AccessionNumber": "ACCPLANTED99",
    "StudyDate": "20230203",
}
SECRETS = (*PLANTED.values(), "Planted", "Patricia")

CONFIGURATION: dict[str, Any] = {
    "name": "hearts",
    "structures": [],
    "sequences": [
        {"class": "cine-sax", "when": {"Modality": "^MR$", "SeriesDescription": "(?i)sax", "phases": {"min": 2}}},
        {"class": "cine-short-repetition", "when": {"RepetitionTime": {"max": 10}, "phases": {"min": 2}}},
    ],
    "endpoints": [
        {"name": "lvef", "type": "number", "unit": "%", "code": {"system": "http://loinc.org", "code": "10230-1"}},
        {"name": "sex", "type": "category"},
    ],
    "deidentification": {"profile": "basic", "options": ["113105", "113107", "113111"]},
    "series_quiet_s": 0.5,
}


def a_short_axis_series(
    *,
    slices: int = 3,
    phases: int = 4,
    size: int = 16,
    pitch_mm: float = 8.0,
    seed: int = 0,
    change: Callable[[Dataset, int, int], None] | None = None,
) -> list[bytes]:
    """Part 10 files of a cine, slice by slice; `change(dataset, slice, phase)` may spoil one."""
    rng = np.random.default_rng(seed)
    study, series, frame = (generate_uid(entropy_srcs=[str(seed), name]) for name in ("study", "series", "frame"))
    files = []
    for s in range(slices):
        for t in range(phases):
            ds = an_image(rng.integers(0, 1000, (size, size)))
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
            ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(s), str(t)])
            ds.ImagePositionPatient, ds.InstanceNumber = [-10.0, -20.0, pitch_mm * s], 100 * (slices - s) + t
            ds.TriggerTime, ds.SliceLocation = 40.0 * t + s, 5.3 * s
            if change:
                change(ds, s, t)
            files.append(to_bytes(ds))
    return files


def an_image(pixels: np.ndarray) -> Dataset:
    """One MR image with planted identifiers, lying in the axial plane."""
    ds = Dataset()
    ds.SOPClassUID, ds.Modality, ds.Manufacturer = MRImageStorage, "MR", "ACME"
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid(), generate_uid()
    for keyword, value in PLANTED.items():
        setattr(ds, keyword, value)
    ds.StudyTime, ds.SeriesDescription = "101112", "CINE SAX of Patricia Planted 03.02.2023"
    ds.PatientSex, ds.MagneticFieldStrength = "F", 1.5
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1.0, 0, 0, 0, 1.0, 0], [0.0, 0, 0]
    ds.PixelSpacing, ds.SliceThickness = [1.5, 1.25], 6.0
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = pixels.astype("<u2").tobytes()
    return ds


def to_bytes(ds: Dataset) -> bytes:
    """Part 10, explicit VR little endian."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


@dataclass
class Door:
    """A gateway's view of a living ingest."""

    client: RpcClient
    stub: Any
    objects: Objects
    settings: Settings
    project: types_pb2.ProjectRef
    room: Room[Settings]
    outcomes: list[pb.InstanceOutcome] = field(default_factory=list)

    async def upload(
        self, files: list[bytes], *, site: str = "north", study_uid: str = "", report: str = ""
    ) -> list[pb.InstanceOutcome]:
        return list((await self.sent(files, site=site, study_uid=study_uid, report=report)).outcomes)

    async def sent(
        self, files: list[bytes], *, site: str = "north", study_uid: str = "", report: str = ""
    ) -> pb.StoreInstancesResponse:
        said = pb.Upload(project=self.project, site=site, study_uid=study_uid, report=report)

        async def pieces() -> AsyncIterator[pb.StoreInstancesRequest]:
            yield pb.StoreInstancesRequest(upload=said)
            for file in files:
                yield pb.StoreInstancesRequest(begin=True)
                for at in range(0, len(file), 1 << 16):
                    yield pb.StoreInstancesRequest(data=file[at : at + (1 << 16)])
                yield pb.StoreInstancesRequest(end=True)

        answer: pb.StoreInstancesResponse = await self.client.call(self.stub.StoreInstances, pieces(), timeout_s=120)
        return answer

    async def configure(self, **deidentification: Any) -> None:
        """A new revision of the project's configuration."""
        section = CONFIGURATION["deidentification"] | deidentification
        data = json.dumps(CONFIGURATION | {"deidentification": section}).encode()
        ref = await self.objects.put(
            data, project=self.project.id, entity="project", id="1", kind="configuration",
            media_type="application/json", extension="json",
        )  # fmt: skip
        self.project = types_pb2.ProjectRef(
            id=self.project.id, revision=self.project.revision + 1, configuration=object_ref_to_proto(ref)
        )

    async def series(self, uid: str) -> pb.SeriesState:
        request = pb.GetSeriesRequest(project=self.project, series_uid=uid)
        return (await self.client.call(self.stub.GetSeries, request)).series

    async def settled(self, uid: str, *, version: int = 0) -> pb.SeriesState:
        """The series once it is no longer receiving."""
        async with asyncio.timeout(60):
            while (state := await self.series(uid)).state == "receiving" or state.version < version:
                await asyncio.sleep(0.05)
        return state

    async def search(self, level: str, *, limit: int = 0, offset: int = 0, **matches: str) -> list[dict[str, Any]]:
        request = pb.SearchRequest(project=self.project, level=level, matches=matches, limit=limit, offset=offset)
        return [json.loads(found) for found in (await self.client.call(self.stub.Search, request)).dicom_json]


@asynccontextmanager
async def living_ingest(
    service_settings: ServiceSettings, minter: TokenMinter, folder: Path, *, project: str = "hearts", **settings: Any
) -> AsyncIterator[Door]:
    """Ingest on the real parts with a project."""
    told = Settings(
        **service_settings.model_dump(exclude={"rpc_bind", "http_bind", "database_url"}),
        rpc_bind=f"127.0.0.1:{free_port()}",
        http_bind=f"127.0.0.1:{free_port()}",
        database_url=f"sqlite+aiosqlite:///{folder}/ingest.db",
        installation_key=SecretStr("ab" * 32),
        **settings,
    )
    room = Room("ingest", told, METADATA)
    stop = asyncio.Event()
    life = asyncio.create_task(room.live(compose, "irp_ingest.adapters.migrations", stop))
    try:
        await _ready(told.http_bind, life)
        client = RpcClient(told.rpc_bind, minter)
        roles = frozenset({"uploader", "viewer"})
        act_as(Caller(subject="uploader-1", project=project, roles=roles))
        data = json.dumps(CONFIGURATION).encode()
        ref = await room.objects.put(
            data, project=project, entity="project", id="1", kind="configuration",
            media_type="application/json", extension="json",
        )  # fmt: skip
        named = types_pb2.ProjectRef(id=project, revision=1, configuration=object_ref_to_proto(ref))
        yield Door(client, pb_grpc.IngestServiceStub(client.channel), room.objects, told, named, room)
        await client.close()
    finally:
        stop.set()
        await asyncio.wait_for(life, 30)


async def _ready(bind: str, life: asyncio.Task[None]) -> None:
    async with httpx.AsyncClient(base_url=f"http://{bind}") as web:
        for _ in range(300):
            if life.done():
                life.result()
            try:
                if (await web.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
    raise AssertionError("ingest did not become ready")


@pytest.fixture
async def door(service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path) -> AsyncIterator[Door]:
    """A fresh ingest with the project `hearts`."""
    async with living_ingest(service_settings, minter, tmp_path) as door:
        yield door


def real_data(*parts: str) -> Path:
    """A folder of real data: shipped with the examples, or beside the repository (IRP_SHARED_DATA)."""
    root = Path(__file__).parents[2]
    shared = Path(os.environ.get("IRP_SHARED_DATA", root.parent / "shared" / "data"))
    for folder in (root / "examples", shared):
        if folder.joinpath(*parts).exists():
            return folder.joinpath(*parts)
    pytest.skip(f"the real data {'/'.join(parts)} is not here: set IRP_SHARED_DATA")


def files_of(archive: Path) -> list[bytes]:
    """DICOM files of a tar archive, by name."""
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar if m.isfile() and m.name.endswith(".dcm")), key=lambda m: m.name)
        return [tar.extractfile(member).read() for member in members]  # type: ignore[union-attr]
