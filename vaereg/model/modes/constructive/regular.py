"""Latent vectors of the periodic mode: surface or lattice, periods and thickness of bars, as plain numbers.

A minimal surface or a lattice has no statistics to learn: its latent vector holds its parameters.
Coordinates: 0 place in `VARIANTS`, 1 sheet, 2 inverted, 3 to 5 periods in `REFERENCE_EDGE` voxels along x,
y, z, 6 to 8 relative thickness of bars along x, y, z, 9 logit of the volume fraction; the others are 0.

Letters: B batch, D latent size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.generators.morphologies import REFERENCE_EDGE
from vaereg.generators.periodic import LATTICES, lattice_field, mirrored_shift, surface_field
from vaereg.generators.shapes import SURFACES
from vaereg.microstructure.symmetry import average_field, fold_field
from vaereg.model.modes.constructive.symmetric import equal_axes

__all__ = [
    "LEAST_LATENT",
    "VARIANTS",
    "periodic_field",
    "periodic_fraction",
    "periodic_latent",
    "permute_latent",
]

VARIANTS = (*SURFACES, *LATTICES)
"""Names of the minimal surfaces, then of the lattices."""
LEAST_LATENT = 10
"""Least size D of a latent vector that holds all of these."""
_ROUNDING = 1e-6
"""Change by the mean over images, over the range of a field, below which it is symmetric [-]."""


def periodic_latent(recipe: Mapping[str, Any] | str, size: int, latent: int) -> NDArray[np.float32]:
    """Latent vector of a surface or lattice, shape (D,).

    Args:
        recipe: Recipe of the volume, or its JSON.
        size: Voxels per edge of the volume.
        latent: Size D.
    """
    entries = json.loads(recipe) if isinstance(recipe, str) else recipe
    numbers = np.zeros(latent, dtype=np.float32)
    numbers[0] = VARIANTS.index(entries["variant"])
    numbers[1:3] = entries.get("sheet", False), entries.get("inverted", False)
    numbers[3:6] = np.asarray(entries["periods"]) * (REFERENCE_EDGE / size)
    numbers[6:9] = entries.get("weights", (1.0, 1.0, 1.0))
    fraction = entries["volume_fraction"]
    numbers[9] = math.log(fraction / (1.0 - fraction))
    return numbers


def periodic_fraction(latent: NDArray[np.floating]) -> NDArray[np.float64]:
    """Volume fraction of the stiff phase [-], shape (B,), of latent vectors, shape (B, D)."""
    return 1.0 / (1.0 + np.exp(-latent[:, 9].astype(np.float64)))


def permute_latent(latent: NDArray[np.float32], axes: Sequence[int]) -> NDArray[np.float32]:
    """Latent vectors, shape (B, D), of volumes whose axes are permuted, as by `numpy.transpose`."""
    order = list(range(latent.shape[1]))
    order[3:6] = [3 + axis for axis in axes]
    order[6:9] = [6 + axis for axis in axes]
    return latent[:, order]


def periodic_field(
    latent: NDArray[np.floating],
    size: int,
    generator: np.random.Generator,
    stretch: float = 1.0,
    symmetry: str = "none",
) -> NDArray[np.float64]:
    """Field whose highest values are stiff, shape (n, n, n), of a latent vector, shape (D,).

    Periods are multiplied by `stretch`. With a symmetry, mirrors of lattices and surfaces lie in those of the
    cell; of surfaces without, such as the gyroid, one part is mirrored.
    """
    variant = VARIANTS[int(np.clip(round(float(latent[0])), 0, len(VARIANTS) - 1))]
    period = stretch * REFERENCE_EDGE / np.maximum(latent[3:6].astype(np.float64), 1e-3)
    weights, shift = np.asarray(latent[6:9], dtype=np.float64), generator.random(3)
    if symmetry != "none":
        period, weights = (
            equal_axes(torch.from_numpy(values), symmetry).numpy() for values in (period, weights)
        )
        shift = mirrored_shift(period, size) + 0.5 * (shift[0] < 0.5)
    if variant in SURFACES:
        sheet, inverted = latent[1] > 0.5, latent[2] > 0.5
        field = surface_field(variant, period, size, sheet=sheet, inverted=inverted, shift=shift)
    else:
        field = lattice_field(variant, period, weights, size, shift)
    if symmetry == "none":
        return field
    average = average_field(field, symmetry)
    return (
        average if np.abs(average - field).max() < _ROUNDING * np.ptp(field) else fold_field(field, symmetry)
    )
