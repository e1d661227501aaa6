"""The linear program that chooses flips, solved in its few multipliers, one per quantity.

    min c.x    with    low <= A x <= high,    0 <= x <= 1

has a share x of each voxel, its cost c and its effects A. With a little entropy of width t,

    x = sigmoid((A^T y - c) / t),

and the concave dual function of the multipliers y is maximised by Newton's method while t falls. What cannot
be reached is missed softly, in proportion to its multiplier.

Letters: P quantities, V voxels.
"""

# Compiled functions take their types from their arguments.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["choose_shares", "round_shares"]

_WIDTHS = (0.3, 0.1, 0.03, 0.01)
"""Widths of the entropy, one after the other, in units of the cost: more of them lead to the same shares."""
_SOFTNESS = 0.05
"""Miss of a quantity, in typical effects of a voxel, that a unit of its multiplier costs [-]."""
_LEAST_OWN = 1e-3
"""Least effect of a voxel on a quantity that misses are relative to, in typical effects of a voxel [-]."""
_NEWTON_STEPS, _ROUNDS = 200, 4
"""Most steps of Newton's method at each width, and most choices of the ranges that bind."""
_SETTLED = 1e-3
"""Gradient of the dual function at which a width is done, in typical effects of a voxel [-]."""
_SLOPE_LEFT, _LEAST_LENGTH = 0.3, 1e-6
"""Share of the slope along a step that may be left, the other way, at its end, and the least length of a step
[-]."""
_FAR = 40.0
"""Exponent beyond which a share is nothing or whole [-]."""
_BLOCK = 512
"""Voxels whose shares are held at once."""
_POLISHED, _EXCHANGES = 400, 60
"""Voxels of the largest shares that may be taken in or left out after rounding, and how often one is."""
_LEAST_CLOSER = 0.02
"""How much nearer each of these has to bring the changes, in typical effects of a voxel [-]."""
_NEAR = 0.1
"""Miss at which no other start is polished, in typical effects of a voxel [-]."""
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
    # each quantity is missed softly beside what a voxel typically does to it, however little that is
    typical = np.maximum(np.median(np.abs(changes), axis=1), _LEAST_OWN)
    changes, low, high = changes / typical[:, None], low / typical, high / typical
    binding = (low > 0.0) | (high < 0.0)
    outside = binding.copy()
    goal = np.where(low > 0.0, low, high)
    share, multipliers = np.zeros(changes.shape[1]), np.zeros(len(low))
    for _ in range(_ROUNDS):
        if not binding.any():
            return share
        multipliers[~binding] = 0.0
        multipliers[binding] = _newton(changes[binding], cost, goal[binding], multipliers[binding])
        share = expit((multipliers @ changes - cost) / _WIDTHS[-1])
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
    """Which voxels are flipped, shape (V,): those of the largest shares, as many as bring changes nearest,
    then taken in or left out one by one.

    Args:
        share: From `choose_shares`, shape (V,).
        changes: As there, and so are `low` and `high`.
        most: Largest number of voxels.
        sets: Number of the set of each voxel, shape (V,): voxels of one set are flipped together.
    """
    keys = np.arange(len(share)) if sets is None else sets
    order = np.flatnonzero(share > _LEAST_SHARE)
    order = order[np.lexsort((keys[order], -share[order]))][:most]
    chosen = np.zeros(len(share), dtype=bool)
    if len(order) == 0:
        return chosen
    sums = np.cumsum(changes[:, order], axis=1)
    outside = np.maximum(np.maximum(low[:, None] - sums, sums - high[:, None]), 0.0)
    missed = np.linalg.norm(outside, axis=0)
    whole = np.append(keys[order][1:] != keys[order][:-1], len(order) < most or sets is None)
    missed[~whole] = np.inf
    if missed.min() < float(np.linalg.norm(_missing(np.zeros(len(low)), low, high))):
        chosen[order[: int(missed.argmin()) + 1]] = True
    # wishes that oppose each other need many flips together: no first few of these bring them nearer
    together, likely = np.zeros_like(chosen), np.flatnonzero(whole & (share[order] > 0.5))
    together[order[: likely.max(initial=-1) + 1]] = True
    best, least = chosen, np.inf
    for start in (chosen, together):
        polished = _polished(start, share, changes, low, high, most, sets)
        missing = float(np.linalg.norm(_missing(changes @ polished, low, high)))
        if missing < least:
            best, least = polished, missing
        if least < _NEAR:
            break
    return best


def _missing(
    change: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What changes lack to lie within their ranges."""
    return np.clip(change, low, high) - change


def _polished(
    chosen: NDArray[np.bool_],
    share: NDArray[np.float64],
    changes: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    most: int,
    sets: NDArray[np.intp] | None,
) -> NDArray[np.bool_]:
    """Voxels taken in or left out, one or one set at a time, each time that which brings changes nearest."""
    least = max(len(share) - _POLISHED, 0)
    near = np.sort(np.argpartition(share, least)[least:])
    if sets is None:
        members, place = near, np.arange(len(near))
        effects, sizes = np.ascontiguousarray(changes[:, near].T), np.ones(len(near))
    else:
        whole = np.unique(sets[near])
        place = np.searchsorted(whole, sets)
        inside = whole[np.minimum(place, len(whole) - 1)] == sets
        place, members = place[inside], np.flatnonzero(inside)
        effects = np.stack([np.bincount(place, row[inside], len(whole)) for row in changes], axis=1)
        sizes = np.bincount(place, minlength=len(whole)).astype(np.float64)
    is_taken = np.bincount(place, chosen[members], len(sizes)) > 0.0
    _exchange(effects, sizes, is_taken, changes @ chosen, float(chosen.sum()), low, high, most)
    result = chosen.copy()
    result[members] = is_taken[place]
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(effects, sizes, is_taken, total, count, low, high, most):  # noqa: ANN001, ANN202
    """Take in or leave out one set of voxels after another, each time that which brings changes nearest.

    Args:
        effects: Change of every quantity by each set, shape (S, P).
        sizes: Voxels of each set, shape (S,).
        is_taken: Whether each set is flipped, shape (S,), which is written to.
        total: Change by all flips, shape (P,), which is written to.
        count: Number of flipped voxels, at most `most`.
        low: Least change of every quantity, shape (P,).
        high: Largest change, shape (P,).
    """
    for _ in range(_EXCHANGES):
        best, least = -1, 0.0
        for p in range(total.size):
            least += max(low[p] - total[p], total[p] - high[p], 0.0) ** 2
        least = max(np.sqrt(least) - _LEAST_CLOSER, 0.0) ** 2
        for s in range(sizes.size):
            sign = -1.0 if is_taken[s] else 1.0
            if count + sign * sizes[s] > most:
                continue
            missed = 0.0
            for p in range(total.size):
                change = total[p] + sign * effects[s, p]
                missed += max(low[p] - change, change - high[p], 0.0) ** 2
            if missed < least:
                best, least = s, missed
        if best < 0:
            break
        sign = -1.0 if is_taken[best] else 1.0
        for p in range(total.size):
            total[p] += sign * effects[best, p]
        count += sign * sizes[best]
        is_taken[best] = not is_taken[best]


@njit(cache=True, nogil=True, error_model="numpy")
def _newton(effects, cost, goal, start):  # noqa: ANN001, ANN202
    """Multipliers at which the effects of the shares are the goal, at the least cost, shape (P,).

    The dual function is convex with its sign turned, so that a step that leads past its least value along it
    is cut to where the slope would vanish if it fell evenly.

    Args:
        effects: Change of every quantity by each voxel, shape (P, V).
        cost: Cost of each voxel, shape (V,).
        goal: Wanted changes, shape (P,).
        start: Multipliers to begin with, shape (P,).
    """
    count = goal.size
    multipliers, trial = start.copy(), np.empty(count)
    slope, new_slope = np.empty(count), np.empty(count)
    curvature, new_curvature = np.empty((count, count)), np.empty((count, count))
    for width in _WIDTHS:
        _slope_of_dual(effects, cost, goal, multipliers, width, slope, curvature)
        for _ in range(_NEWTON_STEPS):
            if np.abs(slope).max() < _SETTLED:
                break
            step = np.linalg.solve(curvature, slope)
            along, left, length = (slope * step).sum(), 0.0, 1.0
            while length > _LEAST_LENGTH:
                trial[:] = multipliers - length * step
                _slope_of_dual(effects, cost, goal, trial, width, new_slope, new_curvature)
                left = (new_slope * step).sum()
                if left >= -_SLOPE_LEFT * along:
                    break
                length *= along / (along - left)
            if not left >= -_SLOPE_LEFT * along:  # nor where numbers are none
                break
            multipliers[:], slope[:], curvature[:] = trial, new_slope, new_curvature
    return multipliers


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _slope_of_dual(effects, cost, goal, multipliers, width, slope, curvature):  # noqa: ANN001, ANN202
    """Write the slope (P,) and the curvature (P, P) of the dual function with its sign turned; the other
    arguments are those of `_newton`.
    """
    count, voxels = effects.shape
    share, bend = np.empty(_BLOCK), np.empty(_BLOCK)
    for p in range(count):
        slope[p] = _SOFTNESS * multipliers[p] - goal[p]
        for q in range(count):
            curvature[p, q] = _SOFTNESS if p == q else 0.0
    for begin in range(0, voxels, _BLOCK):
        size = min(_BLOCK, voxels - begin)
        own = cost[begin : begin + size]
        for k in range(size):
            share[k] = -own[k]
        for p in range(count):
            effect, multiplier = effects[p, begin : begin + size], multipliers[p]
            for k in range(size):
                share[k] += multiplier * effect[k]
        for k in range(size):
            place = share[k] / width
            # exp(-|place|), as a power of what is near one
            y = -min(abs(place), _FAR) / 64.0
            small = 1.0 + y * (1.0 + y / 2.0 * (1.0 + y / 3.0 * (1.0 + y / 4.0 * (1.0 + y / 5.0))))
            small *= small
            small *= small
            small *= small
            small *= small
            small *= small
            small *= small
            lesser = small / (1.0 + small)
            share[k] = 1.0 - lesser if place > 0.0 else lesser
            bend[k] = lesser * (1.0 - lesser) / width
        for p in range(count):
            effect, total = effects[p, begin : begin + size], 0.0
            for k in range(size):
                total += share[k] * effect[k]
            slope[p] += total
            for q in range(p + 1):
                other, total = effects[q, begin : begin + size], 0.0
                for k in range(size):
                    total += bend[k] * effect[k] * other[k]
                curvature[p, q] += total
    for p in range(count):
        for q in range(p):
            curvature[q, p] = curvature[p, q]
