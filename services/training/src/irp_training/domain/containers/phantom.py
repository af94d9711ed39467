"""A made-up heart on an oblique grid: what a container is tried on before it sees anything else."""

from __future__ import annotations

import numpy as np
from irp_kernel import Geometry, Volume

SHAPE = (3, 64, 72)  # (slice, row, column), three different numbers: a container that swaps axes is found out
Kind = type[np.int16] | type[np.float32]
FRAMES = 2  # where the container wants its frames together


def phantom(frames: int = 1, kind: Kind = np.int16) -> Volume:
    """A bright pool in a dark ring, moving a little from frame to frame; the same numbers at every call.

    Whole numbers of 16 bits are what scanners give, floating ones what rescaling makes of them.
    """
    tilt = np.deg2rad(30.0)
    geometry = Geometry.from_dicom(
        position_mm=(-40.0, 25.0, 10.0),
        row_direction=(float(np.cos(tilt)), float(np.sin(tilt)), 0.0),
        column_direction=(0.0, 0.0, -1.0),
        spacing_mm=(8.0, 1.4, 1.3),
        shape=SHAPE,
        frames=frames,
        frame_times_ms=tuple(30.0 * n for n in range(frames)) if frames > 1 else (),
    )
    random = np.random.default_rng(20)
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    image = random.normal(0.0, 8.0, geometry.array_shape)
    for frame in range(frames):
        distance = np.hypot(rows - 32, columns - 36)
        inner = 9.0 - 1.5 * frame
        image[frame] += np.where(distance < inner, 400.0, np.where(distance < 14.0, 120.0, 60.0))
    return Volume(geometry=geometry, array=np.round(image).astype(kind))
