"""The servers of the comparison: how each is started on free ports, and how it is asked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from irp_chassis.testing.parts import free_port
from peers import ours
from peers.asks import Question

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / ".tools" / "peers"
OURS = "OpenIRP"
PEERS = ("litserve", "bentoml", "mlserver", "triton", "monailabel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way to ask one server."""

    name: str
    question: Question
    precision: str = "float32"


def installed(peer: str) -> bool:
    """True if `install.sh` has made its environment."""
    return (TOOLS / peer / "bin" / "python").exists()


@contextmanager
def our_doors(bundle: Path, folder: Path, image: str, precision: str = "float32") -> Iterator[list[Door]]:
    """Ours, with a token of its own; at a reduced precision with the folder's `reduced.zip`."""
    token, (grpc, http) = ours.a_token(folder), (free_port(), free_port())
    command = [sys.executable, str(HERE / "ours.py"), str(bundle), str(folder), str(grpc), str(http), precision]
    name = OURS if precision == "float32" else f"{OURS} {precision}"
    with _running(command, {}):
        yield [
            replace(_door(f"{name}, gRPC", "grpc", grpc, image, ours.NAME, token), precision=precision),
            replace(_door(f"{name}, REST", "rest", http, image, ours.NAME, token), precision=precision),
        ]


@contextmanager
def peer_doors(peer: str, xml: Path, image: str) -> Iterator[list[Door]]:
    """A peer's, from its own environment."""
    http, grpc = free_port(), free_port()
    command, door = _TABLE[peer](str(xml), http, grpc, image)
    with _running([str(TOOLS / peer / "bin" / command[0]), *command[1:]], {"BENCH_NETWORK": str(xml)}):
        yield [door]


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A server; it and its children end with the block."""
    process = subprocess.Popen(
        command,
        cwd=HERE,
        env={**os.environ, **environment, "BENTOML_DO_NOT_TRACK": "True"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # asked first: some keep workers in sessions of their own, and end them themselves
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _door(name: str, kind: str, port: int, image: str, *more: str) -> Door:
    return Door(name=name, question={"kind": kind, "port": port, "image": image, "more": list(more)})


def _litserve(xml: str, http: int, grpc: int, image: str) -> tuple[list[str], Door]:
    return ["python", "litserve_server.py", xml, str(http)], _door("LitServe", "litserve", http, image)


def _bentoml(xml: str, http: int, grpc: int, image: str) -> tuple[list[str], Door]:
    command = ["bentoml", "serve", "bentoml_server:Network", "--host", "127.0.0.1", "--port", str(http)]
    return command, _door("BentoML", "bentoml", http, image)


def _mlserver(xml: str, http: int, grpc: int, image: str) -> tuple[list[str], Door]:
    command = ["python", "mlserver_server.py", xml, str(http), str(grpc)]
    return command, _door("MLServer, gRPC", "bytes", grpc, image, "network")


def _triton(xml: str, http: int, grpc: int, image: str) -> tuple[list[str], Door]:
    command = ["python", "triton_server.py", xml, str(http), str(grpc)]
    return command, _door("Triton (Python backend), gRPC", "grpc", grpc, image, "network", "")


def _monailabel(xml: str, http: int, grpc: int, image: str) -> tuple[list[str], Door]:
    return ["python", "monailabel_server.py", xml, str(http)], _door("MONAI Label", "monailabel", http, image)


_TABLE: dict[str, Callable[[str, int, int, str], tuple[list[str], Door]]] = {
    "litserve": _litserve,
    "bentoml": _bentoml,
    "mlserver": _mlserver,
    "triton": _triton,
    "monailabel": _monailabel,
}
