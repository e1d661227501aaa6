"""Voxels whose flip opens or closes a neck: bars and walls that are one or two voxels wide, and contacts.

A voxel is simple if, among the 26 voxels around it, both phases are one piece each: its flip then joins and
parts nothing (Kong & Rosenfeld 1989, doi:10.1016/0734-189X(89)90147-3). Elements share nodes, so pieces are
joined by corners, too.

Letters: V voxels, X Y Z voxels along the axes.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["flips_apart", "necks_at"]

_AROUND = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)], dtype=np.int64)
"""The 26 voxels around one."""
_BESIDE = np.array(
    [sum(1 << n for n, other in enumerate(_AROUND) if 0 < np.abs(own - other).max() <= 1) for own in _AROUND],
    dtype=np.int64,
)
"""Those of them that touch each, as bits."""
_PAIR = 0.5
"""How much of a neck a wall or bar of two voxels is [-]."""
_ORDER = 0.6180339887498949
"""Golden ratio, whose multiples by the voxels' indices put them in an order without direction."""


def necks_at(volume: NDArray[np.uint8], voxels: NDArray[np.intp]) -> NDArray[np.float64]:
    """How much of a neck the flip of each voxel opens or closes, shape (V,): 1 where it lies between two of
    the other phase along an axis or is not simple, `_PAIR` where a pair of voxels does; else 0.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        voxels: Indices in C order, shape (V,).
    """
    padded = np.pad(volume, 2, mode="wrap")
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1], dtype=np.int64)
    places = np.stack(np.unravel_index(voxels, volume.shape), axis=1) + 2
    necks = np.empty(len(voxels))
    _measure_necks(padded.ravel(), places @ strides, strides, _AROUND @ strides, _BESIDE, necks)
    return necks


@njit(cache=True, nogil=True)
def _measure_necks(padded, places, strides, around, beside, necks):  # noqa: ANN001, ANN202
    """What `necks_at` returns, by the places in the padded volume and the steps around them."""
    every = (1 << 26) - 1
    for n in range(places.size):
        place = places[n]
        own, neck = padded[place], 0.0
        for step in strides:
            before, after = padded[place - step] != own, padded[place + step] != own
            if before and after:
                neck = 1.0
            elif (before and padded[place + 2 * step] != own) or (after and padded[place - 2 * step] != own):
                neck = max(neck, _PAIR)
        if neck < 1.0:
            stiff = 0
            for k in range(26):
                stiff |= int(padded[place + around[k]]) << k
            if not (_is_one_piece(stiff, beside) and _is_one_piece(every & ~stiff, beside)):
                neck = 1.0
        necks[n] = neck


def flips_apart(
    volume: NDArray[np.uint8], voxels: NDArray[np.intp], sets: NDArray[np.intp] | None = None
) -> NDArray[np.bool_]:
    """Which of some flips open or close no neck together, shape (V,): one after the other, those are left out
    that were simple but no longer are after the flips before. Those that are not simple by themselves stay.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        voxels: Indices in C order, shape (V,).
        sets: Number of the set of each voxel, shape (V,): voxels of one set are flipped or left out together.
    """
    by_itself = necks_at(volume, voxels) >= 1.0
    flipped = volume.copy()
    flipped.ravel()[voxels[by_itself]] ^= 1
    rest = np.flatnonzero(~by_itself)
    keys = voxels if sets is None else sets
    scattered = np.modf(_ORDER * keys[rest])[0]
    rest = rest[np.lexsort((keys[rest], scattered))]
    apart = np.ones(len(voxels), dtype=bool)
    kept = np.zeros(len(rest), dtype=bool)
    _flip_simple(flipped, voxels[rest], keys[rest], _AROUND, _BESIDE, kept)
    apart[rest] = kept
    return apart


@njit(cache=True, nogil=True)
def _flip_simple(volume, voxels, keys, around, beside, kept):  # noqa: ANN001, ANN202
    """Flip voxels one after the other where they are simple, and write which; those with the same key are
    flipped back where one of them is not.
    """
    x, y, z = volume.shape
    every, first = (1 << 26) - 1, 0
    for n in range(voxels.size):
        if keys[n] != keys[first]:
            first = n
        elif n > first and not kept[n - 1]:
            continue
        i, j, k = voxels[n] // (y * z), voxels[n] // z % y, voxels[n] % z
        stiff = 0
        for m in range(26):
            place = (i + around[m, 0]) % x, (j + around[m, 1]) % y, (k + around[m, 2]) % z
            stiff |= int(volume[place]) << m
        if _is_one_piece(stiff, beside) and _is_one_piece(every & ~stiff, beside):
            volume[i, j, k] = 1 - volume[i, j, k]
            kept[n] = True
            continue
        for m in range(first, n):
            i, j, k = voxels[m] // (y * z), voxels[m] // z % y, voxels[m] % z
            volume[i, j, k] = 1 - volume[i, j, k]
            kept[m] = False


@njit(cache=True, nogil=True)
def _is_one_piece(cells, beside):  # noqa: ANN001, ANN202
    """Whether the voxels that are set as bits hang together."""
    if cells == 0:
        return False
    piece = cells & -cells
    front = piece
    while front:
        new, unvisited, n = 0, front, 0
        while unvisited:
            if unvisited & 1:
                new |= beside[n]
            unvisited >>= 1
            n += 1
        front = new & cells & ~piece
        piece |= front
    return piece == cells
