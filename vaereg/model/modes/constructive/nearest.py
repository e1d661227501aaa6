"""Compiled search for the points and bodies that are nearest to each voxel of a periodic cell.

Voxels are treated in blocks of 4³. What is farther from the middle of a block than the nearest by more than
twice its radius can be nearest to none of its voxels: distances change by no more than the step. What is left
is compared for all voxels of a block at once, in rows of one scratch array, so that the compiler can
vectorise. Offsets are those of the nearest periodic image; a block is no longer than the cell.

Letters: N points, X Y Z voxels.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["ROUNDING", "nearest_bodies", "nearest_points"]

ROUNDING = 1e-4
"""Square added under roots, so that the slope at zero distance is finite."""
_EDGE = 4
"""Edge of the blocks [voxel]."""
_LANES = _EDGE**3
_FAR = np.float32(1e30)
_TWO, _HALF, _ZERO = np.float32(2.0), np.float32(0.5), np.float32(0.0)
_ROUNDING, _MARGIN = np.float32(ROUNDING), np.float32(1e-4)


def nearest_points(
    places: NDArray[np.float32],
    points: NDArray[np.float32],
    box: NDArray[np.float32],
    added: NDArray[np.float32],
    order: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Indices of the nearest points of each place by distance plus `added`, from the nearest on, and these
    distances, shape (order, X, Y, Z) each.

    Args:
        places: Shape (3, X, Y, Z), in the unit of the box.
        points: Shape (N, 3), within the box.
        box: Lengths of the periodic box, shape (3,).
        added: What is added to the distance from each point, shape (N,).
        order: Number of points, 1 to 3, at most N.
    """
    indices = np.zeros((order, *places.shape[1:]), np.int32)
    distances = np.zeros((order, *places.shape[1:]), np.float32)
    _search_points(places, points, box, added, indices, distances)
    return indices, distances


def nearest_bodies(
    places: NDArray[np.float32],
    points: NDArray[np.float32],
    directions: NDArray[np.float32],
    box: NDArray[np.float32],
    extent: NDArray[np.float32],
    flat: bool,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Index of the nearest needle (or disc) of each place, and the distance to it, shape (X, Y, Z) each.

    Args:
        places: Shape (3, X, Y, Z) [voxel].
        points: Centres within the box, shape (N, 3) [voxel].
        directions: Unit vectors, shape (N, 3).
        box: Lengths of the periodic box, shape (3,) [voxel].
        extent: Half-lengths of needles, or radii of discs, shape (N,) [voxel].
        flat: Whether bodies are discs with the direction as their normal; otherwise needles along it.
    """
    indices = np.zeros(places.shape[1:], np.int32)
    distances = np.zeros(places.shape[1:], np.float32)
    _search_bodies(places, points, directions, box, extent, flat, indices, distances)
    return indices, distances


@njit(inline="always", error_model="numpy")
def _gather(places, x0, y0, z0, scratch, middle):  # noqa: ANN001, ANN202
    """Copy the places of a block to rows of `scratch`, fill in their middle, return their radius."""
    _, nx, ny, nz = places.shape
    square = _ZERO
    for axis in range(3):
        low, high = _FAR, -_FAR
        lane = axis * _LANES
        for i in range(_EDGE):
            for j in range(_EDGE):
                for k in range(_EDGE):  # a block at an end repeats its last voxels
                    place = places[axis, min(x0 + i, nx - 1), min(y0 + j, ny - 1), min(z0 + k, nz - 1)]
                    scratch[lane] = place
                    lane += 1
                    low, high = min(low, place), max(high, place)
        middle[axis] = _HALF * (low + high)
        square += (_HALF * (high - low)) ** 2
    return np.sqrt(square) + _MARGIN


@njit(inline="always", error_model="numpy")
def _offset(place, point, length):  # noqa: ANN001, ANN202
    """Offset of a place from the nearest periodic image of a point."""
    step = place - point
    return step - length * np.floor(step / length + _HALF)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _search_points(places, points, box, added, indices, distances):  # noqa: ANN001, ANN202
    """See `nearest_points`; the last two arguments are filled."""
    _, nx, ny, nz = places.shape
    order, count = len(indices), len(points)
    b0, b1, b2 = box[0], box[1], box[2]
    middle, bound = np.empty(3, np.float32), np.empty(count, np.float32)
    image = np.empty((3, count), np.float32)
    # rows: three coordinates, three smallest distances, indices of their points
    rows = np.empty(9 * _LANES, np.float32)
    for x0 in range(0, nx, _EDGE):
        for y0 in range(0, ny, _EDGE):
            for z0 in range(0, nz, _EDGE):
                radius = _gather(places, x0, y0, z0, rows, middle)
                c0, c1, c2 = middle[0], middle[1], middle[2]
                for n in range(count):
                    d0 = _offset(c0, points[n, 0], b0)
                    d1 = _offset(c1, points[n, 1], b1)
                    d2 = _offset(c2, points[n, 2], b2)
                    image[0, n], image[1, n], image[2, n] = c0 - d0, c1 - d1, c2 - d2
                    bound[n] = np.sqrt(d0 * d0 + d1 * d1 + d2 * d2) + added[n]
                first, second, third = _FAR, _FAR, _FAR
                for n in range(count):
                    d = bound[n]
                    if d < first:
                        third, second, first = second, first, d
                    elif d < second:
                        third, second = second, d
                    elif d < third:
                        third = d
                last = first if order == 1 else (second if order == 2 else third)
                last += _TWO * radius
                for v in range(3 * _LANES):
                    rows[3 * _LANES + v] = _FAR
                    rows[6 * _LANES + v] = _ZERO
                for n in range(count):
                    if bound[n] > last:
                        continue
                    q0, q1, q2, extra = image[0, n], image[1, n], image[2, n], added[n]
                    index = np.float32(n)
                    for v in range(_LANES):
                        d0 = abs(rows[v] - q0)
                        d1 = abs(rows[_LANES + v] - q1)
                        d2 = abs(rows[2 * _LANES + v] - q2)
                        d0, d1, d2 = min(d0, abs(b0 - d0)), min(d1, abs(b1 - d1)), min(d2, abs(b2 - d2))
                        d = np.sqrt(d0 * d0 + d1 * d1 + d2 * d2) + extra
                        f, s, t = rows[3 * _LANES + v], rows[4 * _LANES + v], rows[5 * _LANES + v]
                        i, j, k = rows[6 * _LANES + v], rows[7 * _LANES + v], rows[8 * _LANES + v]
                        rows[3 * _LANES + v] = d if d < f else f
                        rows[4 * _LANES + v] = f if d < f else (d if d < s else s)
                        rows[5 * _LANES + v] = s if d < s else (d if d < t else t)
                        rows[6 * _LANES + v] = index if d < f else i
                        rows[7 * _LANES + v] = i if d < f else (index if d < s else j)
                        rows[8 * _LANES + v] = j if d < s else (index if d < t else k)
                for v in range(_LANES):
                    x, y, z = x0 + v // _EDGE**2, y0 + v // _EDGE % _EDGE, z0 + v % _EDGE
                    if x < nx and y < ny and z < nz:
                        for place in range(order):
                            n = np.int32(rows[(6 + place) * _LANES + v])
                            d = rows[(3 + place) * _LANES + v] - added[n]
                            indices[place, x, y, z] = n
                            distances[place, x, y, z] = np.sqrt(d * d + _ROUNDING) + added[n]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _search_bodies(places, points, directions, box, extent, flat, indices, distances):  # noqa: ANN001, ANN202
    """See `nearest_bodies`; the last two arguments are filled."""
    _, nx, ny, nz = places.shape
    count = len(points)
    b0, b1, b2 = box[0], box[1], box[2]
    h0, h1, h2 = _HALF * b0, _HALF * b1, _HALF * b2
    middle, bound = np.empty(3, np.float32), np.empty(count, np.float32)
    image = np.empty((3, count), np.float32)
    # rows: three coordinates, smallest square of the distance, index of its body
    rows = np.empty(5 * _LANES, np.float32)
    for x0 in range(0, nx, _EDGE):
        for y0 in range(0, ny, _EDGE):
            for z0 in range(0, nz, _EDGE):
                radius = _gather(places, x0, y0, z0, rows, middle)
                c0, c1, c2 = middle[0], middle[1], middle[2]
                least = _FAR
                for n in range(count):
                    d0 = _offset(c0, points[n, 0], b0)
                    d1 = _offset(c1, points[n, 1], b1)
                    d2 = _offset(c2, points[n, 2], b2)
                    image[0, n], image[1, n], image[2, n] = c0 - d0, c1 - d1, c2 - d2
                    whole = d0 * d0 + d1 * d1 + d2 * d2
                    if abs(d0) + radius > h0 or abs(d1) + radius > h1 or abs(d2) + radius > h2:
                        # places of the block may have other images nearest: none is nearer than its ball
                        bound[n] = np.sqrt(whole) - extent[n]
                        continue
                    along = d0 * directions[n, 0] + d1 * directions[n, 1] + d2 * directions[n, 2]
                    across = max(whole - along * along, _ZERO)
                    if flat:
                        beyond = max(np.sqrt(across) - extent[n], _ZERO)
                        bound[n] = np.sqrt(along * along + beyond * beyond)
                    else:
                        beyond = max(abs(along) - extent[n], _ZERO)
                        bound[n] = np.sqrt(across + beyond * beyond)
                    least = min(least, bound[n])
                least += _TWO * radius
                for v in range(_LANES):
                    rows[3 * _LANES + v] = _FAR
                    rows[4 * _LANES + v] = _ZERO
                for n in range(count):
                    if bound[n] > least:
                        continue
                    q0, q1, q2 = image[0, n], image[1, n], image[2, n]
                    u0, u1, u2 = directions[n, 0], directions[n, 1], directions[n, 2]
                    index, reach = np.float32(n), extent[n]
                    for v in range(_LANES):
                        d0, d1, d2 = rows[v] - q0, rows[_LANES + v] - q1, rows[2 * _LANES + v] - q2
                        d0 = d0 - b0 if d0 > h0 else (d0 + b0 if d0 < -h0 else d0)
                        d1 = d1 - b1 if d1 > h1 else (d1 + b1 if d1 < -h1 else d1)
                        d2 = d2 - b2 if d2 > h2 else (d2 + b2 if d2 < -h2 else d2)
                        along = d0 * u0 + d1 * u1 + d2 * u2
                        across = max(d0 * d0 + d1 * d1 + d2 * d2 - along * along, _ZERO)
                        disc = max(np.sqrt(across + _ROUNDING) - reach, _ZERO)
                        needle = max(abs(along) - reach, _ZERO)
                        square = along * along + disc * disc if flat else across + needle * needle
                        former, i = rows[3 * _LANES + v], rows[4 * _LANES + v]
                        rows[3 * _LANES + v] = square if square < former else former
                        rows[4 * _LANES + v] = index if square < former else i
                for v in range(_LANES):
                    x, y, z = x0 + v // _EDGE**2, y0 + v // _EDGE % _EDGE, z0 + v % _EDGE
                    if x < nx and y < ny and z < nz:
                        indices[x, y, z] = np.int32(rows[4 * _LANES + v])
                        distances[x, y, z] = np.sqrt(rows[3 * _LANES + v] + _ROUNDING)
