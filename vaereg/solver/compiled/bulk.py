"""Compiled correction of the preconditioner (`vaereg.solver.correction`) for B-bar elements, in cubes.

Between the stages of `vaereg.solver.compiled.transforms`, the mean dilatation of the preconditioned field
is one complex field: it goes to the voxels, is multiplied by a volumetric stiffness and comes back as forces.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vaereg.solver.compiled.threads import parts_of, share
from vaereg.solver.compiled.transforms import RADICES, transform_columns, twiddles

__all__ = ["apply_mean_dilatation", "dilatation_slopes"]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi):  # noqa: ANN001, ANN202
    """`transform_columns`, compiled once for its seven calls, and in the cache: no closure is found there."""
    transform_columns(n, radix1, radix2, radix3, table, ar, ai, yr, yi)


def _kernel_of(n: int, radix1: int, radix2: int, radix3: int):  # noqa: ANN202
    """Compile the kernel of cubes with n voxels per edge, n = radix1 radix2 radix3.

    The branches on radices are settled when it is compiled.
    """
    plane = n * n
    two = np.float32(2.0)

    @njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
    def sweep(stages, table, waves, green, slopes, law, modes, room, begin, end):  # noqa: ANN001, ANN202
        """Do some stages for some wave numbers z (0: transform along x, Green operator, dilatation of this;
        2: displacements of its forces taken off, back along x) or planes of constant x (1: the dilatation to
        the voxels, times the law, and back).

        `waves` are sines and cosines of half the angles of the modes.
        """
        ar, ai = np.empty(plane, np.float32), np.empty(plane, np.float32)
        yr, yi = np.empty(plane, np.float32), np.empty(plane, np.float32)
        br, bi = np.empty((3, plane), np.float32), np.empty((3, plane), np.float32)
        for stage in range(stages[0], stages[1]):
            for item in range(begin, end):
                first = item * n
                if stage == 1:
                    for k in range(plane):  # real and imaginary parts exchanged: an inverse transform
                        ar[k], ai[k] = room[1, item, k], room[0, item, k]
                    _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                    for row in range(n):
                        for k in range(n):
                            ar[row * n + k], ai[row * n + k] = yr[k * n + row], yi[k * n + row]
                    _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                    for k in range(plane):
                        ar[k], ai[k] = law[item, k] * yi[k], law[item, k] * yr[k]
                    _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                    for row in range(n):
                        for k in range(n):
                            ar[row * n + k], ai[row * n + k] = yr[k * n + row], yi[k * n + row]
                    _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                    for k in range(plane):
                        room[0, item, k] = yr[k]
                    for k in range(plane):
                        room[1, item, k] = yi[k]
                    continue
                if stage == 0:
                    for i in range(3):
                        for x in range(n):
                            for k in range(n):
                                ar[x * n + k] = modes[0, i, x, first + k]
                            for k in range(n):
                                ai[x * n + k] = modes[1, i, x, first + k]
                        _transform(n, radix1, radix2, radix3, table, ar, ai, br[i], bi[i])
                else:
                    for x in range(n):
                        for k in range(n):
                            ar[x * n + k] = room[0, x, first + k]
                        for k in range(n):
                            ai[x * n + k] = room[1, x, first + k]
                    _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                sz, cz = waves[0, item], waves[1, item]
                for x in range(n):
                    sx, cx = waves[0, x], waves[1, x]
                    # i times the exponential of half the angles: it leads to the middle of voxels
                    turn_r, turn_i = -(sx * cz + cx * sz), cx * cz - sx * sz
                    to = x * n
                    px, py, pz = two * sx * cz, two * cx * cz, two * cx * sz
                    if stage == 0:
                        blocks = green[item, x]
                        for k in range(n):
                            at = first + k
                            sy, cy = waves[0, k], waves[1, k]
                            wave_r, wave_i = turn_r * cy - turn_i * sy, turn_r * sy + turn_i * cy
                            xx, yy, zz = blocks[0, k], blocks[1, k], blocks[2, k]
                            yz, xz, xy = blocks[3, k], blocks[4, k], blocks[5, k]
                            a, b, c = br[0, to + k], br[1, to + k], br[2, to + k]
                            u, v = xx * a + xy * b + xz * c, xy * a + yy * b + yz * c
                            w = xz * a + yz * b + zz * c
                            modes[0, 0, x, at], modes[0, 1, x, at], modes[0, 2, x, at] = u, v, w
                            real = (px * u + pz * w) * cy + py * v * sy
                            a, b, c = bi[0, to + k], bi[1, to + k], bi[2, to + k]
                            u, v = xx * a + xy * b + xz * c, xy * a + yy * b + yz * c
                            w = xz * a + yz * b + zz * c
                            modes[1, 0, x, at], modes[1, 1, x, at], modes[1, 2, x, at] = u, v, w
                            imaginary = (px * u + pz * w) * cy + py * v * sy
                            ai[to + k] = wave_r * real - wave_i * imaginary
                            ar[to + k] = wave_r * imaginary + wave_i * real
                    else:
                        for k in range(n):
                            sy, cy = waves[0, k], waves[1, k]
                            wave_r, wave_i = turn_r * cy - turn_i * sy, turn_r * sy + turn_i * cy
                            real = wave_r * yr[to + k] + wave_i * yi[to + k]
                            yi[to + k] = wave_r * yi[to + k] - wave_i * yr[to + k]
                            yr[to + k] = real
                if stage == 0:
                    _transform(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                    for x in range(n):
                        for k in range(n):
                            room[0, x, first + k] = yi[x * n + k]
                        for k in range(n):
                            room[1, x, first + k] = yr[x * n + k]
                else:
                    for i in range(3):
                        for x in range(n):
                            to = x * n
                            for k in range(n):
                                ar[to + k] = modes[1, i, x, first + k] - slopes[i, x, first + k] * yi[to + k]
                            for k in range(n):
                                ai[to + k] = modes[0, i, x, first + k] - slopes[i, x, first + k] * yr[to + k]
                        _transform(n, radix1, radix2, radix3, table, ar, ai, br[0], bi[0])
                        for x in range(n):
                            for k in range(n):
                                modes[0, i, x, first + k] = bi[0, x * n + k]
                            for k in range(n):
                                modes[1, i, x, first + k] = br[0, x * n + k]

    return sweep


@cache
def _kernel(edge: int) -> Callable[..., Any]:
    return _kernel_of(edge, *RADICES[edge])


@cache
def _waves(edge: int) -> NDArray[np.float32]:
    """Sines and cosines of half the angles of the modes, shape (2, edge)."""
    half = np.pi * np.arange(edge) / edge
    return np.stack([np.sin(half), np.cos(half)]).astype(np.float32)


def dilatation_slopes(green: NDArray[np.float32]) -> NDArray[np.float32]:
    """Displacements of a mean dilatation of the elements, as `apply_mean_dilatation` takes them: the Green
    operator (Z, X, 6, Y) of `transposed_green` times the gradient of each mode, shape (3, X, Z Y).
    """
    edge = green.shape[1]
    sines, cosines = _waves(edge)
    x, z, y = (
        np.expand_dims(np.arange(edge), [axis for axis in range(3) if axis != own]) for own in range(3)
    )
    gradient = [
        2.0 * along[place] * cosines[other] * cosines[last]
        for along, place, other, last in ((sines, x, y, z), (sines, y, x, z), (sines, z, x, y))
    ]
    px, py, pz = (part.reshape(edge, -1) for part in gradient)
    xx, yy, zz, yz, xz, xy = green.transpose(2, 1, 0, 3).reshape(6, edge, -1)
    slopes = [xx * px + xy * py + xz * pz, xy * px + yy * py + yz * pz, xz * px + yz * py + zz * pz]
    return np.stack(slopes).astype(np.float32)


def apply_mean_dilatation(
    green: NDArray[np.float32],
    slopes: NDArray[np.float32],
    law: NDArray[np.float32],
    modes: NDArray[np.float32],
) -> None:
    """(G - G D^T law D G) of a field, between `to_modes` and `from_modes`, with the Green operator G and the
    mean dilatation D of the elements.

    Args:
        green: What `transposed_green` returns.
        slopes: What `dilatation_slopes` returns.
        law: Volumetric stiffness of each voxel, shape (X, Y, Z).
        modes: What `to_modes` has written, shape (2, 3, X, Z Y); the result takes its place.
    """
    edge = len(law)
    room = np.empty((2, edge, edge**2), np.float32)
    fixed = twiddles(edge), _waves(edge), green, slopes, law.reshape(edge, -1), modes, room
    parts = parts_of(6 * edge**3, edge)
    for stages in [(0, 3)] if len(parts) == 1 else [(0, 1), (1, 2), (2, 3)]:
        share(partial(_kernel(edge), stages, *fixed), parts)
