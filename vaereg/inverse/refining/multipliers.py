"""The linear program that chooses flips, solved in its few multipliers, one per quantity.

    min c.x    with    low <= A x <= high,    0 <= x <= 1

has a share x of each voxel, its cost c and its effects A. With a little entropy of width t,

    x = sigmoid((A^T y - c) / t),

and the concave dual function of the multipliers y is maximised by Newton's method while t falls. What cannot
be reached is missed softly, in proportion to its multiplier.

Letters: P quantities, V voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["choose_shares", "round_shares"]

_WIDTHS = (0.3, 0.1, 0.03, 0.01)
"""Widths of the entropy, one after the other, in units of the cost."""
_SOFTNESS = 0.05
"""Miss of a quantity, in typical effects of a voxel, that a unit of its multiplier costs [-]."""
_NEWTON_STEPS, _ROUNDS = 12, 4
"""Most steps of Newton's method at each width, and most choices of the ranges that bind."""
_SETTLED = 1e-3
"""Gradient of the dual function at which a width is done, in typical effects of a voxel [-]."""
_LEAST_SHARE = 0.02
"""Share of a voxel below which it is never flipped [-]."""


def choose_shares(
    changes: NDArray[np.float64],
    cost: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Share of each voxel that is flipped, shape (V,) [-]; ranges that bind are found in a few rounds.

    Args:
        changes: Change of every quantity by each voxel, in typical effects of a voxel, shape (P, V).
        cost: Cost of each voxel, shape (V,).
        low: Least change of every quantity, shape (P,).
        high: Largest change, shape (P,).
    """
    binding = (low > 0.0) | (high < 0.0)
    outside = binding.copy()
    goal = np.where(low > 0.0, low, high)
    share, multipliers = np.zeros(changes.shape[1]), np.zeros(len(low))
    for _ in range(_ROUNDS):
        if not binding.any():
            return share
        multipliers[~binding] = 0.0
        share, multipliers[binding] = _newton(changes[binding], cost, goal[binding], multipliers[binding])
        change = changes @ share
        below, above = change < low - 1.0, change > high + 1.0  # within a voxel of the range is in it
        new = ~binding & (below | above)
        # a range that was entered from inside binds no longer when its multiplier pushes inwards
        idle = binding & ~outside & np.where(goal == low, multipliers < 0.0, multipliers > 0.0)
        if not (new.any() or idle.any()):
            return share
        goal = np.where(new, np.where(below, low, high), goal)
        binding = (binding | new) & ~idle
    return share


def round_shares(
    share: NDArray[np.float64],
    changes: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    most: int,
    sets: NDArray[np.intp] | None,
) -> NDArray[np.bool_]:
    """Which voxels are flipped, shape (V,): those of the largest shares, as many as bring changes nearest.

    Args:
        share: From `choose_shares`, shape (V,).
        changes: As there, and so are `low` and `high`.
        most: Largest number of voxels.
        sets: Number of the set of each voxel, shape (V,): voxels of one set are flipped together.
    """
    keys = np.arange(len(share)) if sets is None else sets
    order = np.lexsort((keys, -share))
    order = order[share[order] > _LEAST_SHARE][:most]
    chosen = np.zeros(len(share), dtype=bool)
    if len(order) == 0:
        return chosen
    sums = np.cumsum(changes[:, order], axis=1)
    outside = np.maximum(np.maximum(low[:, None] - sums, sums - high[:, None]), 0.0)
    missed = np.linalg.norm(outside, axis=0)
    whole = np.append(keys[order][1:] != keys[order][:-1], len(order) < most or sets is None)
    missed[~whole] = np.inf
    before = float(np.linalg.norm(np.maximum(np.maximum(low, -high), 0.0)))
    best = int(missed.argmin())
    if missed[best] < before:
        chosen[order[: best + 1]] = True
    return chosen


def _newton(
    changes: NDArray[np.float64],
    cost: NDArray[np.float64],
    goal: NDArray[np.float64],
    start: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares (V,) and multipliers (P,) at which `changes` times the shares is the goal, at the least cost."""
    multipliers = start.copy()
    share = np.zeros(len(cost))

    def dual(at: NDArray[np.float64], width: float) -> tuple[float, NDArray[np.float64]]:
        place = (at @ changes - cost) / width
        value = width * np.logaddexp(0.0, place).sum() - at @ goal + _SOFTNESS / 2.0 * at @ at
        return float(value), expit(place)

    for width in _WIDTHS:
        value, share = dual(multipliers, width)
        for _ in range(_NEWTON_STEPS):
            slope = changes @ share - goal + _SOFTNESS * multipliers
            if np.abs(slope).max() < _SETTLED:
                break
            curvature = (changes * (share * (1.0 - share) / width)) @ changes.T
            step = np.linalg.solve(curvature + _SOFTNESS * np.eye(len(goal)), slope)
            length = 1.0
            while length > 1e-4:
                trial = multipliers - length * step
                new_value, new_share = dual(trial, width)
                if new_value <= value - 1e-4 * length * float(slope @ step):
                    break
                length /= 2.0
            else:
                break
            multipliers, value, share = trial, new_value, new_share
    return share, multipliers
