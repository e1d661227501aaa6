"""What can be had: targets near the properties of a known volume in some orientation.

Letters: M known volumes, T properties and, after them, the volume fraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

__all__ = ["KnownProperties", "Reach"]

_PROBES = 400
"""Known volumes whose distance to the others says how far apart such volumes are."""
_LEAST_LIMIT = 0.05
"""Deviation that any target is allowed, as a logarithm [-]."""
_MARGIN = 1.5
"""Limit, relative to the largest distance of a probe from the other volumes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """How near a target is to the known volumes."""

    nearest: NDArray[np.float64]
    """Properties [GPa] and volume fraction [-] of the nearest volume, turned, shape (T + 1,)."""
    distance: float
    """Largest relative deviation, as a logarithm, from what was asked for [-]."""
    limit: float
    """Distance up to which a target counts as reachable [-]."""


class KnownProperties:
    """Properties of known volumes in all orientations that permute the axes.

    Args:
        values: Properties [GPa] and volume fraction [-], shape (M, T + 1).
    """

    def __init__(self, values: NDArray[np.floating]) -> None:
        self.values = values
        """As given, shape (M, T + 1)."""
        orders = [[*order, *(3 + axis for axis in order), 6] for order in permutations(range(3))]
        self._logs = np.log(np.concatenate([values[:, order] for order in orders]).astype(np.float64))
        self._count = len(values)
        self.ranges = np.exp(np.stack([self._logs.min(0), self._logs.max(0)], 1))
        """Lowest and highest value, shape (T + 1, 2)."""
        self._limits: dict[tuple[int, ...], float] = {}

    def reach(self, wanted: Mapping[int, tuple[float, float]]) -> Reach:
        """How near the known volumes come to a target.

        Args:
            wanted: Lowest and highest value by place among properties and volume fraction; equal for a value.
        """
        asked = tuple(sorted(wanted))
        ends = np.log([wanted[place] for place in asked])
        own = self._logs[:, asked]
        distances = np.maximum(np.maximum(ends[:, 0] - own, own - ends[:, 1]), 0.0).max(1)
        best = int(distances.argmin())
        return Reach(
            nearest=np.exp(self._logs[best]), distance=float(distances[best]), limit=self._limit(asked)
        )

    def _limit(self, asked: tuple[int, ...]) -> float:
        """From how far apart known volumes are in these properties."""
        if asked not in self._limits:
            own = self._logs[:, asked]
            probes = np.linspace(0, self._count - 1, min(_PROBES, self._count)).astype(int)
            # the nearest of another volume: the first six may be the probe itself, turned
            distances, found = KDTree(own).query(own[probes], k=min(7, len(own)), p=np.inf)
            other = found % self._count != probes[:, None]
            nearest = np.where(other, distances, np.inf).min(1)
            known = nearest[np.isfinite(nearest)]
            self._limits[asked] = max(_LEAST_LIMIT, _MARGIN * float(known.max(initial=0.0)))
        return self._limits[asked]
