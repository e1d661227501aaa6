"""The training volumes of the modes: what each class reaches, and where its prior is asked.

A row is one volume with its stiffness for the reference pair. A target names some quantities; rows near it
say which modes reach it, how likely each is, and what the quantities that were left free come to.

Letters: N rows, O = 6 orders of the axes, K modes, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import AXIS_ORDERS, PROPERTIES
from vaereg.model.modes.catalogue import MODES

__all__ = ["REACHED", "ModeLibrary", "Reach"]

REACHED = 0.10
"""Largest deviation of the nearest row of a mode that counts as within its reach, as a logarithm [-], after
the common factor that a change of the volume fraction makes up for."""
_LARGEST_FACTOR = 0.15
"""Largest common factor of all quantities that a change of the fraction makes up for, as a logarithm."""
_WIDTH = 0.10
"""Width of the kernel of p(c | k): deviation of a logarithm [-]."""
_FRACTION_WIDTH = 0.25
"""Deviation of the volume fraction that counts as much as an equal deviation of a logarithm, [-] to [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """How near the rows come to a target."""

    deviation: NDArray[np.float64]
    """Largest logarithmic deviation from the target, save for a common factor, shape (O, N) [-]."""
    weights: NDArray[np.float64]
    """Probability of each mode at the target, summing to one, shape (K,); 0 where it has nothing near."""
    nearest: NDArray[np.intp]
    """Order and row of the nearest of each mode, shape (K, 2); -1 where the mode has no row."""
    distance: NDArray[np.float64]
    """Its deviation, shape (K,) [-]; infinite where the mode has no row."""

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Whether each mode reaches the target, shape (K,)."""
        return self.distance <= REACHED


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeLibrary:
    """Training volumes in one orientation."""

    mode: NDArray[np.int64]
    """Index of the mode of each row, shape (N,)."""
    properties: NDArray[np.float64]
    """C11 ... C66 with the reference pair, shape (N, T) [GPa]."""
    fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (N,) [-]."""
    latent: NDArray[np.float32]
    """Latent vectors of the rows of the periodic mode, shape (N, D); means of q(z | x, k) elsewhere."""

    def __len__(self) -> int:
        return len(self.mode)

    def permuted_properties(self) -> NDArray[np.float64]:
        """Properties in all orders of the axes, shape (O, N, T) [GPa]."""
        return np.stack([self.properties[:, list(order)] for order in AXIS_ORDERS])

    def reach(self, wanted: Mapping[str, tuple[float, float]]) -> Reach:
        """How near the modes come to a target.

        Args:
            wanted: Lowest and highest value by name: properties [GPa] and the volume fraction [-].
        """
        places = [PROPERTIES.index(name) for name in wanted if name in PROPERTIES]
        logs = np.log(self.permuted_properties()[..., places])
        ends = np.log([wanted[PROPERTIES[place]] for place in places]).reshape(-1, 2)
        off = logs - np.clip(logs, ends[:, 0], ends[:, 1])
        factor = np.clip(off.mean(-1, keepdims=True), -_LARGEST_FACTOR, _LARGEST_FACTOR) if places else 0.0
        rest = np.abs(off - factor)
        square = np.square(off).mean(-1) if places else np.zeros(logs.shape[:2])
        deviation = rest.max(-1) if places else np.zeros(logs.shape[:2])
        for name in wanted:
            if name not in PROPERTIES:
                low, high = wanted[name]
                away = (
                    np.maximum(np.maximum(low - self.fraction, self.fraction - high), 0.0) / _FRACTION_WIDTH
                )
                deviation, square = np.maximum(deviation, away), square + np.square(away)
        density = np.exp(-0.5 * square / _WIDTH**2).mean(0)
        weights, distance = np.zeros(len(MODES)), np.full(len(MODES), np.inf)
        nearest = np.full((len(MODES), 2), -1, dtype=np.intp)
        for index in range(len(MODES)):
            own = np.flatnonzero(self.mode == index)
            if not len(own):
                continue
            weights[index] = density[own].mean()
            order, place = np.unravel_index(np.argmin(deviation[:, own]), (len(AXIS_ORDERS), len(own)))
            nearest[index] = order, own[place]
            distance[index] = deviation[order, own[place]]
        total = weights.sum()
        return Reach(
            deviation=deviation,
            weights=weights / total if total > 0.0 else weights,
            nearest=nearest,
            distance=distance,
        )
