"""The key that signs what this room certifies: Ed25519, from a file, or made once and kept in the room's database."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from irp_chassis.db import Database
from irp_deid.signed import public_jwk, sign
from sqlalchemy import select

from irp_training.adapters.db import SIGNING_KEY
from irp_training.domain.errors import SigningKeyBad

SEED_BYTES = 32
NAME = "reports"


class Signing:
    """See app.ports.Signer."""

    def __init__(self, database: Database, file: Path | None) -> None:
        self._database, self._file = database, file
        self._seed: bytes | None = None

    async def __call__(self, document: dict[str, Any]) -> str:
        """Compact JWS of a document."""
        return sign(document, await self._key())

    async def public(self) -> dict[str, str]:
        """The public key as JSON Web Key."""
        return public_jwk(await self._key())

    async def _key(self) -> bytes:
        if self._seed is None:
            self._seed = _read(self._file.read_text()) if self._file else await self._kept()
        return self._seed

    async def _kept(self) -> bytes:
        """Every process of the room signs with the same key: whoever comes first makes it."""
        row = {"name": NAME, "seed": secrets.token_hex(SEED_BYTES)}
        async with self._database.transaction(mark=False) as tx:
            await tx.insert_once(SIGNING_KEY, row, keys=("name",))
            query = select(SIGNING_KEY.c.seed).where(SIGNING_KEY.c.name == NAME)
            return _read(str((await tx.execute(query)).scalar_one()))


def _read(text: str) -> bytes:
    try:
        seed = bytes.fromhex(text.strip())
    except ValueError:
        raise SigningKeyBad from None
    if len(seed) != SEED_BYTES:
        raise SigningKeyBad
    return seed
