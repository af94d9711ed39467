"""What you learn here: the promises of an object store, kept by the real one and by its twin."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from irp_chassis.objects import Objects
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import S3Part
from irp_kernel import ObjectRef
from irp_kernel.errors import DataLoss


async def put(objects: Objects, data: bytes) -> ObjectRef:
    return await objects.put(
        data,
        project="demo",
        entity="series",
        id="2.25.7",
        kind="volume",
        media_type="application/x-nrrd",
        extension="nrrd",
    )


async def test_what_was_put_is_got(objects: Objects) -> None:
    ref = await put(objects, b"heart" * 1000)
    assert await objects.get(ref) == b"heart" * 1000
    assert await objects.exists(ref)


async def test_a_file_lies_where_its_bytes_would_lie(objects: Objects, tmp_path: Path) -> None:
    ref = await put(objects, b"heart" * 1000)
    path = tmp_path / "file"
    path.write_bytes(b"heart" * 1000)
    where = {"project": "demo", "entity": "series", "id": "2.25.7", "kind": "volume"}
    assert await objects.put_file(path, **where, media_type="application/x-nrrd", extension="nrrd") == ref
    path.write_bytes(b"another heart")
    other = await objects.put_file(path, **where, media_type="application/x-nrrd", extension="nrrd")
    assert await objects.get(other) == b"another heart"


async def test_putting_twice_is_putting_once(objects: Objects) -> None:
    assert await put(objects, b"same") == await put(objects, b"same")


async def test_a_part_of_an_object_can_be_streamed(objects: Objects) -> None:
    ref = await put(objects, bytes(range(256)) * 8000)
    assert b"".join([piece async for piece in objects.stream(ref)]) == bytes(range(256)) * 8000
    assert b"".join([piece async for piece in objects.stream(ref, start=254, length=4)]) == b"\xfe\xff\x00\x01"


async def test_a_missing_object_is_data_loss_not_an_empty_answer(objects: Objects) -> None:
    ref = await put(objects, b"was here")
    gone = dataclasses.replace(ref, key=ref.key + "x")
    assert not await objects.exists(gone)
    with pytest.raises(DataLoss):
        await objects.get(gone)


async def test_bytes_that_differ_from_their_hash_are_never_answered(objects: Objects) -> None:
    ref = await put(objects, b"true")
    lying = dataclasses.replace(ref, sha256="0" * 64)
    with pytest.raises(DataLoss):
        await objects.get(lying)
    with pytest.raises(DataLoss):
        async for _ in objects.stream(lying):
            pass


async def test_the_objects_of_one_thing_are_listed_and_removed_twice_is_removed_once(objects: Objects) -> None:
    own, other = await put(objects, b"of 2.25.7"), await objects.put(
        b"of 2.25.77", project="demo", entity="series", id="2.25.77", kind="volume", media_type="a/b", extension="nrrd"
    )  # fmt: skip
    listed = await objects.keys(project="demo", entity="series", id="2.25.7")
    assert own.key in listed
    assert other.key not in listed
    for _ in range(2):
        await objects.remove([own.key])
    assert own.key not in await objects.keys(project="demo", entity="series", id="2.25.7")
    assert not await objects.exists(own)
    assert await objects.exists(other)
    assert await put(objects, b"of 2.25.7") == own
    assert await objects.exists(own)


async def test_the_store_may_be_killed_between_two_puts(service_settings: ServiceSettings, s3_server: S3Part) -> None:
    from irp_chassis.objects import S3Objects

    objects = S3Objects("irp-killed", service_settings)
    await objects.ensure_bucket()
    first = await put(objects, b"before")
    s3_server.kill()
    s3_server.start()
    second = await put(objects, b"after")
    assert [await objects.get(first), await objects.get(second)] == [b"before", b"after"]
