"""Corrections by prediction before the first solve of a refinement, and between two solves.

What predictions are off at the last solve shifts them, so that errors common to similar volumes cancel. A
prediction costs a third of a solve at a low contrast and a tenth at a high one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.refining.aims import distance
from vaereg.inverse.refining.corrections import Corrections, correct
from vaereg.inverse.refining.predicting import predicted_properties
from vaereg.inverse.refining.search import Search
from vaereg.model.pairs.regressor import PairModel, load_pair_model
from vaereg.targets import CellProperties

__all__ = ["corrected", "corrected_by_prediction", "corrections_of", "predicted_cells", "trusts_predictions"]

_STEPS = 20
"""Corrections by prediction before the first solve, and between two solves."""
_ENOUGH = 0.3
"""Predicted deviation, in units of the tolerance, at which these end [-]."""
_SLOW = 0.6
"""Share of the distance that a solve has to leave at most, so that predictions go on [-]."""


def corrected_by_prediction(
    search: Search, volume: NDArray[np.uint8], solved: CellProperties | None = None
) -> NDArray[np.uint8]:
    """Volume after corrections by prediction; the same where its prediction is near enough.

    Args:
        search: Targets, phases, tolerance and constraints.
        volume: Phases 0 and 1, shape (X, Y, Z).
        solved: Its properties by the solver, if they are known.
    """
    if solved is None:
        cells = predicted_cells(search, volume)
        off = float(np.nan_to_num(search.targets.largest_deviation(cells), nan=np.inf)[0])
        if off <= search.tolerance:
            return volume
    return corrected(search, volume, solved)[0]


def corrected(
    search: Search, volume: NDArray[np.uint8], solved: CellProperties | None = None
) -> tuple[NDArray[np.uint8], float]:
    """Volume after corrections by prediction, and its predicted largest deviation [-]; arguments as above."""
    result = corrections_of(search, volume[None], _STEPS, solved)
    return result.volumes[0], float(result.largest_deviation[0, -1])


def corrections_of(
    search: Search, volumes: NDArray[np.uint8], steps: int, solved: CellProperties | None = None
) -> Corrections:
    """Corrections by prediction of volumes, shape (N, X, Y, Z); the other arguments as above."""
    return correct(
        volumes,
        search.targets,
        search.materials,
        steps=steps,
        model=_model(),
        constraints=search.constraints if search.constraints else None,
        solved=solved,
        enough=_ENOUGH * search.tolerance,
    )


def predicted_cells(search: Search, volume: NDArray[np.uint8]) -> CellProperties:
    """Predicted properties of one volume, as far as the targets need them."""
    return predicted_properties(volume[None], search.targets, search.materials, model=_model())


@cache
def _model() -> PairModel:
    """The shipped regressor for any pair of phases."""
    return load_pair_model()


def trusts_predictions(search: Search, cell: CellProperties) -> bool:
    """Whether predictions choose the next volume: as long as a solve finds them to help, and again after
    flips by the solver's sensitivities that helped.
    """
    base = search.base
    if not search.targets.needs_stiffness or search.targets.objectives:
        return False
    if base is None:
        return search.by_prediction
    return distance(search.targets, cell) <= base.distance * (_SLOW if search.flips is None else 1.0)
