"""What an upload of 600 instances becomes when one process gets SIGKILL in its midst.

For each of gateway, ingest, nats and s3: starts an upload by several streams in a house, kills the process when a third
is acknowledged, sends again what was not answered, as any client does, and compares every stored image with what was
sent. Prints, per process: files sent, sent again, acknowledged, stored, duplicated, lost.
JSON: out/bench/killed_upload.json.

    python benchmarks/bench_killed_upload.py
    python benchmarks/bench_killed_upload.py --instances 120 --kill ingest
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
from bench_house import keep
from openirp.demo.mr_instance import Sheet, mr_instance
from openirp.documents import template
from openirp.house import House
from openirp.stow import multipart

ROOT = Path(__file__).resolve().parents[1]
VICTIMS = ("gateway", "ingest", "nats", "s3")
SIDE, SLICES = 128, 30  # pixels; instances of a series
BATCH, STREAMS = 20, 4
PAUSE_S, PATIENCE_S = 0.5, 300.0
KILL_AT = 1 / 3  # of the instances


@dataclass
class Upload:
    """What a client knows of its upload; its streams share it."""

    address: str
    headers: dict[str, str]
    files: list[bytes]
    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: int = 0
    acknowledged: list[str] = field(default_factory=list)
    a_third: threading.Event = field(default_factory=threading.Event)

    def send(self, which: int) -> None:
        """Every STREAMS-th batch, each until it is answered."""
        with httpx.Client(timeout=PATIENCE_S, headers=self.headers) as client:
            for at in range(which * BATCH, len(self.files), STREAMS * BATCH):
                self._until_answered(client, self.files[at : at + BATCH])

    def _until_answered(self, client: httpx.Client, batch: list[bytes]) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            with self.lock:
                self.sent += len(batch)
            if uids := self._answer(client, batch):
                with self.lock:
                    self.acknowledged += uids
                    if len(self.acknowledged) >= KILL_AT * len(self.files):
                        self.a_third.set()
                return
            time.sleep(PAUSE_S)
        raise RuntimeError(f"not answered within {PATIENCE_S:.0f} s")

    def _answer(self, client: httpx.Client, batch: list[bytes]) -> list[str]:
        """UIDs of what was stored; none if the whole batch has to be sent again."""
        pieces, headers = multipart(batch)
        try:
            answer = client.post(self.address, content=b"".join(pieces), headers=headers)
        except httpx.HTTPError:
            return []
        stored = answer.json().get("00081199", {}).get("Value", []) if answer.status_code == httpx.codes.OK else []
        return [one["00081155"]["Value"][0] for one in stored]


def images(count: int, patient: str) -> list[bytes]:
    """Instances of noise, SLICES to a series."""
    rng = np.random.default_rng(sum(patient.encode()))
    files = []
    for number in range(count):
        series, place = divmod(number, SLICES)
        sheet = Sheet(patient=f"{patient}{series}", number=place + 1, slice=place, pitch_mm=1.0, pixel_mm=1.0)
        files.append(mr_instance(rng.integers(0, 4096, (SIDE, SIDE), dtype=np.uint16), sheet, bits=12))
    return files


def upload_and_kill(house: House, upload: Upload, victim: str) -> float:
    """Send everything, kill the process on the way; seconds until it answered again."""
    with concurrent.futures.ThreadPoolExecutor(STREAMS) as pool:
        streams = [pool.submit(upload.send, which) for which in range(STREAMS)]
        if not upload.a_third.wait(PATIENCE_S):
            raise RuntimeError(f"no third acknowledged within {PATIENCE_S:.0f} s")
        began = time.monotonic()
        house.restarted(victim, house.kill(victim))
        away_s = time.monotonic() - began
        for one in streams:
            one.result()
    return away_s


def pixels(file: bytes) -> str:
    """What an image is known by."""
    return sha256(pydicom.dcmread(io.BytesIO(file)).PixelData).hexdigest()


def stored(web: str, headers: dict[str, str]) -> dict[str, str]:
    """{SOPInstanceUID: hash of its pixels} of everything in the project, as WADO-RS answers it."""
    found: dict[str, str] = {}
    with httpx.Client(timeout=PATIENCE_S, headers=headers) as client:
        listed = client.get(f"{web}/instances", params={"limit": 5000}).json()
        uids = [[one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")] for one in listed]
        if len({uid for _, _, uid in uids}) != len(uids):
            raise RuntimeError("an instance is listed twice")
        for study, series, uid in uids:
            address = f"{web}/studies/{study}/series/{series}/instances/{uid}"
            answer = client.get(address, headers={"Accept": "application/dicom"})
            answer.raise_for_status()
            found[uid] = pixels(answer.content)
    return found


def measure(house: House, victim: str, count: int) -> dict[str, Any]:
    """One upload, and what became of it."""
    name = f"killed-{victim}"
    project = house.client().create_project({**template("myocarditis"), "name": name, "automation": {}})
    web, headers = f"{house.url}{project.path}/dicom-web", {"Authorization": f"Bearer {house.keys.token}"}
    upload = Upload(f"{web}/studies", headers, images(count, name))
    away_s = upload_and_kill(house, upload, victim)
    there, wanted = stored(web, headers), Counter(map(pixels, upload.files))
    return {
        "sent": count,
        "sent_again": upload.sent - count,
        "acknowledged": len(set(upload.acknowledged)),
        "stored": len(there),
        "duplicated": (Counter(there.values()) - wanted).total(),
        "lost": sum(uid not in there for uid in upload.acknowledged) + (wanted - Counter(there.values())).total(),
        "away_s": round(away_s, 1),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=600)
    parser.add_argument("--kill", choices=VICTIMS, action="append", help="may be repeated; default: each in turn")
    said = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as home:
        house = House(Path(home) / "irp", ports="auto", rooms=("gateway", "ingest"))
        house.start()
        try:
            for victim in said.kill or VICTIMS:
                house.wait_ready()
                found[victim] = measure(house, victim, said.instances)
                print(f"{victim:8}", ", ".join(f"{key} {value}" for key, value in found[victim].items()), flush=True)
        finally:
            house.stop()
    keep("killed_upload", found)


if __name__ == "__main__":
    main()
