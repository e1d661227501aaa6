"""Compiled vector algebra of the conjugate gradients, on packed fields seen as vectors of shape (n,).

Even entries belong to the first load case, odd ones to the second (see `vaereg.solver.compiled.kernels`).
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vaereg.solver.compiled.threads import parts_of, share

__all__ = ["advance", "gram", "pair_dot", "turn"]

_BLOCK = 64
"""Real numbers treated at once; a constant, so that the compiler can vectorise over scratch rows."""

_PARTIAL = 2048
"""Terms of an inner product summed in the precision of the field; the total is kept in float64."""


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pair_dot(a, b):  # noqa: ANN001, ANN202
    """Inner products of the two packed load cases of `a` and `b`, shape (n,), in float64."""
    lanes = np.empty(_BLOCK, a.dtype)
    even, odd = 0.0, 0.0
    for begin in range(0, a.size, _PARTIAL):
        end = min(begin + _PARTIAL, a.size)
        whole = end - (end - begin) % _BLOCK
        lanes[:] = 0
        for start in range(begin, whole, _BLOCK):
            p, q = a[start : start + _BLOCK], b[start : start + _BLOCK]
            for k in range(_BLOCK):
                lanes[k] += p[k] * q[k]
        for k in range(whole, end):
            lanes[k - whole] += a[k] * b[k]
        for k in range(0, _BLOCK, 2):
            even += lanes[k]
            odd += lanes[k + 1]
    return even, odd


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _advance(x, r, p, image, step):  # noqa: ANN001, ANN202
    """x += step p and r -= step image, shape (n,), with one step per packed load case."""
    lanes = np.empty(_BLOCK, x.dtype)
    lanes[0::2], lanes[1::2] = step[0], step[1]
    whole = x.size - x.size % _BLOCK
    for start in range(0, whole, _BLOCK):
        xs, ps = x[start : start + _BLOCK], p[start : start + _BLOCK]
        rs, images = r[start : start + _BLOCK], image[start : start + _BLOCK]
        for k in range(_BLOCK):
            xs[k] += lanes[k] * ps[k]
        for k in range(_BLOCK):
            rs[k] -= lanes[k] * images[k]
    for k in range(whole, x.size):
        x[k] += lanes[k - whole] * p[k]
        r[k] -= lanes[k - whole] * image[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _turn(p, z, ratio):  # noqa: ANN001, ANN202
    """p = z + ratio p, shape (n,), with one ratio per packed load case."""
    lanes = np.empty(_BLOCK, p.dtype)
    lanes[0::2], lanes[1::2] = ratio[0], ratio[1]
    whole = p.size - p.size % _BLOCK
    for start in range(0, whole, _BLOCK):
        ps, zs = p[start : start + _BLOCK], z[start : start + _BLOCK]
        for k in range(_BLOCK):
            ps[k] = zs[k] + lanes[k] * ps[k]
    for k in range(whole, p.size):
        p[k] = z[k] + lanes[k - whole] * p[k]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _gram(a0, a1, a2, b0, b1, b2, c0, c1, c2, added, gram):  # noqa: ANN001, ANN202
    """Add inner products of all load cases of a with those of b, or of b + c, to `gram`, shape (6, 6)."""
    # rows: a, b, b with the load cases of each pair exchanged, and their 18 products; one array and constant
    # distances within it, so that the compiler can vectorise
    rows = np.zeros(27 * _BLOCK, a0.dtype)
    for begin in range(0, a0.size, _PARTIAL):
        end = min(begin + _PARTIAL, a0.size)
        for start in range(begin, end, _BLOCK):
            size = min(_BLOCK, end - start)
            if size < _BLOCK:
                rows[: 9 * _BLOCK] = 0
            for pair in range(3):
                a = a0 if pair == 0 else (a1 if pair == 1 else a2)
                b = b0 if pair == 0 else (b1 if pair == 1 else b2)
                c = c0 if pair == 0 else (c1 if pair == 1 else c2)
                own, like = pair * _BLOCK, (3 + pair) * _BLOCK
                for k in range(size):
                    rows[own + k] = a[start + k]
                if added:
                    for k in range(size):
                        rows[like + k] = b[start + k] + c[start + k]
                else:
                    for k in range(size):
                        rows[like + k] = b[start + k]
            for k in range(3 * _BLOCK // 2):
                rows[6 * _BLOCK + 2 * k] = rows[3 * _BLOCK + 2 * k + 1]
                rows[6 * _BLOCK + 2 * k + 1] = rows[3 * _BLOCK + 2 * k]
            for k in range(_BLOCK):
                ax, ay, az = rows[k], rows[_BLOCK + k], rows[2 * _BLOCK + k]
                bx, by, bz = rows[3 * _BLOCK + k], rows[4 * _BLOCK + k], rows[5 * _BLOCK + k]
                cx, cy, cz = rows[6 * _BLOCK + k], rows[7 * _BLOCK + k], rows[8 * _BLOCK + k]
                rows[9 * _BLOCK + k] += ax * bx
                rows[10 * _BLOCK + k] += ax * by
                rows[11 * _BLOCK + k] += ax * bz
                rows[12 * _BLOCK + k] += ay * bx
                rows[13 * _BLOCK + k] += ay * by
                rows[14 * _BLOCK + k] += ay * bz
                rows[15 * _BLOCK + k] += az * bx
                rows[16 * _BLOCK + k] += az * by
                rows[17 * _BLOCK + k] += az * bz
                rows[18 * _BLOCK + k] += ax * cx
                rows[19 * _BLOCK + k] += ax * cy
                rows[20 * _BLOCK + k] += ax * cz
                rows[21 * _BLOCK + k] += ay * cx
                rows[22 * _BLOCK + k] += ay * cy
                rows[23 * _BLOCK + k] += ay * cz
                rows[24 * _BLOCK + k] += az * cx
                rows[25 * _BLOCK + k] += az * cy
                rows[26 * _BLOCK + k] += az * cz
        for pair in range(9):
            i, j = 2 * (pair // 3), 2 * (pair % 3)
            like, unlike = (9 + pair) * _BLOCK, (18 + pair) * _BLOCK
            for k in range(0, _BLOCK, 2):
                gram[i, j] += rows[like + k]
                gram[i + 1, j + 1] += rows[like + k + 1]
                gram[i, j + 1] += rows[unlike + k]
                gram[i + 1, j] += rows[unlike + k + 1]
        rows[9 * _BLOCK :] = 0


def pair_dot(a: NDArray, b: NDArray) -> tuple[float, float]:
    """Inner products of the two packed load cases of `a` and `b`, shape (n,), in float64."""
    sums = share(lambda begin, end: _pair_dot(a[begin:end], b[begin:end]), _parts(a))
    return sum(even for even, _ in sums), sum(odd for _, odd in sums)


def gram(
    rows: Sequence[NDArray], columns: Sequence[NDArray], others: Sequence[NDArray] | None = None
) -> NDArray[np.float64]:
    """Inner products of all load cases of three packed vectors with those of three others, shape (6, 6).

    Args:
        rows: Vectors of shape (n,), two load cases each.
        columns: The same.
        others: What is added to `columns`, like them.
    """
    vectors = (*rows, *columns, *(columns if others is None else others))

    def part(begin: int, end: int) -> NDArray[np.float64]:
        result = np.zeros((6, 6))
        parts = (vector[begin:end] for vector in vectors)
        _gram(*parts, others is not None, result)  # pyright: ignore[reportCallIssue]
        return result

    return np.sum(share(part, _parts(rows[0])), axis=0)


def advance(x: NDArray, r: NDArray, p: NDArray, image: NDArray, step: NDArray) -> None:
    """x += step p and r -= step image, shape (n,), with one step per packed load case."""
    share(
        lambda begin, end: _advance(x[begin:end], r[begin:end], p[begin:end], image[begin:end], step),
        _parts(x),
    )


def turn(p: NDArray, z: NDArray, ratio: NDArray) -> None:
    """p = z + ratio p, shape (n,), with one ratio per packed load case."""
    share(lambda begin, end: _turn(p[begin:end], z[begin:end], ratio), _parts(p))


def _parts(vector: NDArray) -> list[tuple[int, int]]:
    return parts_of(vector.size, vector.size, _PARTIAL)
