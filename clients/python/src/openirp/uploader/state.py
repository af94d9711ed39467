"""What of an upload was answered already, so that the same command goes on where it was cut. No patient is in it.

A line per request: keyed hashes of the files (path, size, time), new series UIDs, numbers. The key is made here and
stays here. A line that was cut by a crash is not believed; its files are sent again, which changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from openirp.uploader.items import Item
from openirp.uploader.tally import Tally

KEY_BYTES = 32
NAME_DIGITS = 32  # 128 bits


def state_folder() -> Path:
    """`IRP_STATE_DIR`, else the platform's place for state."""
    if said := os.environ.get("IRP_STATE_DIR"):
        return Path(said)
    base = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".local" / "state")
    return Path(base) / "openirp"


class UploadState:
    """The state of one upload: one source to one project of one gateway."""

    def __init__(self, folder: Path, url: str, project: str, source: Path) -> None:
        self._key = _key(folder)
        self._path = folder / "uploads" / f"{self._mac(url, project, str(source.resolve()))}.jsonl"
        self.answered: set[str] = set()
        self.tally = Tally()
        self._load()

    def forget(self) -> None:
        """The upload is finished, or is to begin anew."""
        self._path.unlink(missing_ok=True)
        self.answered, self.tally = set(), Tally()

    def is_answered(self, item: Item) -> bool:
        """True if the gateway answered for this file, and it did not change since."""
        return self._fingerprint(item) in self.answered

    def add(self, items: Iterable[Item], tally: Tally) -> None:
        """The gateway answered for these files; durable when this returns."""
        files = [self._fingerprint(item) for item in items]
        line = json.dumps({"files": files, **tally.to_dict()})
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.open("a", encoding="ascii") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.answered.update(files)
        self.tally.add(tally)

    def _load(self) -> None:
        if not self._path.exists():
            return
        for line in self._path.read_text("ascii", "replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, IndexError):
                said = json.loads(line)
                tally = Tally.from_dict(said)
                self.answered.update(map(str, said["files"]))
                self.tally.add(tally)

    def _fingerprint(self, item: Item) -> str:
        return self._mac(item.name, str(item.size), str(item.changed))

    def _mac(self, *texts: str) -> str:
        joined = "\x00".join(texts).encode("utf-8", "surrogateescape")
        return hmac.new(self._key, joined, hashlib.sha256).hexdigest()[:NAME_DIGITS]


def _key(folder: Path) -> bytes:
    """The folder's own random key, made on first use, for its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "uploads.key"
    with contextlib.suppress(FileExistsError):
        temporary = folder / f"uploads.key.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        try:
            os.link(temporary, path)  # whole or not at all, and never over another's
        finally:
            temporary.unlink()
    return path.read_bytes()
