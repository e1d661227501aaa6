"""The full answer for a volume and any pair of phases, computed once for all sessions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.model.pairs.regressor import (
    CONDUCTION_RESIDUAL,
    PairModel,
    StiffnessPrediction,
    load_pair_model,
    predict_stiffness,
)
from vaereg.solver.conduction import conduct
from vaereg.targets.enclosure import quantity_enclosure

__all__ = ["LARGEST", "QUICK", "PairOutcome", "guaranteed_ends", "predict_pair", "stiffness_bounds"]

LARGEST = 128**3
"""Voxels up to which volumes are answered: the fields of six load cases take about 1 GB there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairOutcome:
    """Answers on one volume that need no full solve."""

    stiffness: StiffnessPrediction
    """Predicted stiffness and guaranteed bounds."""
    conductivity: NDArray[np.float64] | None
    """Solved conductivity, shape (3, 3) [W/(m K)]; None where a phase has none."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """Predicted stiffness, shape (6, 6) [GPa]."""
        return self.stiffness.mean[0]

    @property
    def std(self) -> NDArray[np.float64]:
        """Its standard deviation, shape (6, 6) [GPa]."""
        return self.stiffness.std[0]


def predict_pair(volume: NDArray[np.uint8], pair: TwoPhase) -> PairOutcome:
    """The answer for a volume of shape (X, Y, Z); computed once for all sessions."""
    model = _pair_model()
    return _predict(model, model.hash, volume_hash(volume), repr(pair), volume, pair)


@st.cache_resource(show_spinner=False)
def _pair_model() -> PairModel:
    return load_pair_model()


@st.cache_resource(max_entries=256, show_spinner=False)
def _predict(
    _model: PairModel, model: str, name: str, phases: str, _volume: NDArray[np.uint8], _pair: TwoPhase
) -> PairOutcome:
    conductivity = None
    if _pair.stiff.conductivity is not None and _pair.soft.conductivity is not None:
        result = conduct(_volume, _pair, rtol=CONDUCTION_RESIDUAL, dtype=np.float32, raise_on_failure=False)
        conductivity = result.conductivity
    return PairOutcome(stiffness=predict_stiffness(_model, [_volume], [_pair]), conductivity=conductivity)


QUICK = 40**3
"""Voxels up to which bounds by the solver are computed unasked: it takes a third of a second."""


def stiffness_bounds(
    volume: NDArray[np.uint8], pair: TwoPhase
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two matrices between which the stiffness of a volume lies for certain, shape (6, 6) each [GPa]."""
    found = predict_pair(volume, pair).stiffness
    return found.lower[0], found.upper[0]


def guaranteed_ends(
    names: Sequence[str], volume: NDArray[np.uint8], pair: TwoPhase, *, most: int = QUICK
) -> NDArray[np.float64]:
    """Least and largest value that quantities of a volume can have, shape (T, 2), each in its unit.

    Args:
        names: The quantities.
        volume: Two-phase volume, shape (X, Y, Z).
        pair: The two phases.
        most: Voxels up to which a few iterations of the solver bound the stiffness; the phases and the
            volume fraction alone do beyond.
    """
    bounds = stiffness_bounds(volume, pair) if volume.size <= most else ()
    return quantity_enclosure(names, float(volume.mean(dtype=np.float64)), pair, *bounds)
