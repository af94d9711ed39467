"""A project's secret, wrapped by the installation's key (AES-256-GCM); opened in memory only."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database
from irp_deid import ProjectSecret
from irp_kernel.errors import DataLoss, FailedPrecondition
from sqlalchemy import select

from irp_ingest.adapters.db import SECRET

NONCE_BYTES, SECRET_BYTES = 12, 32


class BadInstallationKey(FailedPrecondition):
    """The installation's key is not 32 bytes in hexadecimal.

    Make one with `openssl rand -hex 32`, put it into IRP_INSTALLATION_KEY_FILE, and keep a copy in a safe place.
    """


def read_key(text: str) -> bytes:
    """The installation's key from its text.

    Raises:
        BadInstallationKey: not 64 hexadecimal digits.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        raise BadInstallationKey from None
    if len(key) != SECRET_BYTES:
        raise BadInstallationKey
    return key


def report_seed(installation_key: bytes) -> bytes:
    """Seed of the Ed25519 key that signs this installation's reports. Source: RFC 5869."""
    return HKDF(hashes.SHA256(), SECRET_BYTES, salt=None, info=b"openirp report-signing v1").derive(installation_key)


class ProjectSecrets:
    """Secrets by project, made on first use."""

    def __init__(self, database: Database, installation_key: bytes) -> None:
        self._database = database
        self._cipher = AESGCM(installation_key)
        self._open: dict[str, bytes] = {}

    async def site_key(self, project: str, site: str) -> bytes:
        """K_site of a project's site."""
        return ProjectSecret(await self._opened(project)).site_key(site).key

    async def derived(self, project: str, purpose: str, size: int) -> bytes:
        """A key of the project for one purpose. Source: RFC 5869."""
        return HKDF(hashes.SHA256(), size, salt=None, info=purpose.encode()).derive(await self._opened(project))

    async def _opened(self, project: str) -> bytes:
        if project not in self._open:
            self._open[project] = await self._secret(project)
        return self._open[project]

    @again_if_aborted
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
