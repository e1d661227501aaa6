"""The number that designing minimises, and how far a change of the volume fraction brings a cell.

Letters: N cells, T quantities, S scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaereg.targets import QUANTITIES, CellProperties, Targets

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
_CELLS_AT_ONCE = 1024
"""Cells that are scaled at once: of fewer, the time of each call counts more than that of the cells."""
_LEAST = 1e-12
"""Least value of a positive quantity, in its unit: cells that carry no load have none."""
_STILL = 1e-4
"""Price of a scale, so that it stays where it makes no difference."""


def score(targets: Targets, cells: CellProperties) -> NDArray[np.float64]:
    """What is to be small, shape (N,) [-]: the largest deviation; with objectives, how bad they are, and a
    price for deviations. Infinite where a quantity is not known.
    """
    return _score(targets, cells, targets.deviations(cells))


def _score(targets: Targets, cells: CellProperties, off: NDArray[np.float64]) -> NDArray[np.float64]:
    """`score` from the deviations of all quantities, shape (N, T)."""
    weights = np.array([item.weight for item in targets.wanted])
    deviation = np.nan_to_num((weights * off).max(axis=1), nan=np.inf)
    if not targets.objectives:
        return deviation
    total = _PENALTY * deviation
    for item in targets.objectives:
        total = total - (item.weight if item.goal == "max" else -item.weight) * _size(item.name, cells)
    return np.nan_to_num(total, nan=np.inf)


def _size(name: str, cells: CellProperties) -> NDArray[np.float64]:
    """A quantity of which equal differences are equal relative changes, shape (N,) [-]: its logarithm, or
    where it may vanish, a function that is linear up to about its floor and a logarithm beyond.
    """
    value = cells.values([name])[:, 0]
    if QUANTITIES[name].positive:
        return np.log(np.maximum(value, _LEAST))
    return np.arcsinh(value / np.maximum(cells.floors([name])[:, 0], _LEAST))


def allowed_range(targets: Targets) -> tuple[float, float]:
    """Volume fractions that are asked for, within those that the decoders know [-]."""
    low, high = targets.range_of("volume_fraction")
    return max(low, FRACTIONS[0]), min(high, FRACTIONS[1])


def scaled(
    cells: CellProperties,
    scale: NDArray[np.float64],
    exponent: NDArray[np.float64] | float = EXPONENT,
    limits: tuple[float, float] | tuple[NDArray[np.float64], NDArray[np.float64]] = FRACTIONS,
) -> CellProperties:
    """Cells as they would be with another volume fraction: C and k times exp(scale), f times its root.

    Args:
        cells: N cells.
        scale: Logarithm of the factor of the stiffness, shape (N,) [-].
        exponent: d log C / d log f [-].
        limits: Volume fractions that are allowed, of all cells or of each, shape (N,) [-].
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
    limits, number = allowed_range(targets), len(cells)
    cells.values(targets.names)  # what is computed for these once is copied and scaled from here on
    best, least = np.zeros(number), np.full(number, np.inf)
    result = least.copy()
    at_once = max(1, _CELLS_AT_ONCE // max(number, 1))
    own_exponent = np.broadcast_to(np.asarray(exponent, dtype=np.float64), (number,))
    for step, count in levels:
        middle, places = best.copy(), np.arange(-count, count + 1)
        for begin in range(0, len(places), at_once):
            part = places[begin : begin + at_once]
            scale = (middle + step * part[:, None]).ravel()
            copies = cells if len(part) == 1 else cells.copies(len(part))
            moved = scaled(copies, scale, np.tile(own_exponent, len(part)), limits)
            off = targets.deviations(moved)
            reached = _score(targets, moved, off)
            value = reached + 0.1 * np.nan_to_num(off.mean(axis=1), nan=0.0) + _STILL * np.abs(scale)
            table = value.reshape(len(part), number)
            least_row = table.argmin(axis=0)
            columns = np.arange(number)
            lower = table[least_row, columns] < least
            flat = (least_row * number + columns)[lower]
            best[lower], least[lower], result[lower] = scale[flat], value[flat], reached[flat]
    return best, result
