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
def _gram(a, b):  # noqa: ANN001, ANN202
    """Inner products of the packed load cases (1, 1), (1, 2), (2, 1), (2, 2) of `a` and `b`, in float64."""
    lanes = np.empty(2 * _BLOCK, a.dtype)
    first, crossed, back, second = 0.0, 0.0, 0.0, 0.0
    for begin in range(0, a.size, _PARTIAL):
        end = min(begin + _PARTIAL, a.size)
        for k in range(2 * _BLOCK):
            lanes[k] = 0
        for start in range(begin, end, _BLOCK):
            p, q = a[start:], b[start:]
            for k in range(min(_BLOCK, end - start) // 2):
                even, odd, other_even, other_odd = p[2 * k], p[2 * k + 1], q[2 * k], q[2 * k + 1]
                lanes[k] += even * other_even
                lanes[_BLOCK // 2 + k] += even * other_odd
                lanes[_BLOCK + k] += odd * other_even
                lanes[3 * _BLOCK // 2 + k] += odd * other_odd
        for k in range(_BLOCK // 2):
            first += lanes[k]
            crossed += lanes[_BLOCK // 2 + k]
            back += lanes[_BLOCK + k]
            second += lanes[3 * _BLOCK // 2 + k]
    return first, crossed, back, second


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
    if others is not None:
        columns = [column + other for column, other in zip(columns, others, strict=True)]
    result = np.empty((6, 6))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            part = partial(_gram_of_parts, row, column)
            products = np.sum(share(part, parts_of(row.size, row.size, _PARTIAL)), axis=0)
            result[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = products.reshape(2, 2)
    return result


def _gram_of_parts(a: NDArray, b: NDArray, begin: int, end: int) -> tuple[float, ...]:
    return _gram(a[begin:end], b[begin:end])


def move(x: NDArray, p: NDArray, z: NDArray, step: NDArray, ratio: NDArray) -> None:
    """x += step p and p = z + ratio p, shape (n,), with one step and ratio per packed load case."""
    share(lambda begin, end: _move(x[begin:end], p[begin:end], z[begin:end], step, ratio), _parts(x))


def _parts(vector: NDArray) -> list[tuple[int, int]]:
    return parts_of(vector.size, vector.size, _PARTIAL)
