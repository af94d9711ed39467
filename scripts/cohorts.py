"""The collections that the shipped models learn from, read into memory: ACDC (cine) and EMIDEC (late enhancement).

Both are CC BY-NC-SA 4.0, have lost their spacing, and are not in this repository; `models/README.md` says where they
come from. Which patient is held out is decided here, once, before anything is learnt: every fifth of each group is
`test`, every tenth `validation`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from irp_kernel import LabelTable
from numpy.typing import NDArray
from openirp.demo.mr_instance import Sheet, mr_instance

STRUCTURES = ("lv_blood_pool", "lv_myocardium", "rv_blood_pool", "scar", "no_reflow")  # values 1 to 5
FROM_ACDC = np.array([0, 3, 2, 1], dtype=np.uint8)  # theirs: 1 right ventricle, 2 myocardium, 3 cavity
FROM_EMIDEC = np.array([0, 1, 2, 4, 5], dtype=np.uint8)  # theirs: 1 cavity, 2 myocardium, 3 infarct, 4 no-reflow
BITS = 12
PITCH_MM, CINE_MM, LGE_MM, PHASE_MS = 10.0, 1.5, 1.4, 300.0  # nominal


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient of a collection.

    Attributes:
        name: in the collection.
        part: "training", "validation" or "test".
        files: DICOM files.
        labels: uint8 (time, slice, row, column), canonical values.
        table: structures that the experts drew everywhere.
    """

    name: str
    part: str
    files: list[bytes]
    labels: NDArray[np.uint8]
    table: LabelTable


def acdc(folder: Path) -> Iterator[Patient]:
    """ACDC: end-diastole and end-systole as a cine of two frames."""
    table = LabelTable.canonical(STRUCTURES[:3])
    for name, part, images, labels in acdc_arrays(folder):
        yield Patient(name, part, _files(name, images, CINE_MM, "cine sax"), labels, table)


def acdc_arrays(folder: Path) -> Iterator[tuple[str, str, NDArray[np.float32], NDArray[np.uint8]]]:
    """(name, part, images, labels) of ACDC: (time, slice, row, column), images from 0 to 1, canonical values."""
    rows = [row for row in _index(folder) if row["phase"] == "ED"]
    for part, row in _split(rows, "group"):
        frames = [_acdc_frame(folder / f"{row['patient']}_{phase}.h5") for phase in ("ED", "ES")]
        images = np.stack([image for image, _ in frames])
        yield row["patient"], part, images, FROM_ACDC[np.stack([label for _, label in frames])]


def emidec(folder: Path) -> Iterator[Patient]:
    """EMIDEC: late enhancement, one frame; the right ventricle was not drawn: unknown."""
    for part, row in _split(_index(folder), "pathological"):
        names = [f"{row['case']}_slice{number:03}.png" for number in range(int(row["first"]), int(row["last"]) + 1)]
        images = np.stack([_picture(folder / "images" / name) for name in names])[None].astype(np.float32) / 255
        labels = FROM_EMIDEC[np.stack([_picture(folder / "labels" / name) for name in names])[None]]
        table = LabelTable.canonical([name for name in STRUCTURES if name != "rv_blood_pool"])
        yield Patient(row["case"], part, _files(row["case"], images, LGE_MM, "psir lge sax"), labels, table)


def _index(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open() as file:
        return list(csv.DictReader(file))


def _split(rows: list[dict[str, str]], group: str) -> Iterator[tuple[str, dict[str, str]]]:
    seen: dict[str, int] = {}
    for row in rows:
        place = seen[row[group]] = seen.get(row[group], -1) + 1
        yield ("test" if place % 5 == 2 else "validation" if place % 10 == 6 else "training"), row


def _acdc_frame(path: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    import h5py

    with h5py.File(path) as file:
        return file["levels"][:][file["image_index"][:]], file["label"][:]


def _picture(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.uint8)


def _files(name: str, images: NDArray[np.float32], pixel_mm: float, description: str) -> list[bytes]:
    """DICOM files of images (time, slice, row, column) from 0 to 1."""
    levels = np.rint(images * (2**BITS - 1)).astype(np.uint16)
    frames, slices = levels.shape[:2]
    return [
        mr_instance(
            levels[frame, place],
            Sheet(
                patient=name,
                number=place * frames + frame + 1,
                slice=place,
                pitch_mm=PITCH_MM,
                pixel_mm=pixel_mm,
                trigger_ms=frame * PHASE_MS if frames > 1 else None,
                description=description,
            ),
            bits=BITS,
        )
        for place in range(slices)
        for frame in range(frames)
    ]
