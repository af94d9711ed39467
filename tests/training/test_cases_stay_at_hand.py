"""What you learn here: what a run has read lies unpacked on the disk, within a bound, and teaches the same."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import ObjectRef, decode_mask, decode_volume, encode_mask, encode_volume
from irp_training.adapters.case_cache import GRACE_S, CaseCache
from irp_training.adapters.exchange import _opened
from irp_training.domain.samples.examples import examples_of
from training_builders import HEART, a_heart

PLAIN = 3 * 72 * 72 * 4  # bytes of a heart's voxels


class Counting(InMemoryObjects):
    """Says what was fetched."""

    fetched = 0

    async def get(self, ref: ObjectRef) -> bytes:
        self.fetched += 1
        return await super().get(ref)


async def put(objects: InMemoryObjects, data: bytes) -> ObjectRef:
    return await objects.put(
        data, project="demo", entity="series", id="1", kind="volume", media_type="application/x-nrrd", extension="nrrd"
    )


async def hearts(objects: InMemoryObjects, count: int) -> list[ObjectRef]:
    return [await put(objects, encode_volume(a_heart(seed)[0])) for seed in range(count)]


async def test_a_case_is_fetched_once_and_gives_the_same_examples_from_the_disk(tmp_path: Path) -> None:
    objects, (volume, mask) = Counting(), a_heart(1)
    refs = await put(objects, encode_volume(volume)), await put(objects, encode_mask(mask))
    cache = CaseCache(objects, tmp_path / "cases", 1 << 20)
    first = [await cache.get(ref) for ref in refs]
    again = [await CaseCache(objects, tmp_path / "cases", 1 << 20).get(ref) for ref in refs]
    assert (first, objects.fetched) == (again, 2)
    assert (tmp_path / "cases").stat().st_mode & 0o077 == 0
    mapped, drawn = (_opened(file) for file in first)
    image = decode_volume(mapped)
    assert not image.array.flags.owndata  # the disk's pages themselves
    found = examples_of(image, decode_mask(drawn), HEART)
    for mine, theirs in zip(found, examples_of(volume, mask, HEART), strict=True):
        assert np.array_equal(mine.image, theirs.image)
        assert np.array_equal(mine.labels, theirs.labels)


async def test_what_was_not_used_for_longest_goes_first_and_nothing_in_use_goes(tmp_path: Path) -> None:
    objects, clock = Counting(), itertools.count(1e9, GRACE_S)
    now = [next(clock)]
    cache = CaseCache(objects, tmp_path, 2 * (PLAIN + 2000), lambda: now[0])
    one, two, three = await hearts(objects, 3)
    await cache.get(one)
    await cache.get(two)
    assert isinstance(await cache.get(three), bytes)  # both may be about to be opened
    now[0] = next(clock)
    await cache.get(one)
    now[0] += 1
    assert isinstance(await cache.get(three), Path)
    assert set(os.listdir(tmp_path)) == {one.sha256, three.sha256}  # noqa: PTH208 - two names


async def test_another_process_of_the_same_number_may_write_the_same_case(tmp_path: Path) -> None:
    objects = Counting()  # in two containers both are the first process
    (ref,) = await hearts(objects, 1)
    (tmp_path / f"{ref.sha256}.{os.getpid()}.new").mkdir()
    assert await CaseCache(objects, tmp_path, 1 << 20).get(ref) == tmp_path / ref.sha256
    assert len(os.listdir(tmp_path)) == 2  # noqa: PTH208 - the other's draft, and the case


@pytest.mark.parametrize("folder", ["a file", "a file/under"])
async def test_a_broken_disk_costs_time_and_no_run(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file").write_bytes(b"")
    objects = Counting()
    (ref,) = await hearts(objects, 1)
    assert await CaseCache(objects, tmp_path / folder, 1 << 30).get(ref) == await objects.get(ref)
