"""What you learn here: the manifests are true.

Each room starts with exactly the command and environment of its rendered Deployment, on a nats-server and an S3 server
started from theirs, and its probes answer. Only addresses and paths are rewritten.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from as_deployed import Container, one
from irp_chassis.facts import ROOMS
from irp_chassis.testing.parts import Part, free_port, nats_binary, rclone_binary

ROOT = Path(__file__).parents[2]
START_S = 120.0
Documents = list[dict[str, Any]]


class Moved:
    """Container ports and paths -> ports and paths of this machine."""

    def __init__(self, paths: dict[str, str]) -> None:
        self._paths, self._ports = paths, dict[int, int]()

    def port(self, container_port: int) -> int:
        """The port here that stands for a container's."""
        return self._ports.setdefault(container_port, free_port())

    def text(self, value: str) -> str:
        """A variable or argument with its listening address and its paths moved."""
        value = re.sub(r"0\.0\.0\.0:(\d+)", lambda m: f"127.0.0.1:{self.port(int(m[1]))}", value)
        longest_first = sorted(self._paths, key=len, reverse=True)
        paths = "|".join(map(re.escape, longest_first))
        return re.sub(rf"(?<![\w.-])({paths})(?![\w-])", lambda m: self._paths[m[1]], value)


@pytest.fixture(scope="module")
def nats(dev: Documents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nats-server with the configuration and the users of the component; its URL."""
    root = tmp_path_factory.mktemp("nats")
    container = Container(dev, one(dev, "StatefulSet", "nats"))
    moved = Moved(container.lay_files(root))
    for file in (root / "etc/nats").iterdir():
        file.write_text(moved.text(file.read_text()))
    variables = [f"{name}={value}" for name, value in container.environment().items()]
    command = [nats_binary(), *(moved.text(word) for word in container.command()[1:])]
    part = Part(["env", *variables, *command], moved.port(4222), root / "nats.log")
    part.start()
    assert container.wait_for("startupProbe", moved.port, 30), (root / "nats.log").read_text()[-2000:]
    assert container.probe("readinessProbe", moved.port)
    assert container.probe("livenessProbe", moved.port)
    yield f"nats://127.0.0.1:{part.port}"
    part.stop()
    assert "Violation" not in (root / "nats.log").read_text(), "a room may not say what it wants to say: `make docs`"


@pytest.fixture(scope="module")
def s3(dev: Documents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The S3 server with the command of the component; its host:port."""
    root = tmp_path_factory.mktemp("s3")
    container = Container(dev, one(dev, "StatefulSet", "s3"))
    moved = Moved(container.lay_files(root))
    command = [rclone_binary(), *(moved.text(word) for word in container.command()[1:])]
    part = Part(command, moved.port(9000), root / "s3.log")
    part.start()
    yield f"127.0.0.1:{part.port}"
    part.stop()


def environment_here(container: Container, moved: Moved, nats: str, s3: str) -> dict[str, str]:
    told = {name: moved.text(value) for name, value in container.environment().items()}
    told |= {"IRP_NATS_URL": nats, "IRP_S3_ENDPOINT": s3}
    # Other rooms are not there in this test: an address that nobody listens at.
    told |= {name: f"dns:///127.0.0.1:{free_port()}" for name in told if name.endswith("_ADDRESS")}
    return told | {"PATH": os.environ["PATH"]}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_starts_and_stops_with_the_command_environment_and_probes_of_its_deployment(
    room: str, dev: Documents, nats: str, s3: str, tmp_path: Path
) -> None:
    if not (ROOT / f"services/{room}/src/irp_{room}/main.py").is_file():
        pytest.skip(f"{room} has no main.py yet")
    container = Container(dev, one(dev, "Deployment", room))
    moved = Moved(container.lay_files(tmp_path / "root") | {"/opt/irp/models": str(ROOT / "models")})
    empty = tmp_path / "empty"
    empty.mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [moved.text(word) if word.startswith("/etc") else word for word in container.command()],
            env=environment_here(container, moved, nats, s3),
            cwd=empty,
            stdout=log,
            stderr=log,
        )
    try:
        said = (tmp_path / "log").read_text
        assert container.wait_for("startupProbe", moved.port, START_S, process), said()[-4000:]
        assert container.wait_for("readinessProbe", moved.port, 60, process), said()[-4000:]
        assert container.probe("livenessProbe", moved.port), said()[-4000:]
        process.send_signal(signal.SIGTERM)
        assert process.wait(container.pod["terminationGracePeriodSeconds"]) == 0, said()[-4000:]
    finally:
        process.kill()
        process.wait(10)
    assert list(empty.iterdir()) == [], "the room writes beside its volumes: its root file system is read-only"
