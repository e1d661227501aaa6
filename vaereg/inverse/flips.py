"""Choice of the voxels of a two-phase volume to flip, to change its stiffness as wanted.

By reciprocity, flips change the stiffness by exactly the sum over them of

    e : (C_new - C_old) : e',    e, e' the strains before and after,

and a flipped voxel strains nearly like its neighbours of the phase that it joins. So the change is estimated
by the geometric mean of the solver's sensitivity (which has e in both places) over the nearby voxels of the
one phase and of the other. At a contrast of 50 the sensitivity alone is wrong by a factor of two or three in
either direction; this mean, after a constant ratio, by 20 %. The ratios are learned from the solves as they
come: two per quantity, for voxels that become stiff and for those that become soft.

A linear program chooses the flips: of all that should reach the target, or come nearest to it within a trust
region, those nearest to the interface of the smoothed volume, without relying on a few voxels of large
effect. That is a level set shifted by a combination of the effects, one weight per quantity. Only the
interface moves, so the morphology is kept.

Letters: P targeted quantities, V voxels, X Y Z voxels along the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import linprog

from vaereg.elasticity import PROPERTIES
from vaereg.targets import FRACTION

__all__ = [
    "Flips",
    "Ratios",
    "choose_flips",
    "effects_of_flips",
    "first_ratios",
    "learn_ratios",
]


_NEIGHBOURS = 0.8
"""Standard deviation of the means over neighbours [voxel]."""
_SMOOTHING = 1.0
"""Standard deviation of the filter whose level set says how near to the interface a voxel is [voxel]."""
_TRUST = 0.03
"""Largest share of the voxels that are flipped at once [-]."""
_LEAST_COST = 0.05
"""Cost of a flip right at the interface; one voxel away it is about 0.35."""
_EXCESS_COST = 1e3
"""Cost, per voxel of the volume, of missing a target by its whole value: far above that of any flips."""
_RATIOS = (0.74, 0.67)
"""Actual by estimated change of voxels that become stiff, and soft: medians over 30 Gaussian fields."""
_SPREAD, _TIE = 0.15, 0.3
"""Standard deviation of the two ratios, and their correlation."""
_DRIFT = 0.05
"""Standard deviation by which they change from step to step."""
_NOISE = 0.003
"""Standard deviation of what the ratios leave open in a change, relative to the quantity [-]."""
_RANGE = (0.2, 2.0)
"""Ratios are kept within."""
_DIAGONAL = (0, 6, 11, 15, 18, 20)
"""Places of C11, C22, ... C66 among the 21 entries of a symmetric matrix."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """Voxels to flip, and what that should do before it is multiplied by the ratios."""

    voxels: NDArray[np.intp]
    """Indices in C order, shape (V,)."""
    raised: NDArray[np.float64]
    """Estimated rise of every quantity by the voxels that become stiff, shape (P,)."""
    lowered: NDArray[np.float64]
    """Estimated fall of every quantity by the voxels that become soft, shape (P,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratios:
    """Actual by estimated changes, as far as they are known."""

    mean: NDArray[np.float64]
    """Mean ratio of the voxels that become stiff, and of those that become soft, shape (P, 2)."""
    covariance: NDArray[np.float64]
    """Covariance of the two ratios, shape (P, 2, 2)."""


def first_ratios(names: Sequence[str]) -> Ratios:
    """Ratios before the first flips; those of the volume fraction are exact."""
    exact = np.array([name == FRACTION for name in names])[:, None]
    spread = _SPREAD**2 * np.array([[1.0, _TIE], [_TIE, 1.0]])
    return Ratios(mean=np.where(exact, 1.0, _RATIOS), covariance=np.where(exact[..., None], 0.0, spread))


def learn_ratios(
    ratios: Ratios, flips: Flips, change: NDArray[np.float64], quantities: NDArray[np.float64]
) -> Ratios:
    """Correct the ratios by what flips did: a Kalman filter for each quantity.

    Args:
        ratios: Of the quantities so far.
        flips: What was flipped.
        change: Change of every quantity, shape (P,).
        quantities: Every quantity after the flips, shape (P,).
    """
    mean, covariance = ratios.mean.copy(), ratios.covariance.copy()
    for row in np.flatnonzero(covariance.any(axis=(1, 2))):
        estimate = np.array([flips.raised[row], -flips.lowered[row]])
        spread = covariance[row] + _DRIFT**2 * np.eye(2)
        gain = spread @ estimate / (estimate @ spread @ estimate + (_NOISE * quantities[row]) ** 2)
        mean[row] = np.clip(mean[row] + gain * (change[row] - estimate @ mean[row]), *_RANGE)
        covariance[row] = spread - np.outer(gain, estimate @ spread)
    return Ratios(mean=mean, covariance=covariance)


def effects_of_flips(
    volume: NDArray[np.uint8], sensitivity: NDArray, names: Sequence[str]
) -> NDArray[np.float64]:
    """Estimated size of the change of every quantity by the flip of each voxel, shape (P, X Y Z).

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        sensitivity: From `homogenize`, shape (21, X, Y, Z) [GPa].
        names: Properties [GPa], or the volume fraction [-].
    """
    stiff = volume.astype(np.float64)
    share = gaussian_filter(stiff, _NEIGHBOURS, mode="wrap")
    rows = []
    for name in names:
        if name == FRACTION:
            rows.append(np.full(stiff.size, 1.0 / stiff.size))
            continue
        energy = np.maximum(sensitivity[_DIAGONAL[PROPERTIES.index(name)]], 0.0)
        inside = gaussian_filter(stiff * energy, _NEIGHBOURS, mode="wrap") / np.maximum(share, 1e-3)
        outside = gaussian_filter((1.0 - stiff) * energy, _NEIGHBOURS, mode="wrap")
        outside /= np.maximum(1.0 - share, 1e-3)
        rows.append(np.sqrt(np.maximum(inside * outside, 0.0)).ravel())
    return np.stack(rows)


def choose_flips(
    volume: NDArray[np.uint8],
    effects: NDArray[np.float64],
    ratios: Ratios,
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    unit: NDArray[np.float64],
) -> Flips | None:
    """Flips at the interface after which the quantities should have changed by `least` to `most`.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        effects: From `effects_of_flips`, shape (P, X Y Z).
        ratios: Of the quantities.
        least: Smallest change of every quantity that is wanted, shape (P,).
        most: Largest one, shape (P,).
        unit: What changes of every quantity are relative to, shape (P,).

    Returns:
        The flips, or None where none brings the quantities nearer.
    """
    voxels = np.flatnonzero(_interface(volume))
    stiff = volume.ravel()[voxels].astype(bool)
    effects = effects[:, voxels]
    changes = effects * np.where(stiff, -ratios.mean[:, 1:], ratios.mean[:, :1]) / unit[:, None]

    level = gaussian_filter(volume.astype(np.float64), _SMOOTHING, mode="wrap").ravel()[voxels]
    cost = np.maximum(np.where(stiff, level - 0.5, 0.5 - level), 0.0) + _LEAST_COST
    largest = np.abs(changes).max(axis=0)
    cost *= np.sqrt(1.0 + np.square(largest / np.median(largest)))

    # beside the voxels: by how much each quantity stays out of reach
    count, missed = len(voxels), np.eye(len(unit))
    solution = linprog(
        np.append(cost, np.full(len(unit), _EXCESS_COST * volume.size)),
        A_ub=np.vstack(
            [
                np.hstack([changes, -missed]),
                np.hstack([-changes, -missed]),
                np.append(np.ones(count), np.zeros(len(unit))),
            ]
        ),
        b_ub=np.concatenate([most / unit, -least / unit, [_TRUST * volume.size]]),
        bounds=[(0.0, 1.0)] * count + [(0.0, None)] * len(unit),
        method="highs",
    )
    if solution.x is None:
        return None
    chosen = solution.x[:count] > 0.5  # at most one voxel per quantity, and one more, is split
    if not chosen.any():
        return None
    return Flips(
        voxels=voxels[chosen],
        raised=effects[:, chosen & ~stiff].sum(axis=1),
        lowered=effects[:, chosen & stiff].sum(axis=1),
    )


def _interface(volume: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Voxels that share a face with one of the other phase."""
    interface = np.zeros(volume.shape, dtype=bool)
    for axis in range(3):
        differs = volume != np.roll(volume, 1, axis)
        interface |= differs | np.roll(differs, -1, axis)
    return interface
