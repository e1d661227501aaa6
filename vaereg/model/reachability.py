"""Which targets a model can reach: those near the properties of a training volume in some orientation.

Letters: M training volumes, T properties and, after them, the volume fraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from vaereg.elasticity import AXIS_ORDERS, PROPERTIES

__all__ = ["Reachability", "TrainingProperties"]

_PROBES = 400
"""Training volumes whose distance to the others measures how far apart such volumes are."""
_LEAST_LIMIT = 0.05
"""Deviation that any target is allowed, as a logarithm [-]."""
_MARGIN = 1.5
"""Limit, relative to the largest distance of a probe from the other volumes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reachability:
    """Distance of a target from the training volumes."""

    nearest: NDArray[np.float64]
    """Properties [GPa] and volume fraction [-] of the nearest volume, best orientation, shape (T + 1,)."""
    distance: float
    """Largest relative deviation of `nearest` from the target, as a logarithm [-]."""
    limit: float
    """Distance up to which a target counts as reachable [-]."""


class TrainingProperties:
    """Properties of training volumes in all orientations that permute the axes.

    Args:
        values: Properties [GPa] and volume fraction [-], shape (M, T + 1).
    """

    def __init__(self, values: NDArray[np.floating]) -> None:
        self.values = values
        """Properties [GPa] and volume fraction [-] in the original orientation, shape (M, T + 1)."""
        orders = [[*order, len(PROPERTIES)] for order in AXIS_ORDERS]
        self._logs = np.log(np.concatenate([values[:, order] for order in orders]).astype(np.float64))
        self._count = len(values)
        self.ranges = np.exp(np.stack([self._logs.min(0), self._logs.max(0)], 1))
        """Lowest and highest value, shape (T + 1, 2)."""
        self._limits: dict[tuple[int, ...], float] = {}

    def reachability(self, target: Mapping[int, tuple[float, float]]) -> Reachability:
        """Distance of a target from the nearest training volume, and the distance that is allowed.

        Args:
            target: Lowest and highest value by index among properties and volume fraction; equal for a value.
        """
        indices = tuple(sorted(target))
        ends = np.log([target[index] for index in indices])
        logs = self._logs[:, indices]
        distances = np.maximum(np.maximum(ends[:, 0] - logs, logs - ends[:, 1]), 0.0).max(1)
        best = int(distances.argmin())
        return Reachability(
            nearest=np.exp(self._logs[best]), distance=float(distances[best]), limit=self._limit(indices)
        )

    def _limit(self, indices: tuple[int, ...]) -> float:
        """Allowed distance in some properties: it follows how far apart the training volumes are in them."""
        if indices not in self._limits:
            logs = self._logs[:, indices]
            probes = np.linspace(0, self._count - 1, min(_PROBES, self._count)).astype(int)
            # the nearest of another volume: the first six may be the probe itself in other orientations
            distances, neighbours = KDTree(logs).query(logs[probes], k=min(7, len(logs)), p=np.inf)
            is_other = neighbours % self._count != probes[:, None]
            nearest = np.where(is_other, distances, np.inf).min(1)
            finite = nearest[np.isfinite(nearest)]
            self._limits[indices] = max(_LEAST_LIMIT, _MARGIN * float(finite.max(initial=0.0)))
        return self._limits[indices]
