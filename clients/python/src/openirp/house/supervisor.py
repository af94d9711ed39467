"""supervisord: starts what the house needs, restarts what dies (with back-off), one log per process."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openirp.house.layout import PARTS, Layout
from openirp.house.trouble import HouseTrouble

START_S = 15.0  # seconds that supervisord may take to answer
SETTLED_S = 2  # a process that dies sooner is started again only after a growing pause
RETRIES = 30  # such starts in a row; then the process is given up
STOP_S = 30  # seconds between SIGTERM and SIGKILL
LOG_BYTES = 20 << 20
_ALIVE = frozenset({"RUNNING", "STARTING", "STOPPING", "BACKOFF"})


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep alive."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    priority: int


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What supervisord says of one process; `started` is its latest start in seconds since 1970."""

    name: str
    state: str
    pid: int
    up_s: float
    started: int


def supervisor_config(layout: Layout, programs: Sequence[Program]) -> str:
    """The text of supervisord.conf."""
    head = f"""[unix_http_server]
file={layout.socket}
chmod=0700

[supervisord]
nodaemon=true
directory={layout.home}
logfile={layout.log("supervisord")}
logfile_maxbytes={LOG_BYTES}
logfile_backups=1
pidfile={layout.run / "supervisord.pid"}
umask=077
identifier=openirp

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    return head + "".join(_program(layout, program) for program in programs)


def _program(layout: Layout, program: Program) -> str:
    command = shlex.join(program.command).replace("%", "%%")
    environment = ",".join(f"{name}={_value(value)}" for name, value in sorted(program.environment.items()))
    return f"""
[program:{program.name}]
command={command}
environment={environment}
priority={program.priority}
autostart=true
autorestart=true
startsecs={SETTLED_S}
startretries={RETRIES}
stopsignal=TERM
stopwaitsecs={STOP_S}
killasgroup=true
redirect_stderr=true
stdout_logfile={layout.log(program.name)}
stdout_logfile_maxbytes={LOG_BYTES}
stdout_logfile_backups=2
"""


def _value(value: str) -> str:
    """A value between quotes; supervisord knows no escapes there and strips both kinds of quote from its ends.

    Raises:
        HouseTrouble: it cannot be written so.
    """
    if '"' in value or "\n" in value or value.strip("'") != value:
        raise HouseTrouble("a setting holds a quotation mark or a line break")
    return '"' + value.replace("%", "%%") + '"'


class Supervisor:
    """The supervisord of one house."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def start(self, programs: Sequence[Program], inherited: Mapping[str, str]) -> None:
        """Write the configuration and start supervisord; it lives on when we end.

        Args:
            programs: what to keep alive.
            inherited: variables that every program inherits beside ours.

        Raises:
            HouseTrouble: it did not answer.
        """
        config = self._layout.supervisor_config
        config.touch(mode=0o600)
        config.write_text(supervisor_config(self._layout, programs))
        self._layout.socket.unlink(missing_ok=True)
        log = self._layout.log("supervisord")
        with log.open("ab") as file:
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
            environment = {key: value for key, value in os.environ.items() if key != "IRP_TOKEN"} | dict(inherited)
            process = subprocess.Popen(
                command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
        until = time.monotonic() + START_S
        while not self.alive():
            if process.poll() is not None or time.monotonic() > until:
                raise HouseTrouble("supervisord did not start", f"see {log}")
            time.sleep(0.05)

    def alive(self) -> bool:
        """True if it answers."""
        try:
            self._ask("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def processes(self) -> list[ProcessState]:
        """Every process, by name; none if supervisord does not run."""
        try:
            rows = self._ask("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return []
        return [
            ProcessState(r["name"], r["statename"], r["pid"], max(0.0, r["now"] - r["start"]), r["start"]) for r in rows
        ]

    def pid(self, name: str) -> int:
        """Process id; 0 while it is not running."""
        return next((state.pid for state in self.processes() if state.name == name), 0)

    def start_process(self, name: str) -> None:
        """Start one process; nothing if it runs."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._ask("startProcess", name, False)

    def stop_process(self, name: str) -> None:
        """SIGTERM one process and wait until it has left; it is not started again by itself."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._ask("stopProcess", name, True)

    def shutdown(self, timeout_s: float = 2 * STOP_S + 20) -> bool:
        """Stop everything: all rooms at once, then the parts they stand on; True if there was something to stop.

        Raises:
            HouseTrouble: it did not end in time.
        """
        if not self.alive():
            return False
        until = time.monotonic() + timeout_s
        self._stop_rooms(until)
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._ask("shutdown")
        pid_file: Path = self._layout.run / "supervisord.pid"
        while self.alive() or pid_file.exists():
            if time.monotonic() > until:
                raise HouseTrouble("the house did not stop in time", f"see {self._layout.log('supervisord')}")
            time.sleep(0.1)
        return True

    def _stop_rooms(self, until: float) -> None:
        # Left to itself, supervisord's shutdown would stop them one after the other.
        rooms = [state.name for state in self.processes() if state.name not in PARTS]
        for name in rooms:
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._ask("stopProcess", name, False)
        while time.monotonic() < until and any(s.name in rooms and s.state in _ALIVE for s in self.processes()):
            time.sleep(0.1)

    def _ask(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

        transport = SupervisorTransport(None, None, f"unix://{self._layout.socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()
