"""Six CC0 patients that exist as pictures only, made into MR DICOM files with a nominal geometry.

Pixel values are the pictures'; positions, spacing and trigger times are nominal and say so: never measure in mm here.
Slices are numbered against the direction of row x column, as in the collection's DICOM files: otherwise the heart would
be mirrored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from openirp.demo.hearts import Heart, instance_number
from openirp.demo.mr_instance import Sheet, mr_instance

PHASES = 20  # frames per slice position in the original cine
PITCH_MM, PIXEL_MM, PHASE_MS = 10.0, 1.37, 40.0  # nominal


def picture_heart(folder: Path, name: str) -> Heart:
    """A patient of the PNG set: slices that have both end-diastole and end-systole, cavity masks as truth."""
    images = {instance_number(p.name): p for p in sorted((folder / "png" / "images").glob(f"{name}-*.png"))}
    slices: dict[int, list[int]] = {}
    for number in images:
        slices.setdefault((number - 1) // PHASES, []).append(number)
    kept = {place: sorted(numbers) for place, numbers in slices.items() if len(numbers) == 2}
    heart = Heart(name, [], source="PNG made into DICOM, nominal geometry; cavity only")
    for place, numbers in sorted(kept.items()):
        for number in numbers:
            trigger_ms = (number - 1) % PHASES * PHASE_MS
            at = Sheet(
                patient=name, number=number, slice=-place, pitch_mm=PITCH_MM, pixel_mm=PIXEL_MM, trigger_ms=trigger_ms
            )
            heart.files.append(mr_instance(_read(images[number]), at, bits=8))
            label = folder / "png" / "labels" / images[number].name
            heart.cavity_masks[number] = _read(label) > 0
    return heart


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.uint8)
