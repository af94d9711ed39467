"""Carries files to and from a container's volume in a cluster: `python -m irp_training.adapters.carrier fetch|collect`.

It runs before and after the container, in pods of its own: the container's pod has no network at all. It knows one
address that is good for a while, and no credentials.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import urllib3

from irp_training.adapters.container_files import MODEL, OUTPUT, collect, lay_out, packed, unpack_weights, unpacked
from irp_training.domain.container_errors import OutputNotSafe

FOLDER = "run"  # below the volume's root, which belongs to the cluster
NOT_SAFE = 9  # exit code: the container left what is not taken from it
TIMEOUT = urllib3.Timeout(connect=10, read=300)
INPUT_LIMIT = 8 << 30  # bytes


def fetch(address: str, volume: Path, directory: str) -> None:
    """Lay out the input, and an output whose `directory` anybody may write."""
    answer = urllib3.request("GET", address, timeout=TIMEOUT, retries=3)
    _require_well(answer)
    lay_out(volume / FOLDER, unpacked(answer.data, INPUT_LIMIT), (directory,))


def fetch_weights(address: str, volume: Path, limit: int) -> None:
    """Unpack the weights beside the input; packed they are a file on the volume, for they may not fit into memory."""
    packed_file = volume / f"{MODEL}.tar"
    with urllib3.request("GET", address, timeout=TIMEOUT, retries=3, preload_content=False) as answer:
        _require_well(answer)
        with packed_file.open("wb") as file:
            shutil.copyfileobj(answer, file)
    unpack_weights(packed_file, volume / FOLDER / MODEL, limit)
    packed_file.unlink()


def bring_back(address: str, volume: Path, limit: int) -> None:
    """Send what the container left. Raises OutputNotSafe."""
    body = packed(collect(volume / FOLDER / OUTPUT, limit))
    _require_well(urllib3.request("PUT", address, body=body, timeout=TIMEOUT, retries=3))


def _require_well(answer: urllib3.BaseHTTPResponse) -> None:
    if answer.status >= 300:
        raise SystemExit(f"the store answered {answer.status}")


def main(words: list[str]) -> int:
    """Do one of both; what to do it with comes in variables that the training room wrote."""
    address, volume = os.environ["IRP_PARCEL_ADDRESS"], Path(os.environ["IRP_PARCEL_VOLUME"])
    if words == ["fetch"]:
        fetch(address, volume, os.environ["IRP_PARCEL_DIRECTORY"])
        if model := os.environ.get("IRP_PARCEL_MODEL"):
            fetch_weights(model, volume, int(os.environ["IRP_PARCEL_MODEL_LIMIT"]))
        return 0
    try:
        bring_back(address, volume, int(os.environ["IRP_PARCEL_LIMIT"]))
    except OutputNotSafe:
        return NOT_SAFE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
