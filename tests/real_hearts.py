"""The CC0 hearts of `examples/sunnybrook` as volume and expert's mask, without a running house."""

from __future__ import annotations

import io

import numpy as np
import pydicom
from irp_annotation.domain.contours import Contour, draw
from irp_annotation.domain.structures import LabelChoice, Structures
from irp_kernel import Geometry, Mask, Volume
from openirp.demo.hearts import dicom_heart, examples_folder
from openirp.demo.placing import places


def real_heart(name: str) -> tuple[Volume, Mask]:
    """A patient of which the scanner's DICOM files exist, with the expert's contours drawn on its grid."""
    heart = dicom_heart(examples_folder(), name)
    where = places(heart.files)
    images = {where[int(image.InstanceNumber)]: image for image in map(_read, heart.files)}
    frames, slices = (1 + max(place[axis] for place in images) for axis in (0, 1))
    first, last = images[0, 0], images[0, slices - 1]
    directions = [float(x) for x in first.ImageOrientationPatient]
    begin, end = (np.array(image.ImagePositionPatient, dtype=np.float64) for image in (first, last))
    geometry = Geometry.from_dicom(
        position_mm=tuple(begin),
        row_direction=tuple(directions[:3]),
        column_direction=tuple(directions[3:]),
        spacing_mm=(float(np.linalg.norm(end - begin)) / (slices - 1), *(float(x) for x in first.PixelSpacing)),
        shape=(slices, first.Rows, first.Columns),
        frames=frames,
    )
    array = np.stack([[images[frame, place].pixel_array for place in range(slices)] for frame in range(frames)])
    contours = [
        Contour(structure=structure, frame=where[number][0], slice=where[number][1], points=points)
        for structure, drawn in (("lv_blood_pool", heart.cavity), ("lv_epicardium", heart.epicardium))
        for number, points in drawn.items()
    ]
    return Volume(geometry=geometry, array=array), draw(contours, geometry, Structures(), LabelChoice({}))


def _read(file: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(file))
