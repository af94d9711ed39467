"""Builder of enhanced multi-frame MR instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from .conftest import an_image


def an_enhanced_image(
    pixels: np.ndarray,
    positions: Sequence[Sequence[float]],
    *,
    delays_ms: Sequence[float] = (),
    rescalings: Sequence[tuple[float, float]] = (),
    kinds: Sequence[Sequence[str]] = (),
    orientation: Sequence[float] = (1.0, 0, 0, 0, 1.0, 0),
    spacing: Sequence[float] = (1.5, 1.25),
) -> Dataset:
    """One instance of frames (frame, row, column), each at its position; what all frames share stands in one place."""
    ds = an_image(pixels[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.NumberOfFrames = EnhancedMRImageStorage, len(pixels)
    ds.FrameOfReferenceUID = "1.2.4"
    ds.BitsStored, ds.HighBit, ds.PixelData = 16, 15, pixels.astype("<u2").tobytes()
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=list(orientation))]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=list(spacing), SliceThickness=6.0)]
    ds.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for at, position in enumerate(positions):
        group = Dataset()
        group.PlanePositionSequence = [_item(ImagePositionPatient=list(position))]
        group.FrameContentSequence = [_item(DimensionIndexValues=[at + 1])]
        if delays_ms:
            group.CardiacSynchronizationSequence = [_item(NominalCardiacTriggerDelayTime=delays_ms[at])]
        if rescalings:
            slope, intercept = rescalings[at]
            values = _item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
            group.PixelValueTransformationSequence = [values]
        if kinds:
            group.MRImageFrameTypeSequence = [_item(FrameType=list(kinds[at]))]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups
    return ds


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
