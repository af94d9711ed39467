"""What the registry signed is checked before it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from irp_kernel.model_statement import read_statement
from irp_kernel.signed import SignatureNotValid, jwk_of

from irp_inference.adapters.serving_rows import Known
from irp_inference.domain.errors import ModelNotSigned

END = b"-----END PUBLIC KEY-----"


class Signatures:
    """Checks versions against public keys.

    Args:
        keys: JSON Web Keys that are trusted; without any, nothing can be checked.
        required: refuse what is not signed, or cannot be checked.
    """

    def __init__(self, keys: Sequence[dict[str, str]] = (), *, required: bool = False) -> None:
        self._keys, self._required = keys, required

    def check(self, known: Known) -> None:
        """Raise unless the version may be loaded.

        Raises:
            ModelNotSigned: its signature is of no trusted key or another bundle; or there is none, and one is needed.
        """
        name, version = known.key
        if self._keys and known.signature:
            try:
                subject = f"{name}@{version}"
                read_statement(known.signature, self._keys, sha256=known.bundle.sha256, subject=subject)
            except SignatureNotValid:
                raise ModelNotSigned(model=name, version=version) from None
        elif self._required:
            raise ModelNotSigned(model=name, version=version)


def keys_in(path: Path | None) -> list[dict[str, str]]:
    """Public keys in a file: PEM, one after the other, so that an old key stays trusted while a new one signs.

    Raises:
        ValueError: the file holds something else.
    """
    blocks = path.read_bytes().split(END)[:-1] if path is not None else []
    found = [load_pem_public_key(block.strip() + b"\n" + END + b"\n") for block in blocks]
    if path is not None and not found:
        raise ValueError(f"{path.name} holds no public key")
    return [jwk_of(_ed25519(key).public_bytes_raw()) for key in found]


def _ed25519(key: object) -> Ed25519PublicKey:
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("models are signed with Ed25519 keys")
    return key
