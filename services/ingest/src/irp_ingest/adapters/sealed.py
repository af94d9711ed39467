"""Objects of the quarantine: AES-256-GCM under a key that derives from the project's secret.

The nonce is a keyed hash of the content: putting the same instance again makes the same object, so that a repeated
upload leaves no second copy behind; different contents get different nonces. Source: NIST SP 800-38D, RFC 5869.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from irp_chassis.objects import Objects
from irp_kernel import ObjectRef
from irp_kernel.errors import DataLoss

from irp_ingest.adapters.secrets import NONCE_BYTES, ProjectSecrets

PURPOSE = "openirp quarantine v1"
KEY_BYTES = 32
OCTETS = "application/octet-stream"


class SealedInStore:
    """See app.ports.SealedObjects."""

    def __init__(self, objects: Objects, secrets: ProjectSecrets) -> None:
        self._objects, self._secrets = objects, secrets

    async def put(self, data: bytes, *, project: str, id: str) -> ObjectRef:
        """See SealedObjects.put."""
        keys = await self._keys(project)
        sealed = await asyncio.to_thread(seal, data, keys, _place(project, id))
        return await self._objects.put(
            sealed, project=project, entity="quarantine", id=id, kind="sealed", media_type=OCTETS, extension="bin"
        )

    async def get(self, ref: ObjectRef, *, project: str, id: str) -> bytes:
        """See SealedObjects.get."""
        sealed, keys = await self._objects.get(ref), await self._keys(project)
        return await asyncio.to_thread(unseal, sealed, keys, _place(project, id))

    async def remove(self, ref: ObjectRef) -> None:
        """See SealedObjects.remove."""
        await self._objects.remove([ref.key])

    async def _keys(self, project: str) -> bytes:
        return await self._secrets.derived(project, PURPOSE, 2 * KEY_BYTES)


def seal(data: bytes, keys: bytes, place: bytes) -> bytes:
    """Nonce and ciphertext; `keys` are one for the cipher and one for the nonce."""
    digest = hashlib.sha256(data).digest()
    nonce = hmac.new(keys[KEY_BYTES:], place + b"\x00" + digest, hashlib.sha256).digest()[:NONCE_BYTES]
    return nonce + AESGCM(keys[:KEY_BYTES]).encrypt(nonce, data, place)


def unseal(sealed: bytes, keys: bytes, place: bytes) -> bytes:
    """What `seal` was given.

    Raises:
        DataLoss: another key or place, or the object was changed.
    """
    try:
        return AESGCM(keys[:KEY_BYTES]).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
    except InvalidTag:
        raise DataLoss("the project's key does not open this object") from None


def _place(project: str, id: str) -> bytes:
    return f"{project}/{id}".encode()
