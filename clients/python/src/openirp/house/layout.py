"""Where a house keeps its things: every path under IRP_HOME, and the names of its processes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("ingest", "quality", "annotation", "inference", "training", "radiomics", "gateway")
PARTS = ("nats", "s3")
PROCESSES = (*PARTS, *ROOMS)
SOCKET_LIMIT = 100  # bytes; a unix socket's path may not be longer than 107


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one house."""

    home: Path

    @classmethod
    def of(cls, home: Path | str | None) -> Layout:
        """The house in a folder; None = `IRP_HOME`, else `.irp` here."""
        chosen = home if home is not None else os.environ.get("IRP_HOME") or ".irp"
        return cls(Path(chosen).expanduser().resolve())

    @property
    def keys(self) -> Path:
        """Secrets; readable by the owner only."""
        return self.home / "keys"

    @property
    def data(self) -> Path:
        """What must survive: events, objects, tables."""
        return self.home / "data"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Process ids, ports and generated configuration of the running house."""
        return self.home / "run"

    @property
    def tools(self) -> Path:
        """Binaries that this house fetched for itself."""
        return self.home / "tools"

    @property
    def nats_config(self) -> Path:
        """Configuration of nats-server."""
        return self.run / "nats.conf"

    @property
    def supervisor_config(self) -> Path:
        """Configuration of supervisord."""
        return self.run / "supervisord.conf"

    @property
    def ports(self) -> Path:
        """Ports of the running (or last) house, as JSON."""
        return self.run / "ports.json"

    @property
    def socket(self) -> Path:
        """Socket of supervisord; outside the house where the house's path is too long for one."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= SOCKET_LIMIT:
            return inside
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"irp-{os.getuid()}-{name}.sock"

    def log(self, process: str) -> Path:
        """Log of one process."""
        return self.logs / f"{process}.log"

    def database(self, room: str) -> Path:
        """SQLite file of one room."""
        return self.data / "db" / f"{room}.db"

    def make(self) -> None:
        """Create the folders; everything is for the owner only."""
        for folder in (self.home, self.keys, self.data, self.logs, self.run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.data / "nats", self.data / "s3", self.data / "db"):
            folder.mkdir(exist_ok=True)
