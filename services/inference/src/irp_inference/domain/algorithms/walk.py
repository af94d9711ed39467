"""Random walks on voxels of unequal sides (Grady 2006): who is reached first, by steps that can be stopped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from irp_inference.domain.algorithms.marks import Region
from irp_inference.domain.errors import TooMuchToLookAt

FREE, INSIDE, OUTSIDE = 0, 1, 2
LEAST = 1e-6  # of a step through any edge, so that every voxel is reached. Source: scikit-image's random_walker
TOLERANCE = 1e-4  # of the residual; the answer asks only which side of a half a voxel is on
MOST_STEPS = 10_000

Numbers = NDArray[np.float64]


def reached_first(
    image: NDArray[np.float32],
    seeds: NDArray[np.uint8],
    spacing: tuple[float, ...],
    beta: float,
    going: Callable[[], None],
) -> Region:
    """Voxels from which a walk is likelier to reach INSIDE before OUTSIDE.

    Args:
        image: of any number of axes.
        seeds: FREE, INSIDE or OUTSIDE, alike.
        spacing: mm along each axis. A walk takes a step along an axis as often as the inverse square of its spacing
            says, so that it spreads alike in every direction where there are no edges.
        beta: how much an edge holds the walk back, as scikit-image's `random_walker` counts it.
        going: see Stack; called before every step of the solver.

    Raises:
        TooMuchToLookAt: the solver does not come to an end.
    """
    laplacian = _laplacian(image, spacing, beta)
    free, fixed = np.flatnonzero(seeds.ravel() == FREE), np.flatnonzero(seeds.ravel() != FREE)
    inside = (seeds.ravel() == INSIDE).astype(np.float64)
    if free.size:
        rows = laplacian[free]
        inside[free] = _solved(rows[:, free], -(rows[:, fixed] @ inside[fixed]), going)
    return np.asarray(inside.reshape(image.shape) > 0.5, np.bool_)


def _laplacian(image: NDArray[np.float32], spacing: tuple[float, ...], beta: float) -> sparse.csr_array:
    values = (image - image.min()).astype(np.float64) / (float(np.ptp(image)) or 1.0)
    scale = beta / (10 * (float(values.std()) or 1.0))
    numbers = np.arange(image.size, dtype=np.int32).reshape(image.shape)
    ends: list[tuple[NDArray[np.int32], NDArray[np.int32], Numbers]] = []
    for axis, mm in enumerate(spacing):
        often = (min(spacing) / mm) ** 2
        weights = often * (np.exp(-scale * np.square(np.diff(values, axis=axis).ravel())) + LEAST)
        before, after = (np.delete(numbers, end, axis=axis).ravel() for end in (-1, 0))
        ends += [(before, after, weights), (after, before, weights)]
    one, other, weights = (np.concatenate(part) for part in zip(*ends, strict=True))
    graph = sparse.coo_array((weights, (one, other)), shape=(image.size, image.size)).tocsr()
    return sparse.csr_array(sparse.diags_array(graph.sum(axis=1)) - graph)


def _solved(matrix: sparse.csr_array, right: Numbers, going: Callable[[], None]) -> Numbers:
    diagonal = matrix.diagonal()
    jacobi = LinearOperator(matrix.shape, matvec=lambda vector: vector / diagonal, dtype=np.float64)
    found, failed = cg(
        matrix, right, rtol=TOLERANCE, atol=0.0, maxiter=MOST_STEPS, M=jacobi, callback=lambda _: going()
    )
    if failed:
        raise TooMuchToLookAt(f"the random walk did not come to an end in {MOST_STEPS} steps", limit=MOST_STEPS)
    return np.asarray(found, np.float64)
