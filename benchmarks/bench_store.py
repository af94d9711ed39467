"""Instances per second by STOW-RS, de-identification included, beside Orthanc storing the same files without it.

Starts a house and, where it is installed, Orthanc with its DICOMweb plugin; sends a real cine's files, each round under
new UIDs, by 1 and by 4 streams, the two servers in turn; prints medians and their ratio. JSON: out/bench/store.json.

    python benchmarks/bench_store.py --rounds 3
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom
from bench_house import keep, standing
from openirp.demo.hearts import dicom_heart, examples_folder
from openirp.demo.mr_instance import uid
from openirp.stow import multipart
from orthanc import orthanc

ROOT = Path(__file__).resolve().parents[1]
STREAMS = (1, 4)
BATCH = 20  # files per request
ANSWER_S = 300.0


@dataclass(frozen=True)
class Server:
    """A STOW-RS address."""

    name: str
    address: str
    headers: dict[str, str]


def renamed(files: list[bytes], turn: str) -> list[bytes]:
    """The same images as instances of a new study."""
    found = []
    for file in files:
        dataset = pydicom.dcmread(io.BytesIO(file))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid(turn, "study"), uid(turn, "series")
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid(turn, dataset.SOPInstanceUID)
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        found.append(buffer.getvalue())
    return found


def instances_per_s(server: Server, files: list[bytes], streams: int) -> float:
    """Send all in batches, by several streams at once; every instance must have been stored."""
    bodies = [_body(files[at : at + BATCH]) for at in range(0, len(files), BATCH)]

    def send(which: int) -> None:
        with httpx.Client(timeout=ANSWER_S, headers=server.headers) as client:
            for body, kind in bodies[which::streams]:
                headers = {**kind, "Accept": "application/dicom+json"}
                answer = client.post(server.address, content=body, headers=headers)
                if answer.status_code != httpx.codes.OK:
                    raise RuntimeError(f"{server.name} answered {answer.status_code}")

    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(streams) as pool:
        list(pool.map(send, range(streams)))
    return len(files) / (time.perf_counter() - began)


def _body(files: list[bytes]) -> tuple[bytes, dict[str, str]]:
    pieces, headers = multipart(files)
    return b"".join(pieces), headers


def measure(servers: list[Server], files: list[bytes], rounds: int) -> dict[str, dict[str, list[float]]]:
    """{streams: {server: instances per second of each round}}; the first round of each warms up and does not count."""
    found: dict[str, dict[str, list[float]]] = {}
    for streams in STREAMS:
        rates: dict[str, list[float]] = {server.name: [] for server in servers}
        for turn in range(rounds + 1):
            for server in servers:
                fresh = renamed(files, f"{server.name}/{streams}/{turn}")
                rate = instances_per_s(server, fresh, streams)
                if turn:
                    rates[server.name].append(round(rate, 1))
        found[str(streams)] = rates
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    files = list(dicom_heart(examples_folder(), "SCD0000101").files)
    with (
        tempfile.TemporaryDirectory() as name,
        orthanc(Path(name) / "orthanc") as other,
        standing(rooms=("gateway", "ingest"), automation={}) as (house, project),
    ):
        address = f"{house.url}{project.path}/dicom-web/studies"
        servers = [Server("openirp", address, {"Authorization": f"Bearer {house.keys.token}"})]
        servers += [Server("orthanc", other, {})] if other else []
        found = measure(servers, files, rounds)
    for streams, rates in found.items():
        medians = {server: statistics.median(values) for server, values in rates.items()}
        ratio = f"   openirp / orthanc {medians['openirp'] / medians['orthanc']:.2f}" if "orthanc" in medians else ""
        print(f"{streams} streams: " + ", ".join(f"{server} {rate:.0f}/s" for server, rate in medians.items()) + ratio)
    if not other:
        print("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    keep("store", {"files": len(files), "instances_per_s": found})


if __name__ == "__main__":
    main()
