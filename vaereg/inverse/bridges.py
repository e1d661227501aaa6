"""Bridges: the fewest voxels that join a phase with its images along an axis, so that it percolates.

Letters: X Y Z voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

__all__ = ["bridged"]

_INSIDE = 0.01
"""Length of a step to a voxel of the phase, in units of that to another one [-]."""


def bridged(mask: NDArray[np.bool_], axis: int, start: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Set with the voxels of a shortest path from one of its voxels to the image of this voxel along an axis.

    Args:
        mask: Voxels of the phase of a periodic cell, shape (X, Y, Z).
        axis: 0, 1 or 2.
        start: Voxel where the path begins and ends, in the cell.
    """
    shape = mask.shape
    # the path runs from the layer of the start through all others, and ends beside where it began
    moved = np.roll(mask, -start[axis], axis)
    index = np.arange(mask.size).reshape(shape)
    rows, columns = [], []
    for along in range(3):
        before, after = index, np.roll(index, -1, along)
        if along == axis:
            inner = tuple(slice(None, -1) if other == axis else slice(None) for other in range(3))
            before, after = before[inner], after[inner]
        rows += [before.ravel(), after.ravel()]
        columns += [after.ravel(), before.ravel()]
    source, target = np.concatenate(rows), np.concatenate(columns)
    length = np.where(moved.ravel()[target], _INSIDE, 1.0)
    graph = coo_matrix((length, (source, target)), shape=(mask.size, mask.size)).tocsr()
    ends = [list(start), list(start)]
    ends[0][axis], ends[1][axis] = 0, shape[axis] - 1
    first, last = (int(index[tuple(end)]) for end in ends)
    _, former = dijkstra(graph, indices=first, return_predecessors=True)
    joined = moved.copy().ravel()
    place = last
    while place >= 0:
        joined[place] = True
        place = int(former[place])
    return np.roll(joined.reshape(shape), start[axis], axis)
