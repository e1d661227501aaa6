"""The number that designing minimises, and how far a change of the volume fraction brings a cell.

Letters: N cells, T quantities, S scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaereg.targets import CellProperties, Targets

__all__ = ["COARSE", "EXPONENT", "FRACTIONS", "allowed_range", "best_scale", "scaled", "score"]

FRACTIONS = (0.02, 0.98)
"""Volume fractions that the decoders know [-]."""
EXPONENT = 2.0
"""d log C / d log f of a cell whose field is cut elsewhere: 1.0 to 2.9 in decoded cells, median 1.8."""
_PENALTY = 10.0
"""Price of a deviation, in relative changes of an objective [-]."""
_LEVELS = ((0.1, 6), (0.025, 4), (0.006, 4))
"""Steps of the scale [-], and how many on both sides, from coarse to fine."""
COARSE = ((0.05, 4),)
"""The same for thousands of cells that are only to be sorted."""
_STILL = 1e-4
"""Price of a scale, so that it stays where it makes no difference."""


def score(targets: Targets, cells: CellProperties) -> NDArray[np.float64]:
    """What is to be small, shape (N,) [-]: the largest deviation; with objectives, how bad they are, and a
    price for deviations. Infinite where a quantity is not known.
    """
    deviation = np.nan_to_num(targets.largest_deviation(cells), nan=np.inf)
    if not targets.objectives:
        return deviation
    total = _PENALTY * deviation
    for item in targets.objectives:
        value = cells.values([item.name])[:, 0]
        size = np.log(np.maximum(value, 1e-12)) if (value[np.isfinite(value)] > 0.0).all() else value
        total = total - (item.weight if item.goal == "max" else -item.weight) * size
    return np.nan_to_num(total, nan=np.inf)


def allowed_range(targets: Targets) -> tuple[float, float]:
    """Volume fractions that are asked for, within those that the decoders know [-]."""
    low, high = targets.range_of("volume_fraction")
    return max(low, FRACTIONS[0]), min(high, FRACTIONS[1])


def scaled(
    cells: CellProperties,
    scale: NDArray[np.float64],
    exponent: NDArray[np.float64] | float = EXPONENT,
    limits: tuple[float, float] = FRACTIONS,
) -> CellProperties:
    """Cells as they would be with another volume fraction: C and k times exp(scale), f times its root.

    Args:
        cells: N cells.
        scale: Logarithm of the factor of the stiffness, shape (N,) [-].
        exponent: d log C / d log f [-].
        limits: Volume fractions that are allowed [-].
    """
    fraction = np.clip(cells.fraction * np.exp(scale / exponent), *limits)
    return cells.scaled((fraction / cells.fraction) ** exponent, fraction)


def best_scale(
    targets: Targets,
    cells: CellProperties,
    exponent: NDArray[np.float64] | float = EXPONENT,
    levels: Sequence[tuple[float, int]] = _LEVELS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithm of the factor of each cell that gives it the least score, and this score, shape (N,) each.

    Args:
        targets: What is wanted.
        cells: N cells.
        exponent: d log C / d log f [-].
        levels: Steps and their number on both sides, from coarse to fine.
    """
    limits = allowed_range(targets)
    best = np.zeros(len(cells))
    least = np.full(len(cells), np.inf)
    for step, count in levels:
        middle = best.copy()
        for place in range(-count, count + 1):
            scale = middle + place * step
            moved = scaled(cells, scale, exponent, limits)
            mean = np.nan_to_num(targets.mean_deviation(moved), nan=0.0)
            value = score(targets, moved) + 0.1 * mean + _STILL * np.abs(scale)
            lower = value < least
            best[lower], least[lower] = scale[lower], value[lower]
    return best, score(targets, scaled(cells, best, exponent, limits))
