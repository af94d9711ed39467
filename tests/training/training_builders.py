"""Small hearts, nets and datasets for the training room's tests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence

import numpy as np
from irp_kernel import Geometry, LabelTable, Mask, ObjectRef, Volume, encode_mask, encode_volume, sha256_of
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.learning.plan import CaseFile, Plan
from irp_training.domain.recipes.recipe import Recipe

HEART = ("lv_blood_pool", "lv_myocardium", "rv_blood_pool")
TINY = Recipe(
    seed=7,
    locate_epochs=2,
    segment_epochs=4,
    batch=2,
    min_steps=2,
    checkpoint_epochs=2,
    overhead=1.0,
    threads=1,
    ema=0.5,
    locate_channels=(4, 8),
    segment_channels=(4, 8),
    segment_size=64,
    licence="CC0-1.0",
)


def a_heart(seed: int, *, slices: int = 3, frames: int = 1, size: int = 72) -> tuple[Volume, Mask]:
    """A bright pool in a dark ring, a right ventricle beside it, noise; somewhere in the picture."""
    random = np.random.default_rng(seed)
    geometry = Geometry(
        shape=(slices, size, size), affine=tuple(map(tuple, np.diag([8.0, 1.5, 1.5, 1.0]).tolist())), frames=frames
    )
    row, column = size / 2 + random.uniform(-6, 6, 2)
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - row, columns - column)
    beside = np.hypot(rows - row, (columns - column + 18) * 1.2)
    flat = np.where(distance < 8, 1, np.where(distance < 12, 2, np.where(beside < 9, 3, 0))).astype(np.uint8)
    labels = np.broadcast_to(flat, geometry.array_shape).copy()
    image = np.choose(labels, [60.0, 300.0, 120.0, 280.0]) + random.normal(0, 10, geometry.array_shape)
    mask = Mask.fully_annotated(geometry, labels, LabelTable.canonical(HEART))
    return Volume(geometry=geometry, array=image.astype(np.float32)), mask


def only(mask: Mask, *names: str) -> Mask:
    """The same mask by somebody who drew these structures and nothing else."""
    keep = np.isin(mask.labels, [label.value for label in mask.table.labels if label.name in names])
    annotated = np.zeros_like(mask.annotated)
    for name in names:
        annotated[..., mask.table.index(name)] = True
    return Mask(geometry=mask.geometry, labels=mask.labels * keep, table=mask.table, annotated=annotated)


def a_ref(data: bytes = b"x", bucket: str = "irp-ingest") -> ObjectRef:
    """Where some bytes would lie."""
    digest = sha256_of(data)
    return ObjectRef(bucket=bucket, key=f"p/{digest}", sha256=digest, size=len(data), media_type="application/x-nrrd")


def a_case(number: int, *, patient: str = "", version: int = 1, verdict: str = "good") -> Case:
    """A row of the read model; its files exist only in name."""
    return Case(
        series=f"1.2.{number}",
        patient=patient or f"patient-{number}",
        site="site-1",
        sequence_class="cine-sax",
        volume=a_ref(f"volume {number}".encode()),
        mask=a_ref(f"mask {number} {version}".encode(), "irp-annotation"),
        version=version,
        verdict=verdict,
    )


def case_files(hearts: Sequence[tuple[str, Volume, Mask]]) -> list[CaseFile]:
    """(split, volume, mask) -> what a worker reads."""
    return [
        (a_case(number), part, encode_volume(volume), encode_mask(mask))
        for number, (part, volume, mask) in enumerate(hearts)
    ]


def as_stream(files: list[CaseFile]) -> CaseFiles:
    """Case files as the worker's port wants them."""

    async def read(only: Collection[str] = ()) -> AsyncIterator[CaseFile]:
        for file in files:
            if not only or file[1] in only:
                yield file

    return read


def a_plan(recipe: Recipe = TINY, base: bytes = b"") -> Plan:
    """A plan for the tiny nets."""
    return Plan(
        model="tiny",
        recipe=recipe,
        base=base,
        base_name="tiny@1" if base else "",
        dataset_digest="0" * 64,
        run="run-1",
        created_at="2026-01-01T00:00:00+00:00",
    )


def some_files(training: int = 2, validation: int = 1) -> list[CaseFile]:
    """A few hearts, each of another patient."""
    parts = ["training"] * training + ["validation"] * validation
    return case_files([(part, *a_heart(seed)) for seed, part in enumerate(parts)])


def tiny_json(**changes: object) -> str:
    """The tiny recipe as a request would send it."""
    keys = (
        "seed",
        "locate_epochs",
        "segment_epochs",
        "batch",
        "min_steps",
        "checkpoint_epochs",
        "overhead",
        "threads",
        "ema",
    )
    given = {key: getattr(TINY, key) for key in keys}
    given |= {"locate_channels": [4, 8], "segment_channels": [4, 8], "segment_size": 64, "licence": "CC0-1.0"}
    return json.dumps(given | changes)
