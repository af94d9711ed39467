"""What you learn here: images and containers that a killed room left behind go, and those of living rooms stay."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from container_builders import a_container
from irp_chassis.testing.twins import InMemoryObjects
from irp_training.adapters.container_runtime import OciRuntime
from irp_training.adapters.runtimes import runtime_of
from irp_training.adapters.scratch import ARCHIVES, RUNS, Scratch
from irp_training.app.container_ports import Work
from irp_training.domain.containers.limits import Limits

# Keeps a file per container with the process that plays it; where `slow` is there, containers do not end.
PODMAN = """#!/bin/sh
case "$1" in
--version) echo "podman 5.0" ;;
ps) [ ! -e {there}/../down ] && ls {there} | grep -F "${{5#name=}}"; [ ! -e {there}/../down ] ;;
rm) [ -e {there}/../down ] || {{ kill $(cat {there}/$3) 2>&-; rm -f {there}/$3; }} ;;
run)
    for word; do case "$word" in --name=*) name="${{word#--name=}}" ;; esac; done
    if [ -e {there}/../slow ]; then echo $$ > {there}/$name; exec sleep 600; fi ;;
esac
"""

ROOM = """
import asyncio, sys
from pathlib import Path
from irp_chassis.testing.twins import InMemoryObjects
from irp_training.adapters.container_runtime import OciRuntime
from irp_training.adapters.scratch import Scratch
from test_killed_rooms_leave_no_containers import work
place, scratch = Path(sys.argv[1]), Scratch(Path(sys.argv[1]) / "scratch")
with scratch.archives() as folder:
    (folder / "archive.tar").write_bytes(b"half of an archive")
    asyncio.run(OciRuntime(InMemoryObjects(), [str(place / "podman")], scratch).run(work(7)))
"""


def work(piece: int) -> Work:
    return Work(
        key="run-a",
        piece=piece,
        sees_patients=True,
        container=a_container("1" * 64),
        limits=Limits(),
        inputs={"images/heart/a.mha": b"a patient's"},
    )


class Machine:
    """One machine with a stand-in for podman."""

    def __init__(self, place: Path) -> None:
        self.place, self.there, self.scratch = place, place / "there", Scratch(place / "scratch")
        self.there.mkdir()
        self.podman = place / "podman"
        self.podman.write_text(PODMAN.format(there=self.there))
        self.podman.chmod(0o755)
        self.runtime = OciRuntime(InMemoryObjects(), [str(self.podman)], self.scratch)

    def killed_while_a_container_runs(self) -> None:
        (self.place / "slow").touch()
        paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        room = subprocess.Popen([sys.executable, "-c", ROOM, self.place], env=os.environ | {"PYTHONPATH": paths})
        while not self.containers():
            assert room.poll() is None
            time.sleep(0.05)
        room.send_signal(signal.SIGKILL)
        room.wait()
        (self.place / "slow").unlink()
        assert [path.name.startswith(f"{RUNS}run-a-7-") for path in self.left(RUNS)] == [True]
        assert (self.left(RUNS)[0] / "input/images/heart/a.mha").read_bytes() == b"a patient's"
        assert self.left(ARCHIVES)

    def containers(self) -> list[str]:
        return [path.name for path in self.there.iterdir() if path.read_text().strip()]

    def left(self, prefix: str = "") -> list[Path]:
        return [*self.scratch.folder.glob(f"{prefix}*")]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for name in machine.containers():
        os.kill(int((machine.there / name).read_text()), signal.SIGKILL)


async def test_what_a_killed_try_left_at_a_later_frame_is_gone_before_the_next_try_begins(machine: Machine) -> None:
    machine.killed_while_a_container_runs()
    with machine.scratch.held(f"{RUNS}of-another-room-") as alive:
        assert (await machine.runtime.run(work(0))).exit_code == 0
        assert machine.left(RUNS) == [alive]
    assert machine.containers() == []


async def test_a_room_that_begins_removes_what_nobody_holds_and_nothing_else(machine: Machine) -> None:
    machine.killed_while_a_container_runs()
    begun = list[Any]()
    settings = SimpleNamespace(container_namespace="", container_runtime=str(machine.podman))
    room: Any = SimpleNamespace(settings=settings, objects=InMemoryObjects(), spawn=begun.append)
    runtime_of(room, machine.scratch)
    with machine.scratch.held(RUNS) as running, machine.scratch.archives() as sending:
        for loop in begun:
            await loop(asyncio.Event())
        assert sorted(machine.left()) == sorted([running, sending])
    assert machine.containers() == []


async def test_where_the_runtime_does_not_answer_images_go_and_the_container_goes_with_a_later_sweep(
    machine: Machine,
) -> None:
    machine.killed_while_a_container_runs()
    (machine.place / "down").touch()
    await machine.runtime.sweep()
    (folder,) = machine.left(RUNS)
    assert list(folder.iterdir()) == []
    (machine.place / "down").unlink()
    await machine.runtime.sweep()
    assert (machine.left(RUNS), machine.containers()) == ([], [])
