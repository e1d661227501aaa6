"""Compiled preconditioner of cubes whose edge has three small factors: Fourier transforms and Green operator.

The two load cases of a packed field are the real and the imaginary part of complex numbers (see
`vaereg.solver.compiled.kernels`). A plane of constant x is transformed along y, transposed and transformed
along z; columns along x are transformed, multiplied by the Green operator and transformed back while they lie
in the cache, so that the field is read and written three times in place of seven.

Transforms are Stockham's self-sorting form, decimated in frequency, of three passes of radix 2, 3 or 4
(Temperton 1983, doi:10.1016/0021-9991(83)90013-X), over rows of a plane with all columns at once. Exchanging
real and imaginary parts makes a transform its inverse. Edges and radices are constants when a kernel is
compiled, so that the compiler sees distances between rows and can vectorise.
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

__all__ = [
    "EDGES",
    "RADICES",
    "apply_green_operator",
    "from_modes",
    "to_modes",
    "transform_columns",
    "transposed_green",
    "twiddles",
]

RADICES = {16: (4, 2, 2), 24: (4, 2, 3), 32: (4, 4, 2), 48: (4, 4, 3), 64: (4, 4, 4)}
"""Radices of the three passes by edge [voxel]."""
EDGES = tuple(RADICES)
"""Edges of the cubes that are transformed here [voxel]; each is compiled when it is first met."""
_NOTHING = np.empty((1, 1, 1, 1), np.float32)
"""Operator where a stage has no need of it."""
_NO_STEP = np.zeros(2, np.float32)
"""Step where nothing is taken off."""
_SIN_60 = np.float32(np.sin(np.pi / 3.0))


@njit(inline="always", error_model="numpy")
def _pass2(m, s, lanes, table, start, xr, xi, yr, yi) -> None:  # noqa: ANN001
    """One pass over rows of `lanes` numbers: m butterflies of radix 2, each for s rows in sequence.

    `table` holds cosines and sines of the twiddle factors from `start` on.
    """
    length = s * lanes
    for p in range(m):
        at = start + 2 * p
        c1, s1 = table[at], table[at + 1]
        x0, x1 = p * length, (p + m) * length
        y0 = 2 * p * length
        y1 = y0 + length
        for k in range(length):
            ar, ai, br, bi = xr[x0 + k], xi[x0 + k], xr[x1 + k], xi[x1 + k]
            dr, di = ar - br, ai - bi
            yr[y0 + k], yi[y0 + k] = ar + br, ai + bi
            yr[y1 + k], yi[y1 + k] = dr * c1 - di * s1, dr * s1 + di * c1


@njit(inline="always", error_model="numpy")
def _pass3(m, s, lanes, table, start, xr, xi, yr, yi) -> None:  # noqa: ANN001
    """One pass of radix 3."""
    length = s * lanes
    for p in range(m):
        at = start + 4 * p
        c1, s1, c2, s2 = table[at], table[at + 1], table[at + 2], table[at + 3]
        x0, x1, x2 = p * length, (p + m) * length, (p + 2 * m) * length
        y0 = 3 * p * length
        y1, y2 = y0 + length, y0 + 2 * length
        half = np.float32(0.5)
        for k in range(length):
            ar, ai = xr[x0 + k], xi[x0 + k]
            br, bi, cr, ci = xr[x1 + k], xi[x1 + k], xr[x2 + k], xi[x2 + k]
            sr, si, dr, di = br + cr, bi + ci, _SIN_60 * (br - cr), _SIN_60 * (bi - ci)
            tr, ti = ar - half * sr, ai - half * si
            yr[y0 + k], yi[y0 + k] = ar + sr, ai + si
            er, ei, fr, fi = tr + di, ti - dr, tr - di, ti + dr
            yr[y1 + k], yi[y1 + k] = er * c1 - ei * s1, er * s1 + ei * c1
            yr[y2 + k], yi[y2 + k] = fr * c2 - fi * s2, fr * s2 + fi * c2


@njit(inline="always", error_model="numpy")
def _pass4(m, s, lanes, table, start, xr, xi, yr, yi) -> None:  # noqa: ANN001
    """One pass of radix 4."""
    length = s * lanes
    for p in range(m):
        at = start + 6 * p
        c1, s1, c2, s2 = table[at], table[at + 1], table[at + 2], table[at + 3]
        c3, s3 = table[at + 4], table[at + 5]
        x0, x1, x2, x3 = p * length, (p + m) * length, (p + 2 * m) * length, (p + 3 * m) * length
        y0 = 4 * p * length
        y1, y2, y3 = y0 + length, y0 + 2 * length, y0 + 3 * length
        for k in range(length):
            ar, ai, br, bi = xr[x0 + k], xi[x0 + k], xr[x1 + k], xi[x1 + k]
            cr, ci, dr, di = xr[x2 + k], xi[x2 + k], xr[x3 + k], xi[x3 + k]
            er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
            gr, gi, hr, hi = br + dr, bi + di, br - dr, bi - di
            yr[y0 + k], yi[y0 + k] = er + gr, ei + gi
            ur, ui, vr, vi = fr + hi, fi - hr, er - gr, ei - gi
            wr, wi = fr - hi, fi + hr
            yr[y1 + k], yi[y1 + k] = ur * c1 - ui * s1, ur * s1 + ui * c1
            yr[y2 + k], yi[y2 + k] = vr * c2 - vi * s2, vr * s2 + vi * c2
            yr[y3 + k], yi[y3 + k] = wr * c3 - wi * s3, wr * s3 + wi * c3


@njit(inline="always", error_model="numpy")
def transform_columns(n, radix1, radix2, radix3, table, ar, ai, yr, yi) -> None:  # noqa: ANN001
    """Fourier transform of the columns of a plane, n = radix1 radix2 radix3, to (yr, yi); ar, ai are lost."""
    m1, m2, m3 = n // radix1, radix3, 1
    s1, s2, s3 = 1, radix1, radix1 * radix2
    at2 = 2 * (radix1 - 1) * m1
    at3 = at2 + 2 * (radix2 - 1) * m2
    if radix1 == 4:
        _pass4(m1, s1, n, table, 0, ar, ai, yr, yi)
    if radix2 == 2:
        _pass2(m2, s2, n, table, at2, yr, yi, ar, ai)
    elif radix2 == 4:
        _pass4(m2, s2, n, table, at2, yr, yi, ar, ai)
    if radix3 == 2:
        _pass2(m3, s3, n, table, at3, ar, ai, yr, yi)
    elif radix3 == 3:
        _pass3(m3, s3, n, table, at3, ar, ai, yr, yi)
    elif radix3 == 4:
        _pass4(m3, s3, n, table, at3, ar, ai, yr, yi)


def _kernel_of(n: int, radix1: int, radix2: int, radix3: int):  # noqa: ANN202
    """Compile the kernel of cubes with n voxels per edge, n = radix1 radix2 radix3.

    The branches on radices are settled when the kernel is compiled.
    """
    plane = n * n

    @njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
    def sweep(stages, table, green, field, image, step, modes, out, against, begin, end):  # noqa: ANN001, ANN202
        """Do some stages, one after the other, for some planes of constant x (0: field - step image, which
        takes the place of the field, to modes; 2: back, with the inner products of `out` and `against`) or
        wave number z (1).
        """
        even, odd = 0.0, 0.0
        ar, ai = np.empty(plane, np.float32), np.empty(plane, np.float32)
        br, bi = np.empty((3, plane), np.float32), np.empty((3, plane), np.float32)
        for stage in range(stages[0], stages[1]):
            for item in range(begin, end):
                first = item * n
                for half in range(2):
                    for i in range(3):
                        yr, yi = br[i], bi[i]
                        if half == 0:
                            if stage == 0:
                                packed, taken = field[i, item], image[i, item]
                                for k in range(plane):
                                    p = packed[2 * k] - step[0] * taken[2 * k]
                                    q = packed[2 * k + 1] - step[1] * taken[2 * k + 1]
                                    ar[k], packed[2 * k] = p, p
                                    ai[k], packed[2 * k + 1] = q, q
                            elif stage == 1:
                                for x in range(n):
                                    to = x * n
                                    for k in range(n):
                                        ar[to + k] = modes[0, i, x, first + k]
                                    for k in range(n):
                                        ai[to + k] = modes[1, i, x, first + k]
                            else:  # real and imaginary parts exchanged until they are stored
                                for k in range(plane):
                                    ar[k] = modes[1, i, item, k]
                                for k in range(plane):
                                    ai[k] = modes[0, i, item, k]
                        elif stage == 1:
                            for k in range(plane):
                                ar[k] = yi[k]
                            for k in range(plane):
                                ai[k] = yr[k]
                        else:
                            for row in range(n):
                                for k in range(n):
                                    ar[k * n + row] = yr[row * n + k]
                            for row in range(n):
                                for k in range(n):
                                    ai[k * n + row] = yi[row * n + k]
                        transform_columns(n, radix1, radix2, radix3, table, ar, ai, yr, yi)
                    if half == 0 and stage == 1:
                        for x in range(n):
                            to, blocks = x * n, green[item, x]
                            for part in (br, bi):
                                for k in range(n):
                                    xx, yy, zz = blocks[0, k], blocks[1, k], blocks[2, k]
                                    yz, xz, xy = blocks[3, k], blocks[4, k], blocks[5, k]
                                    a, b, c = part[0, to + k], part[1, to + k], part[2, to + k]
                                    part[0, to + k] = xx * a + xy * b + xz * c
                                    part[1, to + k] = xy * a + yy * b + yz * c
                                    part[2, to + k] = xz * a + yz * b + zz * c
                for i in range(3):
                    yr, yi = br[i], bi[i]
                    if stage == 0:
                        for k in range(plane):
                            modes[0, i, item, k] = yr[k]
                        for k in range(plane):
                            modes[1, i, item, k] = yi[k]
                    elif stage == 1:
                        for x in range(n):
                            to = x * n
                            for k in range(n):
                                modes[0, i, x, first + k] = yi[to + k]
                            for k in range(n):
                                modes[1, i, x, first + k] = yr[to + k]
                    else:
                        packed, taken = out[i, item], against[i, item]
                        own, next_own = np.float32(0.0), np.float32(0.0)
                        for k in range(plane):
                            p, q = yi[k], yr[k]
                            own += p * taken[2 * k]
                            next_own += q * taken[2 * k + 1]
                            packed[2 * k], packed[2 * k + 1] = p, q
                        even += own
                        odd += next_own
        return even, odd

    return sweep


@cache
def _kernel(edge: int) -> Callable[..., Any]:
    return _kernel_of(edge, *RADICES[edge])


@cache
def twiddles(edge: int) -> NDArray[np.float32]:
    """Cosines and sines of the twiddle factors of all passes, in the order in which they are read."""
    factors, length = [], edge
    for radix in RADICES[edge]:
        m = length // radix
        angles = -2.0 * np.pi * np.outer(np.arange(m), np.arange(1, radix)) / length
        factors.append(np.stack([np.cos(angles), np.sin(angles)], axis=-1).ravel())
        length = m
    return np.concatenate(factors).astype(np.float32)


def transposed_green(green: NDArray[np.float64]) -> NDArray[np.float32]:
    """Green operator of a cube, shape (6, X, Y, Z), as `apply_green_operator` takes it, (Z, X, 6, Y): in the
    order in which it is read.

    The factor of the inverse transform is part of it.
    """
    scale = 1.0 / green[0].size
    return np.ascontiguousarray(scale * green.transpose(3, 1, 0, 2), dtype=np.float32)


def apply_green_operator(
    green: NDArray[np.float32],
    field: NDArray[np.float32],
    modes: NDArray[np.float32],
    out: NDArray[np.float32],
    image: NDArray[np.float32] | None = None,
    step: NDArray[np.float32] | None = None,
    against: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """Convolution of a packed field of a cube with the Green operator.

    Args:
        green: What `transposed_green` returns.
        field: Packed field, shape (3, X, Y, 2 Z).
        modes: Room for its Fourier modes, shape (2, 3, X, Z Y).
        out: Packed field that takes the result; `field` is allowed.
        image: What is taken off `field` beforehand, in place, times `step`, if anything.
        step: One factor of `image` per load case, shape (2,).
        against: What takes the place of `field` in the inner products, if anything.

    Returns:
        Inner products of `field` and `out` of both load cases, shape (2,).
    """
    taken = field if image is None else image
    dotted = field if against is None else against
    edge, work = field.shape[1], partial(_sweep, green, modes, field, taken, step, out, dotted)
    parts = parts_of(6 * edge**3, edge)
    if len(parts) == 1:
        return work((0, 3), parts)
    work((0, 1), parts)
    work((1, 2), parts)
    return work((2, 3), parts)


def to_modes(
    field: NDArray[np.float32],
    modes: NDArray[np.float32],
    image: NDArray[np.float32] | None = None,
    step: NDArray[np.float32] | None = None,
) -> None:
    """Fourier modes of the planes of constant x of a packed field, the first stage of
    `apply_green_operator`, whose arguments these are.
    """
    taken, edge = field if image is None else image, field.shape[1]
    _sweep(None, modes, field, taken, step, field, field, (0, 1), parts_of(6 * edge**3, edge))


def from_modes(
    modes: NDArray[np.float32], field: NDArray[np.float32], out: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Inverse of `to_modes`, the last stage of `apply_green_operator`, whose arguments these are; returns the
    inner products of `field` and `out`.
    """
    edge = field.shape[1]
    return _sweep(None, modes, field, field, None, out, field, (2, 3), parts_of(6 * edge**3, edge))


def _sweep(
    green: NDArray[np.float32] | None,
    modes: NDArray[np.float32],
    field: NDArray[np.float32],
    image: NDArray[np.float32],
    step: NDArray[np.float32] | None,
    out: NDArray[np.float32],
    against: NDArray[np.float32],
    stages: tuple[int, int],
    parts: list[tuple[int, int]],
) -> NDArray[np.float64]:
    """Do stages from the first up to but not the second of `stages`, in parts that wait for no other one."""
    edge = field.shape[1]
    shape = (3, edge, 2 * edge * edge)
    first, second, third, fourth = (item.reshape(shape) for item in (field, image, out, against))
    operator, factors = _NOTHING if green is None else green, _NO_STEP if step is None else step
    work = partial(
        _kernel(edge), stages, twiddles(edge), operator, first, second, factors, modes, third, fourth
    )
    return np.array(share(work, parts), dtype=np.float64).sum(0)
