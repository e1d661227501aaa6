"""Random points in a periodic box that keep apart from one another.

Letters: N points.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

__all__ = ["hard_core_points"]

_CANDIDATES = 8
"""Places of which the farthest from all former points is taken (Mitchell 1991, doi:10.1145/122718.122736)."""
_SWEEPS = 60
"""Most sweeps of the repulsion."""
_SETTLED = 0.02
"""Overlap at which the repulsion ends, over the wanted spacing [-]."""


def hard_core_points(
    box: ArrayLike, count: int, *, spacing: float | None = None, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Points in a periodic box: best of several candidates, then pushed apart where they are too near.

    Args:
        box: Lengths of the box, shape (3,), in any unit.
        count: Number of points, N.
        spacing: Distance to which nearer pairs are pushed apart, in the unit of the box; none are if left
            out. A spacing that the box cannot hold is approached, not reached.
        generator: Source of randomness.

    Returns:
        Positions within the box, shape (N, 3).
    """
    lengths = np.asarray(box, dtype=np.float64)
    candidates = generator.random((count, _CANDIDATES, 3)) * lengths
    points = _best_candidates(candidates, lengths)
    return points if spacing is None else _repel(points, lengths, float(spacing))


@njit(cache=True)
def _squared_distance(
    first: NDArray[np.float64], second: NDArray[np.float64], lengths: NDArray[np.float64]
) -> float:
    """Square of the distance between the nearest images of two points."""
    total = 0.0
    for axis in range(3):
        offset = first[axis] - second[axis]
        offset -= lengths[axis] * np.round(offset / lengths[axis])
        total += offset * offset
    return total


@njit(cache=True)
def _best_candidates(candidates: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Candidates of each point, shape (N, candidates, 3), that are farthest from all points before it."""
    count, choices, _ = candidates.shape
    points = np.empty((count, 3))
    for n in range(count):
        best, farthest = 0, -1.0
        for choice in range(choices):
            nearest = np.inf
            for m in range(n):
                square = _squared_distance(candidates[n, choice], points[m], lengths)
                if square < nearest:
                    nearest = square
                    if nearest <= farthest:
                        break
            if nearest > farthest:
                best, farthest = choice, nearest
        points[n] = candidates[n, best]
    return points


@njit(cache=True)
def _repel(points: NDArray[np.float64], lengths: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Points after pairs nearer than the spacing have been moved apart, sweep by sweep."""
    offset = np.empty(3)
    for _ in range(_SWEEPS):
        overlap = 0.0
        for n in range(len(points)):
            for m in range(n):
                square = 0.0
                for axis in range(3):
                    offset[axis] = points[n, axis] - points[m, axis]
                    offset[axis] -= lengths[axis] * np.round(offset[axis] / lengths[axis])
                    square += offset[axis] ** 2
                distance = np.sqrt(square) + 1e-9
                if distance < spacing:
                    overlap = max(overlap, spacing - distance)
                    push = 0.5 * (spacing - distance) / distance
                    for axis in range(3):
                        points[n, axis] = (points[n, axis] + push * offset[axis]) % lengths[axis]
                        points[m, axis] = (points[m, axis] - push * offset[axis]) % lengths[axis]
        if overlap < _SETTLED * spacing:
            break
    return points
