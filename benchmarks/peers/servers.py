"""The servers of the comparison: how each is started on free ports, and how it is asked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from irp_chassis.testing.parts import free_port
from peers import ours

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / ".tools" / "peers"
PEERS = ("litserve", "bentoml", "mlserver", "triton")

Image = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way to ask one server.

    Attributes:
        name: for the table.
        kind: key of `asks.KINDS`.
        arguments: of that kind.
    """

    name: str
    kind: str
    arguments: tuple[Any, ...]


def installed(peer: str) -> bool:
    """True if `install.sh` has made its environment."""
    return (TOOLS / peer / "bin" / "python").exists()


@contextmanager
def our_doors(bundle: Path, folder: Path, image: Image) -> Iterator[list[Door]]:
    """Ours, with a token of its own."""
    token, (grpc_port, http_port) = ours.a_token(folder), (free_port(), free_port())
    arguments = (str(bundle), str(folder), grpc_port, http_port)
    process = multiprocessing.get_context("spawn").Process(target=ours.serve, args=arguments)
    process.start()
    try:
        yield [
            Door(name="OpenIRP, gRPC", kind="grpc", arguments=(grpc_port, ours.NAME, token, image)),
            Door(name="OpenIRP, REST", kind="rest", arguments=(http_port, ours.NAME, token, image)),
        ]
    finally:
        process.kill()
        process.join()


@contextmanager
def peer_doors(peer: str, xml: Path, image: Image) -> Iterator[list[Door]]:
    """A peer's, from its own environment; it and its children end with the block."""
    http_port, grpc_port = free_port(), free_port()
    command, doors = _TABLE[peer](xml, http_port, grpc_port, image)
    environment = {**os.environ, "BENCH_NETWORK": str(xml), "BENTOML_DO_NOT_TRACK": "True"}
    process = subprocess.Popen(
        [str(TOOLS / peer / "bin" / command[0]), *command[1:]],
        cwd=HERE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield doors
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _litserve(xml: Path, http: int, grpc: int, image: Image) -> tuple[list[str], list[Door]]:
    doors = [Door(name="LitServe", kind="litserve", arguments=(http, image))]
    return ["python", "litserve_server.py", str(xml), str(http)], doors


def _bentoml(xml: Path, http: int, grpc: int, image: Image) -> tuple[list[str], list[Door]]:
    command = ["bentoml", "serve", "bentoml_server:Network", "--host", "127.0.0.1", "--port", str(http)]
    return command, [Door(name="BentoML", kind="bentoml", arguments=(http, image))]


def _mlserver(xml: Path, http: int, grpc: int, image: Image) -> tuple[list[str], list[Door]]:
    doors = [Door(name="MLServer, gRPC", kind="bytes", arguments=(grpc, "network", image))]
    return ["python", "mlserver_server.py", str(xml), str(http), str(grpc)], doors


def _triton(xml: Path, http: int, grpc: int, image: Image) -> tuple[list[str], list[Door]]:
    doors = [Door(name="Triton (Python backend), gRPC", kind="grpc", arguments=(grpc, "network", "", image))]
    return ["python", "triton_server.py", str(xml), str(http), str(grpc)], doors


_TABLE: dict[str, Callable[[Path, int, int, Image], tuple[list[str], list[Door]]]] = {
    "litserve": _litserve,
    "bentoml": _bentoml,
    "mlserver": _mlserver,
    "triton": _triton,
}
