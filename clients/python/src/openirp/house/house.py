"""A house: everything OpenIRP needs, on one machine, in one folder. The `irp` command and the flow tests use it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from openirp.client import Irp
from openirp.house.binaries import nats_server, nats_version, rclone
from openirp.house.environment import room_environment
from openirp.house.keys import Keys, keys_in
from openirp.house.layout import PARTS, PROCESSES, ROOMS, Layout
from openirp.house.nats_config import nats_config
from openirp.house.ports import LOOPBACK, Ports, choose_ports, read_ports
from openirp.house.readiness import Look, look_at, look_at_all
from openirp.house.supervisor import ProcessState, Program, Supervisor
from openirp.house.trouble import HouseTrouble

READY_S = 300.0  # seconds that the house may take to stand on a busy machine
TAIL_LINES = 15
STARTS_IN_VAIN = 5  # of one process while the house is waited for


class House:
    """One house.

    Args:
        home: its folder; None = `IRP_HOME`, else `.irp` here.
        ports: "auto" = free ports, "fixed" = settings and defaults; None = `IRP_PORTS`, else "fixed".
        environment: further variables for every room.
        room_environment: further variables for single rooms.
        rooms: which rooms live here; tests may want a small house.
    """

    def __init__(
        self,
        home: Path | str | None = None,
        *,
        ports: str | None = None,
        environment: Mapping[str, str] | None = None,
        room_environment: Mapping[str, Mapping[str, str]] | None = None,
        rooms: Sequence[str] = ROOMS,
    ) -> None:
        self._rooms = tuple(rooms)
        self.layout = Layout.of(home)
        self._mode = ports or os.environ.get("IRP_PORTS") or "fixed"
        self._for_all = dict(environment or {})
        self._for_one = {room: dict(more) for room, more in (room_environment or {}).items()}
        self.supervisor = Supervisor(self.layout)

    @property
    def keys(self) -> Keys:
        """The house's secrets; made on first use."""
        self.layout.make()
        return keys_in(self.layout.keys)

    @property
    def ports(self) -> Ports:
        """Ports of the running house.

        Raises:
            HouseTrouble: it was never started.
        """
        found = read_ports(self.layout.ports)
        if not found:
            raise HouseTrouble(f"there is no house in {self.layout.home}", "start one with `irp up`")
        return found

    @property
    def processes(self) -> tuple[str, ...]:
        """Parts and rooms of this house."""
        return (*PARTS, *self._rooms)

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    def client(self) -> Irp:
        """A client with the development token."""
        return Irp(self.url, self.keys.token)

    def is_up(self) -> bool:
        """True if its supervisor answers."""
        return self.supervisor.alive()

    def start(self) -> None:
        """Start parts and rooms; returns before they are ready. Nothing if the house is up.

        Raises:
            HouseTrouble: a port is taken, or a binary is missing.
        """
        if self.is_up():
            return
        self.layout.make()
        ports = choose_ports(self._mode, self.layout.ports)
        programs = [self._nats(ports), self._s3(ports), *(self._room(room, ports) for room in self._rooms)]
        self.layout.ports.write_text(json.dumps(ports))
        self.supervisor.start(programs, self._s3_secret())

    def stop(self) -> bool:
        """Stop everything, gently; True if something ran."""
        return self.supervisor.shutdown()

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process; its pid. The supervisor starts it again.

        Raises:
            HouseTrouble: it does not run.
        """
        pid = self.supervisor.pid(process)
        if not pid:
            raise HouseTrouble(f"{process} does not run")
        os.kill(pid, number)
        return pid

    def restarted(self, process: str, old_pid: int, timeout_s: float = READY_S) -> None:
        """Wait until a killed process is back under another pid, and ready.

        Raises:
            HouseTrouble: it did not come back in time.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.supervisor.pid(process) not in (0, old_pid) and look_at(process, self.ports).ready:
                return
            time.sleep(0.1)
        raise HouseTrouble(f"{process} did not come back within {timeout_s:.0f} s", self.tail(process))

    def wait_ready(self, timeout_s: float = READY_S, on_look: Callable[[list[Look]], None] | None = None) -> None:
        """Wait until every part and room is ready.

        Raises:
            HouseTrouble: one was given up, or did not become ready in time; with the end of its log.
        """
        until = time.monotonic() + timeout_s
        starts: dict[str, set[int]] = {}
        while True:
            looks = look_at_all(self.ports, self.processes)
            if on_look:
                on_look(looks)
            if all(look.ready for look in looks):
                return
            self._give_up_early(looks, starts, late=time.monotonic() > until)
            time.sleep(0.2)

    def _give_up_early(self, looks: list[Look], starts: dict[str, set[int]], *, late: bool) -> None:
        states = self.supervisor.processes()
        if not states:
            raise HouseTrouble("the supervisor ended", self.tail("supervisord"))
        for state in states:
            starts.setdefault(state.name, set()).add(state.started)
        dead = [s.name for s in states if s.state == "FATAL" or len(starts[s.name]) >= STARTS_IN_VAIN]
        slow = [look for look in looks if not look.ready]
        if not dead and not late:
            return
        name = dead[0] if dead else slow[0].name
        why = "ends as soon as it is started" if dead else f"is not ready ({slow[0].said})"
        raise HouseTrouble(f"{name} {why}", f"The end of {self.layout.log(name)}:\n{self.tail(name)}")

    def looks(self) -> list[tuple[ProcessState | None, Look]]:
        """State and readiness of every process."""
        states = {state.name: state for state in self.supervisor.processes()}
        return [(states.get(look.name), look) for look in look_at_all(self.ports, self.processes)]

    def tail(self, process: str, lines: int = TAIL_LINES) -> str:
        """The last lines of a process's log.

        Raises:
            HouseTrouble: there is no such process.
        """
        if process not in (*PROCESSES, "supervisord"):
            raise HouseTrouble(f"there is no room named {process}", f"rooms and parts: {', '.join(PROCESSES)}")
        log = self.layout.log(process)
        if not log.is_file():
            return "(no log yet)"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def exports(self) -> dict[str, str]:
        """What `irp env` prints."""
        ports = self.ports
        told = {"IRP_URL": self.url, "IRP_TOKEN": self.keys.token, "IRP_HOME": str(self.layout.home)}
        told["IRP_OIP_ADDRESS"] = f"{LOOPBACK}:{ports['oip']}"
        told["IRP_OIP_HTTP_ADDRESS"] = f"{LOOPBACK}:{ports['oip_http']}"
        if look_at("s3", ports | {"s3": ports["dicom"]}).ready:
            told["IRP_DICOM_ADDRESS"] = f"{LOOPBACK}:{ports['dicom']}"
        return told

    def _nats(self, ports: Ports) -> Program:
        binary = nats_server(self.layout.tools)
        config = self.layout.nats_config
        config.touch(mode=0o600)
        version = nats_version(binary) or (0, 0)
        config.write_text(nats_config(self.layout.data / "nats", ports["nats"], self.keys.nats, version))
        return Program("nats", [str(binary), "-c", str(config)], {}, 1)

    def _s3(self, ports: Ports) -> Program:
        command = [str(rclone()), "serve", "s3", "--addr", f"{LOOPBACK}:{ports['s3']}", "--vfs-cache-mode", "off"]
        command += ["--config", os.devnull, str(self.layout.data / "s3")]
        return Program("s3", command, {}, 1)

    def _s3_secret(self) -> dict[str, str]:
        # By environment, not by argument: other users of the machine can read arguments. Quoted as CSV for rclone.
        return {"RCLONE_AUTH_KEY": f'"{self.keys.s3_access},{self.keys.s3_secret}"'}

    def _room(self, room: str, ports: Ports) -> Program:
        extra = {**self._for_all, **self._for_one.get(room, {})}
        environment = room_environment(room, self.layout, self.keys, ports, extra)
        return Program(room, [sys.executable, "-m", f"irp_{room}.main"], environment, 10)
