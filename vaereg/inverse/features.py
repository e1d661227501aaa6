"""Least features of the phases: balls, openings, and volumes changed until every voxel lies in a ball.

A digital set equals its opening by a ball exactly, or it does not. For both phases at once, openings in turn
leave a few voxels at corners; each of these is then either given up or filled up to a ball, at random with a
fixed seed, until none is left.

Letters: X Y Z voxels.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["PHASES", "ball", "least_feature", "opened", "thickened"]

PHASES = {"soft": 0, "stiff": 1}
"""Value of each phase in a volume."""

_WORD = 64
"""Voxels along z up to which a row is one word, of which each bit is a voxel."""
_ROLLED = 24
"""Voxels of a ball up to which shifted copies of longer rows are compared; above it, convolutions take less
time."""
_TURNS = 12
"""Most openings of both phases in turn."""
_ROUNDS = 40
"""Most rounds in which single voxels are given up or filled up."""
_GIVEN_UP = 0.35
"""Share of the voxels that are given up rather than filled up [-]."""
_WORSE = 3
"""Factor of the fewest thin voxels so far, beyond which the rounds begin again from these [-]."""
_SMOOTHINGS = (0.0, 0.7, 1.0, 1.3)
"""Standard deviations of the filter before the openings, tried in turn until nothing is thin [voxel]."""


@cache
def ball(diameter: float) -> tuple[tuple[int, int, int], ...]:
    """Voxels of a ball, as offsets from 0: those whose centres lie within half the diameter of the centre of
    the smallest box of voxels that holds it. A diameter of 2 is a cube of 8 voxels, one of 3 has 19.
    """
    edge = max(1, math.ceil(diameter - 1e-9))
    places = np.arange(edge) - (edge - 1) / 2.0
    squares = places[:, None, None] ** 2 + places[:, None] ** 2 + places**2
    inside = np.argwhere(squares <= max(diameter / 2.0, math.sqrt(squares.min())) ** 2 + 1e-9)
    return tuple((int(x), int(y), int(z)) for x, y, z in inside)


def opened(mask: NDArray[np.bool_], diameter: float) -> NDArray[np.bool_]:
    """Union of all balls of a diameter [voxel] that lie in a periodic set, shape (X, Y, Z)."""
    offsets = ball(float(diameter))
    if mask.shape[2] <= _WORD:
        return _opened_by_words(mask, np.array(offsets, dtype=np.int64) % np.array(mask.shape))
    if len(offsets) > _ROLLED:
        return _opened_by_fft(mask, float(diameter))
    fits = np.ones_like(mask)
    for offset in offsets:
        fits &= np.roll(mask, [-step for step in offset], (0, 1, 2))
    union = np.zeros_like(mask)
    for offset in offsets:
        union |= np.roll(fits, offset, (0, 1, 2))
    return union


def _opened_by_words(mask: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The same by words, each of which is a row along z."""
    length = mask.shape[2]
    packed = np.zeros((*mask.shape[:2], _WORD // 8), dtype=np.uint8)
    packed[:, :, : (length + 7) // 8] = np.packbits(mask, axis=2, bitorder="little")
    words = np.empty(mask.shape[:2], dtype="<u8")
    _open_words(packed.view("<u8")[:, :, 0], offsets, length, words)
    bits = np.unpackbits(words.view(np.uint8).reshape(packed.shape), axis=2, count=length, bitorder="little")
    return bits.view(np.bool_)


@njit(cache=True, nogil=True)
def _open_words(words, offsets, length, union):  # noqa: ANN001, ANN202
    """Write the opening of rows of bits."""
    rows, columns = words.shape
    whole = ~np.uint64(0) >> np.uint64(64 - length)
    union[:] = 0
    for x in range(rows):
        for y in range(columns):
            fits = whole
            for n in range(len(offsets)):
                if fits == 0:
                    break
                i, j, step = x + offsets[n, 0], y + offsets[n, 1], offsets[n, 2]
                word = words[i - rows if i >= rows else i, j - columns if j >= columns else j]
                if step > 0:
                    word = (word >> np.uint64(step)) | (word << np.uint64(length - step))
                fits &= word
            if fits == 0:
                continue
            for n in range(len(offsets)):
                i, j, step = x + offsets[n, 0], y + offsets[n, 1], offsets[n, 2]
                word = fits
                if step > 0:
                    word = (word << np.uint64(step)) | (word >> np.uint64(length - step))
                union[i - rows if i >= rows else i, j - columns if j >= columns else j] |= word & whole


def _opened_by_fft(mask: NDArray[np.bool_], diameter: float) -> NDArray[np.bool_]:
    """The same by convolutions: counts of voxels are whole numbers, so that rounding makes them exact."""
    x, y, z = mask.shape
    kernel, size = _kernel(diameter, (x, y, z))
    counts = np.fft.irfftn(np.fft.rfftn(mask.astype(np.float64)) * kernel.conj(), mask.shape, axes=(0, 1, 2))
    fits = (counts > size - 0.5).astype(np.float64)
    union: NDArray[np.bool_] = np.fft.irfftn(np.fft.rfftn(fits) * kernel, mask.shape, axes=(0, 1, 2)) > 0.5
    return union


@lru_cache(maxsize=8)
def _kernel(diameter: float, shape: tuple[int, int, int]) -> tuple[NDArray[np.complex128], int]:
    """Transform of a ball in a periodic cell, and its number of voxels there."""
    offsets = np.array(ball(diameter)) % np.array(shape)
    cell = np.zeros(shape)
    cell[tuple(offsets.T)] = 1.0
    return np.fft.rfftn(cell), int(cell.sum())


def least_feature(volume: ArrayLike, phase: str) -> int:
    """Largest whole diameter [voxel] for which every voxel of a phase lies in a ball of it, up to half the
    least edge; 0 where the phase is absent.
    """
    mask = np.asarray(volume) == PHASES[phase]
    if not mask.any():
        return 0
    diameter = 1
    while diameter < min(mask.shape) // 2 and np.array_equal(opened(mask, diameter + 1), mask):
        diameter += 1
    return diameter


def thickened(volume: NDArray[np.uint8], stiff: float, soft: float) -> NDArray[np.uint8]:
    """Volume changed until every voxel lies in a ball of its phase, or the one with the fewest that do not.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        stiff: Diameter of the balls of the stiff phase [voxel]; 0 for none.
        soft: Diameter of those of the soft phase.
    """
    if not _thin(volume, stiff, soft).any():
        return volume
    if stiff <= 0.0 or soft <= 0.0:
        return _opened_in_turn(volume, stiff, soft)
    best, fewest = volume, volume.size
    for smoothing in _SMOOTHINGS:
        start = volume
        if smoothing:
            start = (gaussian_filter(volume.astype(np.float64), smoothing, mode="wrap") > 0.5).astype(
                np.uint8
            )
        changed, count = _without_thin(_opened_in_turn(start, stiff, soft), stiff, soft)
        if changed.min() < changed.max() and count < fewest:
            best, fewest = changed, count
        if fewest == 0:
            break
    return best


def _thin(volume: NDArray[np.uint8], stiff: float, soft: float) -> NDArray[np.bool_]:
    """Voxels that lie in no ball of their phase."""
    thin = np.zeros(volume.shape, dtype=bool)
    for value, diameter in ((1, stiff), (0, soft)):
        if diameter > 0.0:
            mask = volume == value
            thin |= mask & ~opened(mask, diameter)
    return thin


def _opened_in_turn(volume: NDArray[np.uint8], stiff: float, soft: float) -> NDArray[np.uint8]:
    for _ in range(_TURNS):
        former = volume
        if stiff > 0.0:
            volume = opened(volume == 1, stiff).astype(np.uint8)
        if soft > 0.0:
            volume = 1 - opened(volume == 0, soft).astype(np.uint8)
        if np.array_equal(former, volume):
            break
    return volume


def _without_thin(volume: NDArray[np.uint8], stiff: float, soft: float) -> tuple[NDArray[np.uint8], int]:
    """Volume whose thin voxels are given up or filled up, and how many are left."""
    generator = np.random.default_rng(0)
    balls = [
        np.array(ball(float(diameter)), dtype=np.int64) % np.array(volume.shape) for diameter in (soft, stiff)
    ]
    most = max(map(len, balls))
    best, places = volume, np.argwhere(_thin(volume, stiff, soft))
    current, fewest = volume.copy(), len(places)
    for _ in range(_ROUNDS):
        if fewest == 0:
            break
        current = current.copy()
        shuffled, draws = generator.permutation(places), generator.random((len(places), most + 1))
        _give_up_or_fill(current, shuffled, draws, *balls)
        places = np.argwhere(_thin(current, stiff, soft))
        if len(places) < fewest:
            best, fewest = current, len(places)
        elif len(places) > _WORSE * fewest + 30:
            current, places = best, np.argwhere(_thin(best, stiff, soft))
    return best, fewest


@njit(cache=True, nogil=True)
def _give_up_or_fill(volume, places, draws, soft, stiff):  # noqa: ANN001, ANN202
    """Flip each of some voxels, or fill up the ball that holds it and lacks fewest voxels of its phase.

    The draws are of a number that decides, and one for each ball that decides between equals; `soft` and
    `stiff` are the offsets of the balls of each phase.
    """
    x, y, z = volume.shape
    for n in range(len(places)):
        own = volume[places[n, 0], places[n, 1], places[n, 2]]
        if draws[n, 0] < _GIVEN_UP:
            volume[places[n, 0], places[n, 1], places[n, 2]] = 1 - own
            continue
        offsets = stiff if own == 1 else soft
        best, least = 0, np.inf
        for b in range(len(offsets)):
            i, j, k = places[n, 0] - offsets[b, 0], places[n, 1] - offsets[b, 1], places[n, 2] - offsets[b, 2]
            missing = draws[n, b + 1]
            for m in range(len(offsets)):
                p, q, r = i + offsets[m, 0], j + offsets[m, 1], k + offsets[m, 2]
                if volume[p % x, q % y, r % z] != own:
                    missing += 1.0
                    if missing >= least:
                        break
            if missing < least:
                best, least = b, missing
        i, j, k = (
            places[n, 0] - offsets[best, 0],
            places[n, 1] - offsets[best, 1],
            places[n, 2] - offsets[best, 2],
        )
        for m in range(len(offsets)):
            volume[(i + offsets[m, 0]) % x, (j + offsets[m, 1]) % y, (k + offsets[m, 2]) % z] = own
