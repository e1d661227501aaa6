"""Properties of designs as far as targets need them: by the regressor for any pair of phases, conductivities
solved, with sensitivities where they are asked for.

Letters: N designs, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vaereg.materials import TwoPhase
from vaereg.model.pairs.regressor import (
    CONDUCTION_RESIDUAL,
    PairModel,
    StiffnessPrediction,
    load_pair_model,
    predict_stiffness,
)
from vaereg.solver.conduction import conduct
from vaereg.targets import CellProperties, Targets
from vaereg.workers import limit_thread_to_one_thread, pool_threads

__all__ = ["Answer", "Shift", "judge", "predicted_properties", "shift_of", "shifted"]

Shift = tuple[NDArray[np.float64], NDArray[np.float64] | None]
"""Stiffness (N, 6, 6) and conductivity (N, 3, 3), where it counts, by the solver less those predicted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Predicted stiffness, conduction and properties of some volumes."""

    prediction: StiffnessPrediction | None
    conduction: tuple[NDArray, ...] | None
    properties: CellProperties

    def std(self, row: int) -> NDArray[np.float64]:
        """Standard deviation of one stiffness, shape (6, 6) [GPa]; zero where none was predicted."""
        return np.zeros((6, 6)) if self.prediction is None else self.prediction.std[row]

    def novelty(self, row: int) -> float:
        """Novelty of one volume [-]."""
        return 0.0 if self.prediction is None else float(self.prediction.novelty[row])


def predicted_properties(
    volumes: NDArray[np.uint8],
    targets: Targets,
    materials: TwoPhase,
    *,
    model: PairModel | None = None,
) -> CellProperties:
    """Properties of volumes (N, X, Y, Z) as far as targets need them, by the regressor for any pair of
    phases; the shipped one if left out. Conductivities are solved.
    """
    regressor = load_pair_model() if model is None and targets.needs_stiffness else model
    with ThreadPoolExecutor(pool_threads(), initializer=limit_thread_to_one_thread) as threads:
        return judge(
            volumes, targets, materials, regressor, threads, sensitivities=False, early=False
        ).properties


def shift_of(predicted: CellProperties, solved: CellProperties) -> Shift:
    """Stiffness and conductivity by the solver less those predicted."""
    before, after = predicted.conductivity, solved.conductivity
    heat = None if before is None or after is None else after - before
    return solved.stiffness - predicted.stiffness, heat


def shifted(
    answer: Answer,
    shift: Shift | None,
    rows: Sequence[int],
) -> Answer:
    """Answers for some rows, shifted by what predictions are off."""
    if shift is None:
        return answer
    cells, (stiffness, conductivity) = answer.properties, shift
    own = list(rows)
    heat = cells.conductivity
    if heat is not None and conductivity is not None:
        heat = heat + conductivity[own]
    return replace(
        answer,
        properties=replace(cells, stiffness=cells.stiffness + stiffness[own], conductivity=heat),
    )


def judge(
    volumes: NDArray[np.uint8],
    wanted: Targets,
    pair: TwoPhase,
    model: PairModel | None,
    threads: ThreadPoolExecutor,
    *,
    sensitivities: bool,
    early: bool,
) -> Answer:
    """Predict volumes; iterations may stop early where further steps follow, which sensitivities are for."""
    prediction, conduction, conductivity = None, None, None
    stiffness = np.full((len(volumes), 6, 6), np.nan)
    if wanted.needs_stiffness and model is not None:
        prediction = predict_stiffness(
            model,
            list(volumes),
            [pair],
            fast=sensitivities and early,
            sensitivities=sensitivities,
            lower_bound=False,
        )
        stiffness = prediction.mean
    if wanted.needs_conductivity:
        solved = list(
            threads.map(
                lambda volume: conduct(
                    volume,
                    pair,
                    rtol=CONDUCTION_RESIDUAL,
                    dtype=np.float32,
                    sensitivities=sensitivities,
                ),
                volumes,
            )
        )
        conductivity = np.stack([result.conductivity for result in solved])
        conduction = tuple(result.sensitivity for result in solved if result.sensitivity is not None)
    properties = CellProperties(
        stiffness=stiffness,
        fraction=volumes.mean(axis=(1, 2, 3), dtype=np.float64),
        materials=pair,
        conductivity=conductivity,
    )
    return Answer(prediction=prediction, conduction=conduction, properties=properties)
