"""A whole house on free ports for the stories: the real rooms, nats-server, S3 server and tables."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from openirp.house import House
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

pytestmark = pytest.mark.flow

SECRETS = ("Planted^Patricia", "PLANTED-ID-4711", "19510417", "Dr^Planted^Referrer", "Planted Hospital")

PROJECT = {
    "title": "A story",
    "structures": [
        {"name": "lv_blood_pool", "canonical": "lv_blood_pool"},
        {"name": "lv_myocardium", "canonical": "lv_myocardium"},
        {"name": "rv_blood_pool", "canonical": "rv_blood_pool"},
    ],
    "sequences": [{"class": "cine-sax", "when": {"Modality": "^MR$", "phases": {"min": 2}}}],
    "quality_form": [{"name": "motion", "type": "integer", "min": 1, "max": 5}],
    "endpoints": [{"name": "lvef", "type": "number", "unit": "%"}],
    "deidentification": {"profile": "basic", "options": ["113105", "113107", "113111"]},
    "series_quiet_s": 1,
}


@dataclass(frozen=True)
class Stow:
    """What STOW-RS answered, with the de-identified identifiers."""

    status: int
    body: dict[str, Any]

    @property
    def series_uid(self) -> str:
        address = self.body["00081199"]["Value"][0]["00081190"]["Value"][0]
        return str(address.split("/series/")[1].split("/")[0])

    def count(self, tag: str) -> int:
        return len(self.body.get(tag, {}).get("Value", []))


class Frontend:
    """What an annotation frontend does: plain HTTP with a bearer token."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    def create_project(self, name: str, **more: Any) -> None:
        answer = self.http.post("/api/v1/projects", json=PROJECT | {"name": name} | more)
        assert answer.status_code == 201, answer.text

    def stow(self, project: str, files: Iterable[bytes]) -> Stow:
        """Send files as they come; an iterator may do something between two of them."""
        boundary = "irp-test-boundary"

        def body() -> Iterator[bytes]:
            for file in files:
                yield f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file
            yield f"\r\n--{boundary}--".encode()

        answer = self.http.post(
            f"/api/v1/projects/{project}/dicom-web/studies",
            content=body(),
            headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"'},
        )
        kind = answer.headers["content-type"]
        return Stow(answer.status_code, answer.json() if kind.startswith("application/dicom+json") else {})

    def wait(self, path: str, until: Callable[[httpx.Response], bool], seconds: float = 60) -> httpx.Response:
        """GET until the answer is as wanted; being away for a moment is allowed."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                last = self.http.get(path)
                if until(last):
                    return last
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"{path} did not become as wanted; last: {last.text if last is not None else 'nothing'}")


def a_short_axis_cine(
    *, slices: int = 3, phases: int = 4, size: int = 64, seed: int = 0, tilt_deg: float = 0.0
) -> list[bytes]:
    """A beating ring on a noisy background as MR DICOM files with planted identifiers."""
    rng = np.random.default_rng(seed)
    study, series, frame = (generate_uid(entropy_srcs=[str(seed), name]) for name in ("study", "series", "frame"))
    rows, columns = np.mgrid[:size, :size]
    files = []
    for s in range(slices):
        for t in range(phases):
            radius = size / 6 * (1 - 0.3 * np.sin(np.pi * t / phases))
            distance = np.hypot(rows - size / 2, columns - size / 2)
            image = 40 + 400 * (distance < radius) + 150 * ((distance >= radius) & (distance < radius + size / 12))
            image = image + rng.normal(0, 12, image.shape)
            files.append(_one_file(image, s, t, study, series, frame, tilt_deg if s == slices - 1 else 0.0))
    return files


def _one_file(image: np.ndarray, s: int, t: int, study: str, series: str, frame: str, tilt_deg: float) -> bytes:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=[series, str(s), str(t)])
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = SECRETS[0], SECRETS[1], SECRETS[2]
    ds.ReferringPhysicianName, ds.InstitutionName = SECRETS[3], SECRETS[4]
    ds.StudyDescription = f"cine of {SECRETS[0]}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = "20230203"
    ds.StudyTime, ds.AccessionNumber, ds.StudyID = "101112", SECRETS[1], "1"
    ds.Modality, ds.Manufacturer, ds.SeriesNumber, ds.InstanceNumber = "MR", "ACME", 1, 100 * s + t
    ds.PatientSex, ds.PatientAge, ds.MagneticFieldStrength = "F", "071Y", 1.5
    ds.SeriesDescription, ds.ScanningSequence, ds.ImageType = "CINE SAX", "GR", ["ORIGINAL", "PRIMARY"]
    angle = np.deg2rad(tilt_deg)
    ds.ImageOrientationPatient = [
        float(np.cos(angle)),
        float(np.sin(angle)),
        0.0,
        -float(np.sin(angle)),
        float(np.cos(angle)),
        0.0,
    ]
    ds.ImagePositionPatient = [-40.0, -40.0, 8.0 * s]
    ds.PixelSpacing, ds.SliceThickness, ds.SpacingBetweenSlices = [1.4, 1.4], 6.0, 8.0
    ds.TriggerTime, ds.CardiacNumberOfImages = 40.0 * t, 4
    pixels = np.clip(image, 0, 4095).astype("<u2")
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = pixels.tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running house; stories share it and use projects of their own."""
    home = tmp_path_factory.mktemp("house") / "irp"
    temporary = home / "tmp"  # whatever the rooms write to a temporary folder is looked through too
    temporary.mkdir(parents=True)
    house = House(home, ports="auto", environment={"TMPDIR": str(temporary)})
    house.start()
    house.wait_ready()
    yield house
    house.stop()


@pytest.fixture
def frontend(house: House) -> Frontend:
    """An administrator's frontend at the house's gateway."""
    environment = house.exports()
    return Frontend(environment["IRP_URL"], environment["IRP_TOKEN"])


def planted(home: Path) -> list[tuple[str, str]]:
    """(file, secret) for every planted identifier in objects, tables, logs, traces and temporary files."""
    return [
        (path.relative_to(home).as_posix(), secret)
        for folder, _, names in os.walk(home)  # a folder that is gone since it was listed is passed over
        for path in (Path(folder, name) for name in names)
        if path.is_file() and not path.is_symlink()
        for data in [_bytes(path)]
        for secret in SECRETS
        if secret.encode() in data
    ]


def _bytes(path: Path) -> bytes:
    """A file of a house that lives; what is gone since the folder was listed holds nothing any more."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@pytest.fixture
def home(house: House) -> Path:
    """The folder of the running house."""
    return house.layout.home
