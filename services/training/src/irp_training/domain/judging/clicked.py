"""What a model that takes marks answers to the plainest reader: one click in the middle of what an expert drew."""

from __future__ import annotations

import numpy as np
from irp_bundle import Pipeline
from irp_kernel import Mask, Volume
from numpy.typing import NDArray
from scipy import ndimage

Region = NDArray[np.bool_]


def answer_to_clicks(pipeline: Pipeline, volume: Volume, known: Mask) -> Mask:
    """The answer on every slice on which something was drawn; the same clicks for every model.

    Args:
        pipeline: of a bundle with `irp_pipeline.prompts`.
        volume: what is clicked on.
        known: the truth in the model's structures, not empty.
    """
    drawn = known.labels > 0
    clicks = {(int(f), int(s)): click_in(drawn[f, s]) for f, s in np.argwhere(drawn.any(axis=(2, 3)))}
    return pipeline.run_marked(volume, clicks)


def click_in(region: Region) -> Region:
    """The pixel (row, column) that lies deepest in a region."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    click = np.zeros(region.shape, np.bool_)
    click.ravel()[int(depth.argmax())] = True
    return click
