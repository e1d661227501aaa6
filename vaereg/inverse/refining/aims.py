"""What a step of a correction or a refinement aims at: changes of the quantities, and whether a step is
better.

Letters: P targeted quantities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vaereg.targets import CellProperties, Targets

__all__ = ["beyond_bounds", "distance", "objective_gain", "wanted_changes"]

_INSIDE = 0.25
"""Share of a range, from either end, beyond which a step aims [-]."""
_MARGIN = 5e-3
"""Most of that, relative to what deviations are relative to [-]."""
_ROUNDING = 1e-5
"""Deviation from a bound that is the error of a solve in single precision [-]."""


def wanted_changes(
    targets: Targets, properties: CellProperties, *, gain: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest change of each quantity that brings a cell onto its targets, and what these are
    relative to, each of shape (P,). The changes aim a little inside the ranges.

    Args:
        targets: What is wanted.
        properties: Those of one cell.
        gain: Relative gain in each objective that is aimed at [-]; with 0 it must not get worse, with minus
            infinity it is free.
    """
    values, scale = properties.values(targets.names)[0], targets.scales(properties)[0]
    low, high = targets.limits()
    with np.errstate(invalid="ignore"):
        width = np.where(np.isfinite(high - low), high - low, scale)
    margin = np.minimum(_INSIDE * width, _MARGIN * scale)
    low, high = low + margin, high - margin
    for place, item in enumerate(targets):
        if item.goal and np.isfinite(values[place]):
            better = values[place] + (gain if item.goal == "max" else -gain) * scale[place]
            aim = float(np.clip(better, low[place], high[place]))
            low[place], high[place] = (aim, high[place]) if item.goal == "max" else (low[place], aim)
    is_finite = np.isfinite(values)
    least, most = (
        np.where(is_finite, end - values, sign * np.inf) for end, sign in ((low, -1.0), (high, 1.0))
    )
    return least, most, scale


def beyond_bounds(targets: Targets, properties: CellProperties) -> float:
    """Largest deviation of one cell from ranges and one-sided bounds, single values left out [-]: zero up to
    the rounding of a solve.
    """
    is_range = np.array([item.is_bounded and not item.is_value for item in targets])
    deviations = np.nan_to_num(targets.deviations(properties)[0], nan=np.inf)
    largest = float(np.max(deviations, where=is_range, initial=0.0))
    return largest if largest > _ROUNDING else 0.0


def distance(targets: Targets, properties: CellProperties) -> float:
    """Root of the summed squares of the deviations of one cell, each times its weight [-]: what small steps
    can always lessen, as the largest deviation alone may not; infinite where a quantity is not known.
    """
    weights = np.array([item.weight for item in targets])
    deviations = np.nan_to_num(targets.deviations(properties)[0], nan=np.inf)
    return float(np.linalg.norm(weights * deviations))


def objective_gain(
    targets: Targets, values: NDArray[np.float64], before: NDArray[np.float64], unit: NDArray[np.float64]
) -> float:
    """Weighted sum of the relative gains in the objectives [-], zero without objectives.

    Args:
        targets: What is wanted.
        values: Quantities, shape (P,).
        before: Quantities that the gain is taken from, shape (P,).
        unit: What changes are relative to, shape (P,).
    """
    total = 0.0
    for place, item in enumerate(targets):
        if item.goal:
            sign = item.weight if item.goal == "max" else -item.weight
            total += sign * float((values[place] - before[place]) / unit[place])
    return total
