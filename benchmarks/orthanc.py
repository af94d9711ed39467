"""Orthanc with its DICOMweb plugin as a neighbour, where it is installed (`apt-get install orthanc-dicomweb`)."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from irp_chassis.testing.parts import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
START_S = 60.0


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[str | None]:
    """The address of its STOW-RS; None where it is not installed. It stores as received and de-identifies nothing."""
    binary = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if not binary or not PLUGIN.is_file():
        yield None
        return
    port = free_port()
    configuration = {
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True},
    }
    folder.mkdir(parents=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([binary, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/system")
        yield f"http://127.0.0.1:{port}/dicom-web/studies"
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(address).status_code == httpx.codes.OK:
                return
        time.sleep(0.2)
    raise TimeoutError("Orthanc does not answer")
