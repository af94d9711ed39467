"""A project's secret, wrapped by the installation's key (AES-256-GCM); opened in memory only."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from irp_chassis.db import Database
from irp_deid import SiteKeys
from irp_kernel.errors import DataLoss
from sqlalchemy import select

from irp_ingest.adapters.db import SECRET

NONCE_BYTES, SECRET_BYTES = 12, 32


class ProjectSecrets:
    """Secrets by project, made on first use."""

    def __init__(self, database: Database, installation_key_file: Path) -> None:
        self._database = database
        self._cipher = AESGCM(bytes.fromhex(installation_key_file.read_text().strip()))
        self._open: dict[str, bytes] = {}

    async def site_key(self, project: str, site: str) -> bytes:
        """K_site of a project's site."""
        if project not in self._open:
            self._open[project] = await self._secret(project)
        return SiteKeys.derive(self._open[project], site).raw

    async def _secret(self, project: str) -> bytes:
        fresh, nonce = os.urandom(SECRET_BYTES), os.urandom(NONCE_BYTES)
        row = {"project": project, "wrapped": nonce + self._cipher.encrypt(nonce, fresh, project.encode())}
        async with self._database.transaction(mark=False) as tx:
            await tx.insert_once(SECRET, row, keys=("project",))
            query = select(SECRET.c.wrapped).where(SECRET.c.project == project)
            wrapped = bytes((await tx.execute(query)).scalar_one())
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], project.encode())
        except InvalidTag:
            raise DataLoss("the installation key does not open this project's secret") from None
