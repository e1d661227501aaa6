"""Compiled vector algebra of the conjugate gradients, on packed fields seen as vectors of shape (n,).

Even entries belong to the first load case, odd ones to the second (see `vaereg.solver.compiled.kernels`).
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vaereg.solver.compiled.threads import parts_of, share

__all__ = ["advance", "pair_dot", "pair_gram", "turn"]

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
def _pair_gram(a, b):  # noqa: ANN001, ANN202
    """Inner products of each load case of `a` with each of `b`, shape (2, 2), in float64."""
    same, crossed = np.empty(_BLOCK, a.dtype), np.empty(_BLOCK, a.dtype)
    gram = np.zeros((2, 2))
    for begin in range(0, a.size, _PARTIAL):
        end = min(begin + _PARTIAL, a.size)
        whole = end - (end - begin) % _BLOCK
        same[:] = 0
        crossed[:] = 0
        for start in range(begin, whole, _BLOCK):
            p, q = a[start : start + _BLOCK], b[start : start + _BLOCK]
            for k in range(_BLOCK):
                same[k] += p[k] * q[k]
            for k in range(_BLOCK // 2):
                crossed[2 * k] += p[2 * k] * q[2 * k + 1]
                crossed[2 * k + 1] += p[2 * k + 1] * q[2 * k]
        for k in range(whole, end, 2):
            same[k - whole] += a[k] * b[k]
            same[k - whole + 1] += a[k + 1] * b[k + 1]
            crossed[k - whole] += a[k] * b[k + 1]
            crossed[k - whole + 1] += a[k + 1] * b[k]
        for k in range(0, _BLOCK, 2):
            gram[0, 0] += same[k]
            gram[1, 1] += same[k + 1]
            gram[0, 1] += crossed[k]
            gram[1, 0] += crossed[k + 1]
    return gram


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


def pair_dot(a: NDArray, b: NDArray) -> tuple[float, float]:
    """Inner products of the two packed load cases of `a` and `b`, shape (n,), in float64."""
    sums = share(lambda begin, end: _pair_dot(a[begin:end], b[begin:end]), _parts(a))
    return sum(even for even, _ in sums), sum(odd for _, odd in sums)


def pair_gram(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """Inner products of each load case of `a` with each of `b`, shape (2, 2), in float64."""
    return np.sum(share(lambda begin, end: _pair_gram(a[begin:end], b[begin:end]), _parts(a)), axis=0)


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
