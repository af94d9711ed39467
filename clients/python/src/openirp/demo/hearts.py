"""The hearts of the demo: Sunnybrook Cardiac Data (CC0), read into memory from `examples/sunnybrook`.

Three patients as the scanner's own DICOM files with expert contours, six as 8-bit pictures with cavity masks.
Contour file `IM-0001-NNNN` belongs to InstanceNumber NNNN.
"""

from __future__ import annotations

import csv
import os
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openirp.house.trouble import HouseTrouble

DICOM_PATIENTS = ("SCD0000101", "SCD0000201", "SCD0000301")
PNG_PATIENTS = ("SC-HF-NI-03", "SC-HF-NI-04", "SC-HYP-01", "SC-HYP-03", "SC-N-02", "SC-N-03")
_NUMBER = re.compile(r"IM-0001-(\d{4})")

Points = NDArray[np.float64]  # (n, 2): column, row in pixels


@dataclass(slots=True)
class Heart:
    """One patient of the demo.

    Attributes:
        name: the public name of the data set.
        files: DICOM files, not yet planted.
        cavity: endocardial contours by InstanceNumber, points (column, row) with pixel centres at whole numbers.
        epicardium: epicardial contours by InstanceNumber (end-diastole only).
        cavity_masks: bool (row, column) by InstanceNumber, where the truth is a picture.
        source: what the expert gave, in words.
    """

    name: str
    files: list[bytes]
    cavity: dict[int, Points] = field(default_factory=dict)
    epicardium: dict[int, Points] = field(default_factory=dict)
    cavity_masks: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Volumes that come from the expert's contours alone."""

    edv_ml: float
    esv_ml: float
    ef_percent: float


def examples_folder() -> Path:
    """`IRP_EXAMPLES`, else `examples/sunnybrook` beside the sources or here.

    Raises:
        HouseTrouble: the data is not there.
    """
    candidates = [Path(os.environ["IRP_EXAMPLES"])] if os.environ.get("IRP_EXAMPLES") else []
    candidates += [parent / "examples" / "sunnybrook" for parent in (*Path(__file__).resolve().parents, Path.cwd())]
    found = next((folder for folder in candidates if (folder / "link.csv").is_file()), None)
    if found is None:
        raise HouseTrouble("the demo's images (examples/sunnybrook) were not found", "set IRP_EXAMPLES to their folder")
    return found


def dicom_heart(folder: Path, name: str) -> Heart:
    """A patient as the scanner sent it, with both kinds of contours."""
    with tarfile.open(folder / f"{name}.tar.xz") as archive:
        members = [member for member in archive if member.isfile()]
        files = [file.read() for file in map(archive.extractfile, members) if file is not None]
    contours = folder / "contours" / name
    return Heart(
        name,
        files,
        cavity=_contours(contours / "i-contours"),
        epicardium=_contours(contours / "o-contours"),
        source="DICOM; cavity at end-diastole and end-systole, epicardium at end-diastole",
    )


def references(folder: Path) -> dict[str, Reference]:
    """Reference volumes by patient."""
    with (folder / "reference_volumes.csv").open() as file:
        return {
            row["patient"]: Reference(float(row["EDV_ml_endo"]), float(row["ESV_ml_endo"]), 100 * float(row["EF"]))
            for row in csv.DictReader(file)
        }


def instance_number(file_name: str) -> int:
    """InstanceNumber that a contour's or picture's file name stands for."""
    match = _NUMBER.search(file_name)
    if match is None:
        raise ValueError("the name holds no IM-0001-NNNN")
    return int(match[1])


def _contours(folder: Path) -> dict[int, Points]:
    """The set's points count from the corner of the first pixel; half a pixel less puts centres at whole numbers.

    Found by trial on all 83 contours: the cavity's edge is steepest there.
    """
    return {instance_number(path.name): np.loadtxt(path) - 0.5 for path in sorted(folder.glob("*.txt"))}
