"""The cheapest border on a grid of pixels, exactly: a minimum cut, found as a maximum flow (Ford, Fulkerson 1956)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from irp_inference.domain.algorithms.marks import Region

Costs = NDArray[np.int32]
STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""(rows, columns) from a pixel to the neighbours of which each pair is named once: right, below, and both diagonals."""


def minimum_cut(inside: Costs, outside: Costs, between: dict[tuple[int, int], Costs]) -> Region:
    """The region of least cost; of several, the smallest.

    Args:
        inside: what it costs that a pixel (row, column) belongs to the region; not negative, and below 2**30.
        outside: what it costs that it does not.
        between: per step of `STEPS` what it costs that a pixel and its neighbour differ, at the first of the two;
            what stands at pixels without such a neighbour is not looked at.

    Returns:
        Pixels (row, column).
    """
    shape, count = inside.shape, inside.size
    source, sink = count, count + 1
    pixels = np.arange(count, dtype=np.int32).reshape(shape)
    ends = [
        (np.full(count, source), pixels.ravel(), outside.ravel()),
        (pixels.ravel(), np.full(count, sink), inside.ravel()),
    ]
    for step, costs in between.items():
        first, second = pairs(shape, step)
        one, other, cost = pixels[first].ravel(), pixels[second].ravel(), costs[first].ravel()
        ends += [(one, other, cost), (other, one, cost)]
    tails, heads, capacities = (np.concatenate(part).astype(np.int32) for part in zip(*ends, strict=True))
    graph = csr_array((capacities, (tails, heads)), shape=(count + 2, count + 2))
    left = graph - maximum_flow(graph, source, sink, method="dinic").flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = breadth_first_order(left, source, directed=True, return_predecessors=False)
    found = np.zeros(count + 2, np.bool_)
    found[reached] = True
    return found[:count].reshape(shape)


def pairs(shape: tuple[int, ...], step: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Pixels that have a neighbour in that direction, and those neighbours."""
    rows, columns = shape
    down, right = step
    first = (slice(0, rows - down), slice(max(0, -right), columns - max(0, right)))
    second = (slice(down, rows), slice(max(0, right), columns - max(0, -right)))
    return first, second
