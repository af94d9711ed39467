"""The registry's key: signs what it says of versions. Made once, where the setting says; nobody else reads it."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from irp_kernel.model_statement import KIND, model_statement
from irp_kernel.signed import public_jwk, sign
from irp_kernel.validation_report import KIND as REPORT_KIND

from irp_training.domain.registry.registry import Model

SOFTWARE = "irp-training"


class ModelKeys:
    """Signs with one Ed25519 key.

    Args:
        seed: its 32 bytes; None = nothing is signed.
        commit: of the code that runs, if it is known.
    """

    def __init__(self, seed: bytes | None, commit: str = "") -> None:
        self._seed, self._commit = seed, commit

    @property
    def jwks(self) -> list[str]:
        """Public keys, as JSON."""
        return [json.dumps(public_jwk(self._seed), sort_keys=True)] if self._seed else []

    def sign(self, model: Model, fresh: bool) -> str:
        """Compact JWS of the statement about a version; empty without a key.

        Args:
            model: the version.
            fresh: it is registered just now, by the code that runs; else nobody knows by which.
        """
        if self._seed is None:
            return ""
        ref = model.ref
        code = {"name": SOFTWARE, "version": version(SOFTWARE), "commit": self._commit} if fresh else None
        origin = self._origin(model) | {"code": code}
        statement = model_statement(name=ref.name, version=ref.version, sha256=ref.digest, origin=origin)
        return sign(statement, self._seed, KIND)

    def sign_report(self, document: dict[str, Any]) -> str:
        """Compact JWS of a validation report's manifest; empty without a key."""
        return sign(document, self._seed, REPORT_KIND) if self._seed else ""

    @staticmethod
    def _origin(model: Model) -> dict[str, Any]:
        return {
            "actor": model.actor,
            "created_at": model.created_at,
            "dataset": {"sha256": model.dataset_digest},
            "run": {"project": model.run[0], "id": model.run[1]} if model.run else None,
            "recipe": {"sha256": model.recipe_sha256},
            "base": model.base,
        }


def key_in(path: Path | None) -> bytes | None:
    """The seed of the key in a PEM file; made there, for the owner's eyes only, if there is none."""
    if path is None:
        return None
    if not path.exists():
        _make(path)
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path.name} is not an Ed25519 key")
    return key.private_bytes_raw()


def _make(path: Path) -> None:
    """Whole or not at all; whoever of two comes second takes the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
