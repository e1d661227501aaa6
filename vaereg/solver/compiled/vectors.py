"""Compiled vector algebra of the conjugate gradients, on packed fields seen as vectors of shape (n,).

Even entries belong to the first load case, odd ones to the second (see `vaereg.solver.compiled.kernels`).
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from collections.abc import Sequence
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vaereg.solver.compiled.threads import parts_of, share

__all__ = ["gram", "move", "pair_dot"]

_BLOCK = 64
"""Real numbers treated at once; a constant, so that the compiler can vectorise over scratch rows."""

_GRAM_BLOCK = 1024
"""Numbers of each of six vectors that are held at once: they lie in the cache."""

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
def _move(x, p, z, step, ratio):  # noqa: ANN001, ANN202
    """x += step p and p = z + ratio p, shape (n,), with one step and ratio per packed load case."""
    for k in range(x.size // 2):
        p0, p1 = p[2 * k], p[2 * k + 1]
        x[2 * k] += step[0] * p0
        x[2 * k + 1] += step[1] * p1
        p[2 * k] = z[2 * k] + ratio[0] * p0
        p[2 * k + 1] = z[2 * k + 1] + ratio[1] * p1


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _gram(rows, columns, others, has_others, begin, end):  # noqa: ANN001, ANN202
    """Inner products of parts of three packed vectors with three others, in float64, shape (6, 6), of blocks
    whose load cases are first set apart.
    """
    dtype, half = rows[0].dtype, _GRAM_BLOCK // 2
    result = np.zeros((6, 6))
    first, second = np.zeros((6, half), dtype), np.zeros((6, half), dtype)
    for start in range(begin, end, _GRAM_BLOCK):
        size = min(_GRAM_BLOCK, end - start) // 2
        for pair in range(3):
            row, column = rows[pair][start:], columns[pair][start:]
            even, odd = first[2 * pair], first[2 * pair + 1]
            for k in range(size):
                even[k], odd[k] = row[2 * k], row[2 * k + 1]
            even, odd = second[2 * pair], second[2 * pair + 1]
            for k in range(size):
                even[k], odd[k] = column[2 * k], column[2 * k + 1]
            if has_others:
                other = others[pair][start:]
                for k in range(size):
                    even[k] += other[2 * k]
                    odd[k] += other[2 * k + 1]
        for i in range(0, 6, 2):
            for j in range(0, 6, 2):
                a, b, c, d = first[i], first[i + 1], second[j], second[j + 1]
                ac, ad, bc, bd = dtype.type(0), dtype.type(0), dtype.type(0), dtype.type(0)
                for k in range(size):
                    ac += a[k] * c[k]
                    ad += a[k] * d[k]
                    bc += b[k] * c[k]
                    bd += b[k] * d[k]
                result[i, j] += ac
                result[i, j + 1] += ad
                result[i + 1, j] += bc
                result[i + 1, j + 1] += bd
    return result


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
    first, second = tuple(rows), tuple(columns)
    third = second if others is None else tuple(others)
    work = partial(_gram, first, second, third, others is not None)
    return np.sum(share(work, parts_of(first[0].size, first[0].size, _PARTIAL)), axis=0)


def move(x: NDArray, p: NDArray, z: NDArray, step: NDArray, ratio: NDArray) -> None:
    """x += step p and p = z + ratio p, shape (n,), with one step and ratio per packed load case."""
    share(lambda begin, end: _move(x[begin:end], p[begin:end], z[begin:end], step, ratio), _parts(x))


def _parts(vector: NDArray) -> list[tuple[int, int]]:
    return parts_of(vector.size, vector.size, _PARTIAL)
