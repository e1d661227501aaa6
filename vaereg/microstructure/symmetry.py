"""Symmetry of fields and volumes: the group of mirrors and quarter turns of a cell, orbits, averages,
folding.

Mirrors pass through the middle of the cell, between two voxels where an edge is even, so that a symmetric
volume is unchanged by flips of its array, and by exchanges of axes. Its stiffness then has the symmetry
exactly.

Letters: X Y Z voxels, O orbits.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import SYMMETRY_ORDERS
from vaereg.errors import InputError
from vaereg.microstructure.volume import as_two_phase

__all__ = [
    "SYMMETRIES",
    "average_field",
    "cut_symmetric",
    "fold_field",
    "group_of",
    "is_symmetric",
    "orbits_of",
    "symmetrise_volume",
]

SYMMETRIES = tuple(SYMMETRY_ORDERS)
"""Symmetries of a cell: mirrors along all axes; x and y alike besides; all axes alike."""

_SMOOTHING = 1.0
"""Standard deviation of the filter before a volume is averaged over its group [voxel]."""


def group_of(symmetry: str) -> tuple[tuple[tuple[int, int, int], tuple[int, ...]], ...]:
    """Operations of a group: axes as `numpy.transpose` takes them, then axes that are flipped.

    Raises:
        InputError: `symmetry` is none of `SYMMETRIES`.
    """
    if symmetry not in SYMMETRIES:
        raise InputError(f"expected a symmetry of {', '.join(SYMMETRIES)}, got {symmetry!r}")
    mirrors = (
        [()]
        if symmetry == "none"
        else [tuple(axis for axis in range(3) if flip[axis]) for flip in product((False, True), repeat=3)]
    )
    return tuple(((a, b, c), flips) for a, b, c in SYMMETRY_ORDERS[symmetry] for flips in mirrors)


@lru_cache(maxsize=16)
def orbits_of(shape: tuple[int, int, int], symmetry: str) -> NDArray[np.intp]:
    """Number of the orbit of each voxel, from 0 to O - 1, shape (X, Y, Z); the array is not to be changed.

    Raises:
        InputError: The symmetry exchanges axes of unlike edges, or is unknown.
    """
    index = np.arange(int(np.prod(shape))).reshape(shape)
    least = index
    for axes, flips in group_of(symmetry):
        image = np.flip(index.transpose(axes), flips)
        if image.shape != index.shape:
            raise InputError(f"expected axes of equal edges for the symmetry {symmetry}, got {shape}")
        least = np.minimum(least, image)
    _, orbits = np.unique(least, return_inverse=True)
    orbits = orbits.reshape(shape)
    orbits.setflags(write=False)
    return orbits


def average_field(field: ArrayLike, symmetry: str) -> NDArray[np.float64]:
    """Mean of a field over the group, exactly alike for all voxels of an orbit, shape (X, Y, Z)."""
    values = np.asarray(field, dtype=np.float64)
    orbits = orbits_of(_shape(values), symmetry)
    means = np.bincount(orbits.ravel(), weights=values.ravel()) / np.bincount(orbits.ravel())
    return means[orbits]


def cut_symmetric(field: ArrayLike, fraction: float, symmetry: str) -> NDArray[np.uint8]:
    """Volume whose stiff voxels are the highest orbits of a field averaged over the group.

    Args:
        field: Any field, shape (X, Y, Z).
        fraction: Volume fraction of the stiff phase [-], met to half the size of an orbit.
        symmetry: One of `SYMMETRIES`.
    """
    values = np.asarray(field, dtype=np.float64)
    orbits = orbits_of(_shape(values), symmetry)
    sizes = np.bincount(orbits.ravel())
    means = np.bincount(orbits.ravel(), weights=values.ravel()) / sizes
    order = np.argsort(-means, kind="stable")
    filled = np.cumsum(sizes[order])
    count = int(np.searchsorted(filled - sizes[order] / 2.0, fraction * values.size))
    is_stiff = np.zeros(len(sizes), dtype=np.uint8)
    is_stiff[order[:count]] = 1
    return is_stiff[orbits]


def symmetrise_volume(volume: ArrayLike, symmetry: str) -> NDArray[np.uint8]:
    """Volume averaged over the group, smoothed a little and cut at its own volume fraction.

    Volumes that nearly have the symmetry keep their kind; of others, walls and grains are doubled.
    """
    phases = as_two_phase(volume)
    if is_symmetric(phases, symmetry):
        return phases
    smooth = gaussian_filter(phases.astype(np.float64), _SMOOTHING, mode="wrap")
    return cut_symmetric(smooth, float(phases.mean()), symmetry)


def fold_field(field: ArrayLike, symmetry: str) -> NDArray[np.float64]:
    """Field made of the images of one part of another, an eighth or less, shape (X, Y, Z); no mean of it."""
    values = np.asarray(field, dtype=np.float64)
    orbits = orbits_of(_shape(values), symmetry)
    _, first = np.unique(orbits.ravel(), return_index=True)
    return values.ravel()[first][orbits]


def is_symmetric(volume: ArrayLike, symmetry: str) -> bool:
    """Whether a volume is unchanged by every operation of the group."""
    phases = np.asarray(volume)
    for axes, flips in group_of(symmetry):
        image = np.flip(phases.transpose(axes), flips)
        if image.shape != phases.shape or not np.array_equal(image, phases):
            return False
    return True


def _shape(values: NDArray[np.float64] | NDArray[np.uint8]) -> tuple[int, int, int]:
    x, y, z = values.shape
    return x, y, z
