"""What you learn here: a version is loaded only if its registry signed it, and aliases name versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from irp.common.v1.types_pb2 import ModelRef, ObjectRef
from irp.training.v1.events_pb2 import ModelPromoted, ModelRegistered
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_inference.adapters.db import METADATA, MODEL
from irp_inference.adapters.events import Facts
from irp_inference.adapters.oip.nets import _version
from irp_inference.adapters.shelf import Shelf
from irp_inference.adapters.signatures import Signatures, keys_in
from irp_inference.domain.errors import ModelNotSigned
from irp_kernel.errors import ModelUnknown
from irp_kernel.ids import Digest
from irp_kernel.model_statement import KIND, model_statement
from irp_kernel.signed import public_jwk, sign
from sqlalchemy import MetaData

from .test_shelf import World

SEED, OTHER = bytes(32), bytes(31) + b"1"


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Signing(World):
    """Registered versions with a signature, and shelves that look at it."""

    async def sign(self, version: int, seed: bytes = SEED, about: int | None = None) -> None:
        digest = await self.register(version)
        statement = model_statement(name="heart", version=about or version, sha256=digest, origin={})
        row = {"name": "heart", "version": version, "signature": sign(statement, seed, KIND), "digest": digest}
        async with self.database.transaction() as tx:
            known = await self.rows.model(("heart", version))
            assert known is not None
            await tx.execute(MODEL.update().where(MODEL.c.name == "heart", MODEL.c.version == version).values(row))

    def trusting(self, *seeds: bytes, required: bool = False) -> Shelf:
        signatures = Signatures([public_jwk(seed) for seed in seeds], required=required)
        return Shelf(self.rows, self.objects, self.engines, budget_bytes=1_000_000, signatures=signatures)


@pytest.fixture
async def world(database: Database) -> Signing:
    return Signing(database, InMemoryObjects(), 1_000_000)


async def load(shelf: Shelf, version: int) -> int:
    try:
        async with shelf.use("heart", version) as loaded:
            return loaded.version
    finally:
        await shelf.close()


async def test_a_version_that_the_registry_signed_is_loaded_and_a_forged_one_is_not(world: Signing) -> None:
    await world.sign(1)
    assert await load(world.trusting(SEED), 1) == 1
    assert await load(world.trusting(OTHER, SEED), 1) == 1  # an old key stays trusted beside the new one
    with pytest.raises(ModelNotSigned):
        await load(world.trusting(OTHER), 1)
    await world.sign(2, about=1)  # the statement of another version
    with pytest.raises(ModelNotSigned):
        await load(world.trusting(SEED), 2)


async def test_without_a_signature_the_setting_decides(world: Signing) -> None:
    await world.register(1)
    assert await load(world.trusting(SEED), 1) == 1
    with pytest.raises(ModelNotSigned):
        await load(world.trusting(SEED, required=True), 1)
    await world.sign(2)
    with pytest.raises(ModelNotSigned):
        await load(world.trusting(required=True), 2)  # nothing to check it with


def test_public_keys_are_read_from_one_file_one_after_the_other(tmp_path: Path) -> None:
    keys = [Ed25519PrivateKey.from_private_bytes(seed).public_key() for seed in (SEED, OTHER)]
    file = tmp_path / "models.pem"
    file.write_bytes(b"".join(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys))
    assert keys_in(file) == [public_jwk(SEED), public_jwk(OTHER)]
    assert keys_in(None) == []
    file.write_text(json.dumps({}))
    with pytest.raises(ValueError, match="no public key"):
        keys_in(file)


async def test_a_digest_names_one_version_whoever_is_champion(world: Signing) -> None:
    facts = Facts(world.database, None, world.shelf)  # type: ignore[arg-type]
    for version, digit in ((1, "a"), (2, "b")):
        fact = ModelRegistered(name="heart", **told(version))
        fact.model.digest = digit * 64
        await facts.on_model_registered(fact)
    assert await world.shelf.number("heart", Digest("sha256:" + "a" * 64)) == 1
    assert await world.shelf.meant("heart@sha256:" + "b" * 64, "1.2.3") == "heart@2"
    for nobody in ("heart@sha256:" + "c" * 64, "liver@sha256:" + "a" * 64):
        with pytest.raises(ModelUnknown):
            await world.shelf.meant(nobody, "1.2.3")


async def test_aliases_name_what_the_facts_told(world: Signing) -> None:
    facts = Facts(world.database, None, world.shelf)  # type: ignore[arg-type]
    for version in (1, 2, 3):
        await facts.on_model_registered(ModelRegistered(name="heart", **told(version), signature=f"s{version}"))
    with pytest.raises(ModelUnknown):
        await world.shelf.number("heart", "previous")
    assert await world.shelf.number("heart", "candidate") == 3  # before there is any champion
    promoted = ModelPromoted(name="heart", **told(2), previous=1)
    promoted.aggregate.version = 2
    await facts.on_model_promoted(promoted)
    names = {alias: await world.shelf.number("heart", alias) for alias in ("candidate", "champion", "previous")}
    assert names == {"candidate": 3, "champion": 2, "previous": 1}
    known = await world.rows.model(("heart", 2))
    assert known is not None
    assert known.signature == "s2"  # the promotion was of a time without keys


def told(version: int) -> dict[str, object]:
    return {
        "model": ModelRef(name="heart", version=version, digest="d" * 64),
        "bundle": ObjectRef(bucket="irp-training", key="k", sha256="d" * 64, size=1, media_type="application/zip"),
    }


def test_the_open_inference_protocol_takes_aliases_and_digests_where_it_takes_versions() -> None:
    digest = "sha256:" + "d" * 64
    assert [_version(text) for text in ("", "0", "3", "champion", digest)] == [None, None, 3, "champion", digest]
    assert isinstance(_version(digest), Digest)
    for wrong in ("best", "-1", "1234567890", "sha256:d"):
        with pytest.raises(ModelUnknown):
            _version(wrong)
