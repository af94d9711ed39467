"""Which port each door of the house has: by `IRP_*_PORT`, counted from the gateway's, or free ones."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from openirp.house.layout import ROOMS
from openirp.house.trouble import HouseTrouble

GATEWAY_PORT = 8080
# Below the ports that outgoing connections get, in blocks: houses that start at once are told apart by `_reserved`.
SEARCHED, BLOCK = range(10_000, 21_000), 40
RESERVED_S = 300.0  # by then a house that was starting listens, or never will
LOOPBACK = "127.0.0.1"

# Door -> distance from the gateway's port, so that one setting moves a whole house.
_DOORS = ["gateway", "nats", "s3", "oip", "dicom"]
# Later doors stand at the end: a house keeps the ports it had.
_DOORS += [f"{room}_http" for room in ROOMS if room != "gateway"] + [f"{room}_rpc" for room in ROOMS] + ["oip_http"]
DOORS: tuple[str, ...] = tuple(_DOORS)

Ports = dict[str, int]


def choose_ports(mode: str, remembered: Path, environment: Mapping[str, str] | None = None) -> Ports:
    """A port per door.

    Args:
        mode: "fixed" = settings and defaults; "auto" = the remembered ports if all are free, else free ones.
        remembered: JSON file of the last run's ports.
        environment: where `IRP_<DOOR>_PORT` is looked up; default `os.environ`.

    Raises:
        HouseTrouble: a chosen port is taken by another program.
    """
    settings = os.environ if environment is None else environment
    if mode == "auto":
        old = read_ports(remembered)
        ports = old if set(old) == set(DOORS) and not any(map(taken, old.values())) else _free()
        return {**ports, **_set_by_hand(settings)}
    base = int(settings.get("IRP_GATEWAY_PORT") or GATEWAY_PORT)
    ports = {door: base + distance for distance, door in enumerate(DOORS)} | _set_by_hand(settings)
    for door, port in ports.items():
        if taken(port):
            raise HouseTrouble(
                f"port {port} ({door}) is used by another program",
                f"set IRP_{door.upper()}_PORT, move the house with IRP_GATEWAY_PORT, or say IRP_PORTS=auto",
            )
    return ports


def read_ports(path: Path) -> Ports:
    """Ports of the last run, or none."""
    try:
        return {str(door): int(port) for door, port in json.loads(path.read_text()).items()}
    except (FileNotFoundError, ValueError):
        return {}


def taken(port: int) -> bool:
    """True if somebody listens on (or holds) the port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def _set_by_hand(settings: Mapping[str, str]) -> Ports:
    named = {door: settings.get(f"IRP_{door.upper()}_PORT") for door in DOORS}
    return {door: int(port) for door, port in named.items() if port}


def _free() -> Ports:
    """Neighbours on which nobody listens, and which no other house that is starting has chosen."""
    blocks = SEARCHED[::BLOCK]
    for first in random.sample(blocks, len(blocks)):
        ports = {door: first + distance for distance, door in enumerate(DOORS)}
        if not any(map(taken, ports.values())) and _reserved(first):
            return ports
    raise HouseTrouble("no free ports were found", f"end other houses, or say IRP_PORTS=fixed (from {GATEWAY_PORT} on)")


def _reserved(first: int) -> bool:
    """True if nobody was before us: a file that can be made once says so for a while."""
    file = Path(tempfile.gettempdir()) / f"openirp-ports-{os.getuid()}" / str(first)
    file.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if time.time() - file.stat().st_mtime > RESERVED_S:
            file.unlink()
    try:
        file.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
