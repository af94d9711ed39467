"""The house's secrets: made once, kept under IRP_HOME/keys for the owner's eyes only."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from openirp.house.layout import ROOMS

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of one house.

    Attributes:
        private_key: Ed25519 private key (PEM file), for the gateway only.
        public_key: its public half, for every room.
        installation_key: file with 32 random bytes (hex): wraps each project's secret.
        model_key: Ed25519 private key (PEM file) that signs model versions, for training only.
        model_keys: its public half, for inference.
        s3_access: S3 access key.
        s3_secret: S3 secret key.
        token: the development token that `irp up` prints.
        nats: password of each room's NATS user.
    """

    private_key: Path
    public_key: Path
    installation_key: Path
    model_key: Path
    model_keys: Path
    s3_access: str
    s3_secret: str
    token: str
    nats: dict[str, str]


def keys_in(folder: Path) -> Keys:
    """Read the house's secrets; make those that are missing."""
    private, public = folder / "gateway_ed25519.pem", folder / "gateway_ed25519.pub.pem"
    if not (private.is_file() and public.is_file()):
        _make_pair(private, public)
    model, models = folder / "models_ed25519.pem", folder / "models_ed25519.pub.pem"
    if not (model.is_file() and models.is_file()):
        _make_pair(model, models)
    installation = folder / "installation.key"
    _secret(installation, secrets.token_hex(TOKEN_BYTES))
    return Keys(
        private_key=private,
        public_key=public,
        installation_key=installation,
        model_key=model,
        model_keys=models,
        s3_access=_secret(folder / "s3_access", f"irp{secrets.token_hex(8)}"),
        s3_secret=_secret(folder / "s3_secret", secrets.token_hex(TOKEN_BYTES)),
        token=_secret(folder / "token", f"irp_{secrets.token_urlsafe(TOKEN_BYTES)}"),
        nats={room: _secret(folder / f"nats_{room}", secrets.token_hex(16)) for room in ROOMS},
    )


def _make_pair(private: Path, public: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _secret(path: Path, fresh: str) -> str:
    if not path.is_file():
        _write(path, fresh.encode())
    return path.read_text().strip()


def _write(path: Path, content: bytes) -> None:
    """Write for the owner only, whole or not at all."""
    beside = path.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
