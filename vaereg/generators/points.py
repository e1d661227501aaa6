"""Random points that keep apart in a periodic box: the centres of cells and of bodies.

Dimension letters: N points.
"""

import numpy as np
from numba import njit
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import KDTree

__all__ = ["nearest_distances", "separated_points", "voxel_centres"]

CANDIDATES = 8
"""Candidates for each point, of which the farthest from the earlier points is taken."""
_SWEEPS = 60
"""Upper limit of sweeps over all pairs that push points apart."""
_SETTLED = 0.02
"""Overlap, relative to the distance asked for, at which pushing ends [-]."""

Field = NDArray[np.float64]


def separated_points(
    box: Field, count: int, *, distance: float = 0.0, candidates: int = CANDIDATES, generator: Generator
) -> Field:
    """Random points in a periodic box by the best of several candidates, then pushed apart.

    The best-candidate algorithm (Mitchell 1991, doi:10.1145/127719.122736) keeps points apart without order.

    Args:
        box: Edges of the periodic box, shape (3,).
        count: Number of points, N.
        distance: Distance below which pairs are pushed apart, in the unit of the box; 0 for none.
        candidates: Candidates for each point.
        generator: Source of random numbers.

    Returns:
        Positions within the box, shape (N, 3).
    """
    box = np.asarray(box, dtype=np.float64)
    points = _best_candidates(generator.random((count, candidates, 3)) * box, box)
    if distance > 0.0:
        _push_apart(points, box, distance, _SWEEPS)
    return points


def voxel_centres(size: int, box: Field) -> Field:
    """Centres of the n³ voxels of a box of the given edges, in C order, shape (n³, 3)."""
    lines = [(np.arange(size) + 0.5) / size * edge for edge in box]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)


def nearest_distances(points: Field, box: Field, size: int, count: int) -> tuple[Field, NDArray[np.intp]]:
    """Distances of the voxel centres to the nearest points, each point by its nearest periodic image.

    Args:
        points: Positions, shape (N, 3).
        box: Edges of the periodic box, shape (3,).
        size: Voxels per edge, n.
        count: How many nearest points, at most N.

    Returns:
        Distances, ascending, and indices of the points, each of shape (count, n, n, n).
    """
    tree = KDTree(points % box, boxsize=box)
    distances, indices = tree.query(voxel_centres(size, box), k=np.arange(1, count + 1))  # pyright: ignore[reportArgumentType]
    shape = (count, size, size, size)
    return np.asarray(distances).T.reshape(shape), np.asarray(indices).T.reshape(shape)


@njit(cache=True, nogil=True)
def _best_candidates(offered: Field, box: Field) -> Field:
    """Candidates, of shape (N, M, 3), that are the farthest from all earlier points, shape (N, 3)."""
    points = np.zeros((len(offered), 3))
    for i in range(len(offered)):
        farthest = -1.0
        for candidate in offered[i]:
            nearest = np.inf  # of the first point's candidates, so that the first of them is taken
            for j in range(i):
                square = 0.0
                for axis in range(3):
                    step = abs(candidate[axis] - points[j, axis])
                    step = min(step, box[axis] - step)
                    square += step * step
                nearest = min(nearest, square)
            if nearest > farthest:
                farthest = nearest
                for axis in range(3):  # a slice takes seconds to compile: its message of what does not fit
                    points[i, axis] = candidate[axis]
    return points


@njit(cache=True, nogil=True)
def _push_apart(points: Field, box: Field, distance: float, sweeps: int) -> None:
    """Move pairs that are closer than `distance` apart, half each, until hardly any is."""
    step = np.zeros(3)
    for _ in range(sweeps):
        overlap = 0.0
        for i in range(len(points)):
            for j in range(i):
                square = 0.0
                for axis in range(3):
                    step[axis] = points[i, axis] - points[j, axis]
                    step[axis] -= box[axis] * np.round(step[axis] / box[axis])
                    square += step[axis] * step[axis]
                length = np.sqrt(square) + 1e-9
                if length < distance:
                    overlap = max(overlap, distance - length)
                    push = 0.5 * (distance - length) / length
                    for axis in range(3):
                        points[i, axis] = (points[i, axis] + push * step[axis]) % box[axis]
                        points[j, axis] = (points[j, axis] - push * step[axis]) % box[axis]
        if overlap < _SETTLED * distance:
            return
