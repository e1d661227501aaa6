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
from vaereg.inverse.refining.search import FIRST_TRUST, Search
from vaereg.inverse.refining.smoothing import smoothed

__all__ = ["begun_anew", "shaken"]

RESTARTS = 4
"""Most volumes that a search looks at in place of its best one."""
_SMOOTHING = 0.7
"""Standard deviation of the filter whose level set is shaken [voxel]."""
_NOISE = 0.2
"""Standard deviation of the noise that is added to it [-]: it flips 1 to 10 % of the voxels."""
_LENGTHS = (1.0, 2.0)
"""Standard deviations of the filters of the noise, in turn [voxel]."""
_NEARER = 0.5
"""Predicted deviation over that of the best volume by the solver, from which a volume is solved [-]."""


def begun_anew(search: Search) -> Search | None:
    """The search from another volume, once one is predicted to be much nearer than the best so far; None
    where none is, or where predictions do not see the targets.
    """
    if not search.targets.needs_stiffness or search.targets.objectives:
        return None
    while search.restarts < RESTARTS:
        generator = np.random.default_rng(search.restarts)
        length = _LENGTHS[search.restarts % len(_LENGTHS)]
        search = replace(search, restarts=search.restarts + 1)
        volume, off = corrected(search, shaken(search.best.volume, length, generator=generator))
        if off <= _NEARER * search.best.largest_distance:
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
    return None


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
