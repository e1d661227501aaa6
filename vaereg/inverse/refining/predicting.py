"""Properties of designs as far as targets need them: by the regressor for any pair of phases, conductivities
solved, with sensitivities where they are asked for.

Of volumes that differ by few voxels, predictions after the same number of iterations are off by nearly the
same, and so is, relative to the energy of the residual, the gap below the upper bound. The errors of the two
are of unlike signs as often as not: their mean is taken. So corrected volumes need fewer iterations than
those that they were made from (`Anchor`): with 2 % of the voxels changed, a prediction after 3 iterations in
place of 8 is 0.45 % off in the median at the reference pair (by either alone 0.64 and 0.52 %); after 8 in
place of 18 at contrasts of 100 to 1000, 1.5 % (1.9 and 1.1 %, in the mean 2.3, 2.8 and 2.4 %).

Letters: N designs, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vaereg.materials import TwoPhase
from vaereg.microstructure.carrying import carried_part
from vaereg.model.pairs.features import STEPS
from vaereg.model.pairs.network import StepAnswer
from vaereg.model.pairs.regressor import (
    CONDUCTION_RESIDUAL,
    PairModel,
    StiffnessPrediction,
    load_pair_model,
    predict_stiffness,
)
from vaereg.solver.conduction import conduct
from vaereg.targets import CellProperties, Targets
from vaereg.workers import thread_map

__all__ = ["Anchor", "Answer", "closeness", "judge", "predicted_properties", "shifted"]

MODERATE = 100.0
"""Contrast up to which predictions after few iterations are good enough to correct designs by [-]."""
_SMALL_RESIDUAL = 0.025
"""Residual at which those that corrections begin with stop above it, but for voids, which need it less [-]:
of designs for contrasts of 100 to 1000 it leaves two thirds of what 0.05 does, with half as many iterations
more."""
_CLOSE, _CLOSE_HARD = (0.03, 0.01), (0.01, 0.004)
"""How far from the last prediction of the volume before an earlier one may be, so that iterations stop as
early for volumes after the first and the last of several steps, and after those between: up to a contrast of
`MODERATE` and above [-]. Of this a tenth to a fifth is left, more where more voxels have changed."""
_LEFT = 0.5
"""Share of the spread of a prediction that is left where it is shifted, besides the spread of what it is
shifted by [-]: 90 % intervals then cover 89 to 97 % in every range of contrast and with voids."""
_UNLOADED = 1e-6
"""Entry of the diagonal over the largest one, below which it carries no load [-]."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """Known properties of some volumes, by which predictions of volumes much like them are shifted."""

    answer: Answer
    """Predictions of the volumes, with the earlier ones."""
    solved: CellProperties | None = None
    """Their properties by the solver, where these are known."""

    @property
    def properties(self) -> CellProperties:
        """Best known properties of the volumes."""
        return shifted(self.answer.properties, self.answer.properties, self.solved)

    def iterations(self, row: int, off: float) -> int:
        """Iterations for a volume like one of these: the fewest after which its own prediction differed from
        the last one by at most the given share, in any diagonal entry.
        """
        last = np.diag(self.answer.properties.stiffness[row])
        loaded = last > _UNLOADED * last.max()
        if not loaded.any():  # pieces in void, that flips may join
            return STEPS[1]
        answers = _answers(self.answer, row)
        for number in sorted(answers):
            if np.abs(np.diag(answers[number].mean)[loaded] / last[loaded] - 1.0).max() <= off:
                return number
        return max(answers, default=STEPS[1])

    def shifted(self, answer: Answer, rows: Sequence[int]) -> Answer:
        """Answers for volumes like those of some rows, shifted by what these were off."""
        best_known, predicted = self.properties.rows(rows), self.answer.properties.rows(rows)
        before = predicted.stiffness.copy()
        pairs = {
            place: (own[number], other[number])
            for place, row in enumerate(rows)
            for own, other in [(_answers(answer, place), _answers(self.answer, row))]
            for number in own.keys() & other.keys()
        }
        for place, (_, other) in pairs.items():
            before[place] = other.mean
        properties = shifted(answer.properties, replace(predicted, stiffness=before), best_known)
        stiffness = properties.stiffness.copy()
        for place, (own, other) in pairs.items():
            by_gap = own.with_gap_of(other, best_known.stiffness[place])
            stiffness[place] = (stiffness[place] + by_gap) / 2.0
        return Answer(
            prediction=self._as_sure(answer.prediction, rows, list(pairs)),
            conduction=answer.conduction,
            properties=replace(properties, stiffness=stiffness),
        )

    def _as_sure(
        self, prediction: StiffnessPrediction | None, rows: Sequence[int], places: list[int]
    ) -> StiffnessPrediction | None:
        """A prediction with the spread that it has once it is shifted, at some places."""
        if prediction is None or self.answer.prediction is None:
            return prediction
        std = prediction.std.copy()
        known = self.answer.prediction.std[[rows[place] for place in places]]
        std[places] = np.hypot(0.0 if self.solved else known, _LEFT * std[places])
        return replace(prediction, std=std)


def closeness(pair: TwoPhase, *, coarse: bool) -> float:
    """How far from the last prediction an earlier one may be for `Anchor.iterations` [-]."""
    close = _CLOSE if pair.ordered().contrast <= MODERATE else _CLOSE_HARD
    return close[0] if coarse else close[1]


def _answers(answer: Answer, row: int) -> dict[int, StepAnswer]:
    return {} if answer.prediction is None else answer.prediction.answers[row]


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
    return judge(volumes, targets, materials, regressor, sensitivities=False).properties


def shifted(
    cells: CellProperties, predicted: CellProperties, actual: CellProperties | None
) -> CellProperties:
    """Cells, each shifted by what the prediction of another one is off; the same where nothing is known.

    Args:
        cells: Predicted properties.
        predicted: Those of as many other cells.
        actual: What these have indeed.
    """
    if actual is None:
        return cells
    heat = cells.conductivity
    if heat is not None and predicted.conductivity is not None and actual.conductivity is not None:
        heat = heat + (actual.conductivity - predicted.conductivity)
    stiffness = cells.stiffness + (actual.stiffness - predicted.stiffness)
    return replace(cells, stiffness=stiffness, conductivity=heat)


def judge(
    volumes: NDArray[np.uint8],
    targets: Targets,
    pair: TwoPhase,
    model: PairModel | None,
    *,
    sensitivities: bool,
    like: tuple[Anchor, Sequence[int], float] | None = None,
) -> Answer:
    """Predict volumes, with sensitivities and earlier predictions where these are asked for.

    Args:
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
        targets: What is wanted.
        pair: The two phases.
        model: Regressor for any pair of phases; none if no quantity goes through the stiffness.
        sensitivities: Whether corrections follow.
        like: Anchor, its row of each volume, and the `closeness` that is wanted.
    """
    prediction, conduction, conductivity = None, None, None
    stiffness = np.full((len(volumes), 6, 6), np.nan)
    if targets.needs_stiffness and model is not None:
        prediction = predict_stiffness(
            model,
            list(volumes),
            [pair],
            fast=sensitivities and pair.ordered().contrast <= MODERATE,
            residual=_SMALL_RESIDUAL if sensitivities and not pair.has_void else None,
            sensitivities=sensitivities,
            lower_bound=False,
            iterations=None if like is None else [like[0].iterations(row, like[2]) for row in like[1]],
            earlier=sensitivities and like is None,
        )
        stiffness = prediction.mean
    if targets.needs_conductivity:
        conductions = list(
            thread_map(
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
        conductivity = np.stack([result.conductivity for result in conductions])
        conduction = tuple(result.sensitivity for result in conductions if result.sensitivity is not None)
    properties = CellProperties(
        stiffness=stiffness,
        fraction=volumes.mean(axis=(1, 2, 3), dtype=np.float64),
        materials=pair,
        conductivity=conductivity,
    )
    answer = Answer(prediction=prediction, conduction=conduction, properties=properties)
    if like is None:
        return answer
    answer = like[0].shifted(answer, like[1])
    if prediction is None:
        return answer
    # what the others were off is no stiffness of strains that a volume does not resist
    parts = zip(answer.properties.stiffness, prediction.carried, strict=True)
    stiffness = np.stack([carried_part(matrix, carried) for matrix, carried in parts])
    return replace(answer, properties=replace(answer.properties, stiffness=stiffness))
