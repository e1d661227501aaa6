"""Spread of what follows from a predicted stiffness, by the spread of its entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from vaereg.elasticity import VOIGT_ORDER, mandel_to_voigt, voigt_to_mandel
from vaereg.engineering import ENGINEERING_NAMES, engineering_constants, thermal_expansion
from vaereg.materials import TwoPhase

__all__ = ["engineering_spread", "expansion_spread", "perhaps_unloaded"]

_NINETY_PERCENT = float(ndtri(0.95))
"""Half width of an interval that covers 90 % of a normal distribution, over its standard deviation [-]."""
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
    constants = engineering_constants(mean).by_name()
    steps, changes = _moves(mean)
    ends = [[_constants(mean + sign * move) for move in changes] for sign in (1.0, -1.0)]
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


def expansion_spread(
    mean: NDArray[np.float64], std: NDArray[np.float64], volume_fraction: float, materials: TwoPhase
) -> list[float | None]:
    """Standard deviation of the thermal expansion [1e-6/K], Voigt order, to first order as in
    `engineering_spread`; None along directions that carry no load.

    Args:
        mean: Stiffness, Voigt order, shape (6, 6) [GPa].
        std: Standard deviation of its entries, shape (6, 6) [GPa].
        volume_fraction: Volume fraction of the stiff phase [-].
        materials: The two phases, with their thermal expansions.
    """
    steps, changes = _moves(mean)
    high, low = (thermal_expansion(mean + sign * changes, volume_fraction, materials) for sign in (1.0, -1.0))
    slopes = np.where(steps[:, None] > 0.0, (high - low) / (2.0 * np.maximum(steps, 1e-300))[:, None], 0.0)
    spread = np.linalg.norm(slopes * std[np.triu_indices(6)][:, None], axis=0)
    return [float(value) if np.isfinite(value) else None for value in spread]


def perhaps_unloaded(mean: NDArray[np.float64], std: NDArray[np.float64], materials: TwoPhase) -> list[str]:
    """Stresses (xx, ..., xy) that a cell with voids perhaps does not carry: those whose stiffness has zero in
    its 90 % interval. A prediction after few iterations does not tell a thin neck from none.

    Args:
        mean: Stiffness, Voigt order, shape (6, 6) [GPa].
        std: Standard deviation of its entries, shape (6, 6) [GPa].
        materials: The two phases.
    """
    if not materials.has_void:
        return []
    zero = np.diag(mean) <= _NINETY_PERCENT * np.diag(std)
    return [name for name, unloaded in zip(VOIGT_ORDER, zero, strict=True) if unloaded]


def _moves(mean: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps of the 21 entries i <= j, shape (21,), and the changes of the stiffness, (21, 6, 6) [GPa]."""
    rows, columns = np.triu_indices(6)
    steps = _STEP * np.sqrt(np.maximum(mean[rows, rows] * mean[columns, columns], 0.0))
    changes = np.zeros((len(rows), 6, 6))
    changes[range(len(rows)), rows, columns] = changes[range(len(rows)), columns, rows] = steps
    values, axes = np.linalg.eigh(voigt_to_mandel(mean))
    carried = axes[:, values > _STEP**2 * values[-1]]  # moves elsewhere would take load where none is carried
    projection = carried @ carried.T
    return steps, mandel_to_voigt(projection @ voigt_to_mandel(changes) @ projection)


def _constants(stiffness: NDArray[np.float64]) -> dict[str, float | None]:
    """Engineering constants by name; none of a matrix that is no stiffness."""
    try:
        return engineering_constants(stiffness).by_name()
    except ValueError:
        return dict.fromkeys(ENGINEERING_NAMES)
