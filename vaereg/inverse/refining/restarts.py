"""Other volumes that a refinement goes on from where it stalls: the best one with its interface shaken, then
corrected by prediction.

Flips lead to the nearest volume that no flips make better. There a single contact may be all that is left, of
which a voxel does too little or too much; other volumes of the morphology have it elsewhere.

Letters: X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.refining.guidance import corrected
from vaereg.inverse.refining.search import FIRST_TRUST, Best, Search
from vaereg.inverse.refining.smoothing import smoothed

__all__ = [
    "begun_anew",
    "gone_on_from",
    "is_there",
    "passed_over",
    "sees_targets",
    "shaken",
]

RESTARTS = 8
"""Most volumes that a search looks at in place of its best one: half of them at a time while its flips go on,
the first from the best volume, the others from that at the start.
"""
_SMOOTHING = 0.7
"""Standard deviation of the filter whose level set is shaken [voxel]."""
_NOISE = 0.2
"""Standard deviation of the noise that is added to it [-]: it flips 1 to 10 % of the voxels."""
_LENGTHS = (1.0, 2.0)
"""Standard deviations of the filters of the noise, in turn [voxel]."""
_NEARER = 0.5
"""Predicted deviation over that of the best volume by the solver, from which a volume is solved [-]."""
_INSIDE = 0.8
"""Predicted deviation over the tolerance from which it is, too [-]."""


def begun_anew(search: Search, *, last: bool) -> tuple[Search, float] | None:
    """The search from another volume, once one is predicted to be much nearer than the best so far, and its
    predicted largest deviation [-]; None where none is, or where predictions do not see the targets.

    Args:
        search: A search that stalls.
        last: Whether it has no flips left: otherwise it looks at half of the volumes.
    """
    if not sees_targets(search):
        return None
    half = RESTARTS // 2
    for number in range(search.restarts, RESTARTS if last or search.restarts >= half else half):
        best = search.best if number < half else Best(volume=search.start)
        length, generator = _LENGTHS[number % len(_LENGTHS)], np.random.default_rng(number)
        volume, off = corrected(search, shaken(best.volume, length, generator=generator))
        if off <= _NEARER * search.best.largest_distance or is_there(search, off):
            anew = gone_on_from(search, volume)
            return replace(anew, restarts=number + 1, shaken=True, drawn=best.drawn), off
    return None


def sees_targets(search: Search) -> bool:
    """Whether predictions say how far a volume is from what the search is for."""
    return search.targets.needs_stiffness and not search.targets.objectives


def is_there(search: Search, off: float) -> bool:
    """Whether a predicted largest deviation [-] is well within the tolerance."""
    return off <= _INSIDE * search.tolerance


def gone_on_from(search: Search, volume: NDArray[np.uint8]) -> Search:
    """The search with another volume to be solved next, shape (X, Y, Z), and nothing learned but the best."""
    return replace(
        search,
        volume=volume,
        flips=None,
        base=None,
        ratios=None,
        trust=FIRST_TRUST,
        avoided=(),
        by_prediction=True,
        begun=len(search.history),
    )


def passed_over(search: Search) -> Search:
    """The search after half of the volumes were looked at in vain: the others are where it stalls again."""
    half = RESTARTS // 2
    if search.restarts >= RESTARTS:
        return search
    return replace(
        search,
        restarts=half if search.restarts < half else RESTARTS,
        begun=len(search.history) - 1,
    )


def shaken(volume: NDArray[np.uint8], length: float, *, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Volume of the same volume fraction whose interface is moved at random, shape (X, Y, Z).

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        length: Standard deviation of the filter of the noise [voxel].
        generator: Source of the noise.
    """
    noise = smoothed(generator.standard_normal(volume.shape), length)
    level = smoothed(volume, _SMOOTHING) + _NOISE * noise / noise.std()
    return (level > np.quantile(level, 1.0 - volume.mean())).astype(np.uint8)
