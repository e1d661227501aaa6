"""Spread of the engineering constants that a predicted stiffness and its spread stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import mandel_to_voigt, voigt_to_mandel
from vaereg.engineering import ENGINEERING_NAMES, engineering_constants

__all__ = ["engineering_spread"]

_STEP = 1e-4
"""Relative step of the stiffness by which engineering constants are differentiated [-]."""


def engineering_spread(
    mean: NDArray[np.float64], std: NDArray[np.float64]
) -> dict[str, tuple[float | None, float | None]]:
    """Engineering constants of one stiffness by name, each with its standard deviation to first order.

    Entries of the stiffness count as independent; both are None where a direction carries no load.

    Args:
        mean: Stiffness, Voigt order, shape (6, 6) [GPa].
        std: Standard deviation of its entries, shape (6, 6) [GPa].
    """
    rows, columns = np.triu_indices(6)
    steps = _STEP * np.sqrt(np.maximum(mean[rows, rows] * mean[columns, columns], 0.0))
    moved = np.zeros((len(rows), 6, 6))
    moved[range(len(rows)), rows, columns] = moved[range(len(rows)), columns, rows] = steps
    constants = engineering_constants(mean).by_name()
    values, axes = np.linalg.eigh(voigt_to_mandel(mean))
    carried = axes[:, values > _STEP**2 * values[-1]]  # moves elsewhere would take load where none is carried
    projection = carried @ carried.T
    moved = mandel_to_voigt(projection @ voigt_to_mandel(moved) @ projection)
    ends = [[_constants(mean + sign * move) for move in moved] for sign in (1.0, -1.0)]
    spreads: dict[str, tuple[float | None, float | None]] = {}
    for name, value in constants.items():
        slopes = [
            (high - low) / (2.0 * step) if step > 0.0 else 0.0
            for above, below, step in zip(*ends, steps, strict=True)
            if (high := above[name]) is not None and (low := below[name]) is not None
        ]
        unloaded = value is None or (value == 0.0 and name.startswith(("E_", "G_")))
        whole = not unloaded and len(slopes) == len(rows)
        spreads[name] = (value, float(np.linalg.norm(slopes * std[rows, columns])) if whole else None)
    return spreads


def _constants(stiffness: NDArray[np.float64]) -> dict[str, float | None]:
    """Engineering constants by name; none of a matrix that is no stiffness."""
    try:
        return engineering_constants(stiffness).by_name()
    except ValueError:
        return dict.fromkeys(ENGINEERING_NAMES)
