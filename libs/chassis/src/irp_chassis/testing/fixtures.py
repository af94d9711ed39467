"""pytest fixtures: the real parts on free ports; keys; fresh databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr
from sqlalchemy import MetaData

from irp_chassis import jetstream
from irp_chassis.auth import TokenMinter
from irp_chassis.db import Database
from irp_chassis.objects import S3Objects
from irp_chassis.settings import ServiceSettings
from irp_chassis.tables import new_metadata
from irp_chassis.testing.parts import NatsPart, PostgresPart, S3Part
from irp_chassis.testing.twins import InMemoryObjects


@pytest.fixture
def nats_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NatsPart]:
    """A real nats-server, fresh for each test: a room hears every fact that a stream holds.

    A room leaves when its last look for a fact has ended; in tests that takes half a second instead of two.
    """
    monkeypatch.setattr(jetstream, "FETCH_S", 0.5)
    part = NatsPart(tmp_path)
    part.start()
    yield part
    part.stop()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Part]:
    """A real S3 server."""
    part = S3Part(tmp_path_factory.mktemp("s3"))
    part.start()
    yield part
    part.stop()


@pytest.fixture(scope="session")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(private, public) PEM files of a fresh Ed25519 pair."""
    folder = tmp_path_factory.mktemp("keys")
    key = Ed25519PrivateKey.generate()
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="session")
def minter(key_files: tuple[Path, Path]) -> TokenMinter:
    """Mints tokens that rooms with `service_settings` believe."""
    return TokenMinter.from_file(key_files[0])


@pytest.fixture
def service_settings(
    nats_server: NatsPart, s3_server: S3Part, key_files: tuple[Path, Path], tmp_path: Path
) -> ServiceSettings:
    """Settings that point at the real parts, with a fresh SQLite file."""
    return ServiceSettings(
        nats_url=nats_server.url,
        s3_endpoint=s3_server.endpoint,
        s3_access_key=s3_server.access_key,
        s3_secret_key=SecretStr(s3_server.secret_key),
        auth_public_key_file=key_files[1],
        database_url=f"sqlite+aiosqlite:///{tmp_path}/room.db",
        drain_s=5,
    )


@pytest.fixture
def metadata() -> MetaData:
    """The tables of the `database` fixture; a room's tests override it with their own METADATA."""
    return new_metadata()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresPart]:
    """A real PostgreSQL, where one is installed."""
    try:
        part = PostgresPart(tmp_path_factory.mktemp("postgres"))
    except FileNotFoundError:
        pytest.skip("PostgreSQL is not installed here")
    part.start()
    yield part
    part.stop()


@pytest.fixture
async def database(tmp_path: Path, metadata: MetaData) -> AsyncIterator[Database]:
    """A fresh SQLite database with the tables of `metadata`."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/test.db", metadata)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def either_database(
    request: pytest.FixtureRequest, tmp_path: Path, metadata: MetaData
) -> AsyncIterator[Database]:
    """SQLite and PostgreSQL, one after the other: the same tests for both."""
    url = f"sqlite+aiosqlite:///{tmp_path}/either.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").url
    database = Database(url, metadata)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture(params=["memory", "s3"])
async def objects(request: pytest.FixtureRequest) -> InMemoryObjects | S3Objects:
    """The twin and the real store, one after the other: the same tests for both."""
    if request.param == "memory":
        return InMemoryObjects()
    real = S3Objects("irp-test", request.getfixturevalue("service_settings"))
    await real.ensure_bucket()
    return real
