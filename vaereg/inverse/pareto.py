"""Pareto fronts of two or three objectives: which cells are dominated by none, and the volume that they
dominate.

Objectives come as columns of which each is the larger, the better (`objective_values`).

Letters: N cells, M objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints, meet, satisfied
from vaereg.inverse.refining.corrections import correct, predicted_properties
from vaereg.materials import TwoPhase
from vaereg.model.pairs.regressor import PairModel
from vaereg.targets import CellProperties, Targets

__all__ = [
    "ParetoFront",
    "hypervolume",
    "non_dominated",
    "objective_values",
    "pareto_front",
    "ranks",
    "search_front",
]

TOLERANCE = 0.02
"""Largest deviation of the other targets at which a cell takes part in a front [-]."""
_BATCH = 32
"""Candidates that are sampled and predicted at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParetoFront:
    """Cells that no other one beats in all objectives."""

    volumes: NDArray[np.uint8]
    """Phases 0 and 1, ordered by the first objective, best first, shape (F, X, Y, Z)."""
    properties: CellProperties
    """Their predicted properties."""
    values: NDArray[np.float64]
    """Objectives in their units, shape (F, M)."""
    candidates: int
    """Cells that were looked at."""
    feasible: int
    """Those that meet the constraints, and the other targets within the tolerance."""
    hypervolume: float
    """Volume that the front dominates above `reference`, in the product of the units of the objectives."""
    reference: NDArray[np.float64]
    """Worst values of the objectives among the feasible cells, shape (M,)."""


def objective_values(targets: Targets, properties: CellProperties) -> NDArray[np.float64]:
    """Objectives with the sign that makes larger better, shape (N, M).

    Raises:
        InputError: There are not two or three objectives.
    """
    objectives = targets.objectives
    if not 2 <= len(objectives) <= 3:
        raise InputError(f"expected two or three objectives for a Pareto front, got {len(objectives)}")
    signs = np.array([1.0 if item.goal == "max" else -1.0 for item in objectives])
    return signs * properties.values([item.name for item in objectives])


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Whether no other point is at least as good in all objectives and better in one, shape (N,).

    Args:
        points: The larger, the better, shape (N, M); rows with NaN are never on the front.
    """
    values = np.asarray(points, dtype=np.float64)
    known: NDArray[np.bool_] = ~np.any(np.isnan(values), axis=1)
    front = known.copy()
    order = np.lexsort(values.T[::-1])[::-1]
    kept = np.empty((0, values.shape[1]))
    for row in order:  # whatever dominates a point comes before it in this order
        if not known[row]:
            continue
        beaten = (kept >= values[row]).all(axis=1) & (kept > values[row]).any(axis=1)
        if beaten.any():
            front[row] = False
        else:
            kept = np.vstack([kept, values[row]])
    return front


def ranks(points: ArrayLike) -> NDArray[np.int64]:
    """Number of the front of each point, 0 for the best, shape (N,): fronts are taken away one by one
    (Deb et al. 2002, doi:10.1109/4235.996017); -1 for rows with NaN.
    """
    values = np.asarray(points, dtype=np.float64)
    result = np.full(len(values), -1)
    left = np.flatnonzero(~np.isnan(values).any(axis=1))
    number = 0
    while len(left):
        front = non_dominated(values[left])
        result[left[front]] = number
        left, number = left[~front], number + 1
    return result


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """Volume of what lies between a reference and at least one point, by slices along the last objective
    (While et al. 2006, doi:10.1109/TEVC.2005.851275).

    Args:
        points: The larger, the better, shape (N, M), M from 1 to 3.
        reference: Worst values, shape (M,).
    """
    base = np.asarray(reference, dtype=np.float64)
    values = np.asarray(points, dtype=np.float64).reshape(-1, len(base))
    values = values[(values > base).all(axis=1)]
    if len(values) == 0:
        return 0.0
    if len(base) == 1:
        return float(values.max() - base[0])
    levels = np.unique(values[:, -1])
    heights = np.diff(np.concatenate([base[-1:], levels]))
    slices = [hypervolume(values[values[:, -1] >= level, :-1], base[:-1]) for level in levels]
    return float(np.dot(heights, slices))


def pareto_front(
    targets: Targets,
    volumes: NDArray[np.uint8],
    properties: CellProperties,
    *,
    constraints: Constraints | None = None,
    tolerance: float = TOLERANCE,
    candidates: int = 0,
) -> ParetoFront:
    """Front among given cells that meet the constraints, and the other targets within a tolerance.

    Args:
        targets: Two or three objectives, and what else is wanted.
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
        properties: Properties of these N cells.
        constraints: What every cell of the front has to meet.
        tolerance: Largest deviation of the other targets [-].
        candidates: Number of cells that were looked at; N if left out.

    Raises:
        InputError: There are not two or three objectives, or no cell is feasible.
    """
    values = objective_values(targets, properties)
    near = np.nan_to_num(targets.largest_deviation(properties), nan=np.inf) <= tolerance
    met = np.array([constraints is None or satisfied(volume, constraints) for volume in volumes], dtype=bool)
    rows = np.flatnonzero(near & met & ~np.isnan(values).any(axis=1))
    if len(rows) == 0:
        nearest = float(np.nanmin(targets.largest_deviation(properties)))
        raise InputError(
            f"no candidate of {len(volumes)} meets the constraints and is within {100 * tolerance:g} % of "
            f"the targets: {int(met.sum())} meet the constraints, the nearest is {100 * nearest:.3g} % off"
        )
    reference = values[rows].min(axis=0)
    front = rows[non_dominated(values[rows])]
    front = front[np.argsort(-values[front, 0], kind="stable")]
    chosen = properties.rows(front)
    return ParetoFront(
        volumes=volumes[front],
        properties=chosen,
        values=chosen.values([item.name for item in targets.objectives]),
        candidates=candidates or len(volumes),
        feasible=len(rows),
        hypervolume=hypervolume(values[front], reference),
        reference=np.abs(reference),
    )


def search_front(
    targets: Targets,
    materials: TwoPhase,
    sample: Callable[[int], NDArray[np.uint8]],
    *,
    count: int = 500,
    steps: int = 1,
    constraints: Constraints | None = None,
    tolerance: float = TOLERANCE,
    model: PairModel | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ParetoFront:
    """Front among candidates of a sampling function: predicted, those near the front corrected, sorted again.

    Args:
        targets: Two or three objectives, and what else is wanted.
        materials: The two phases.
        sample: Function that makes a number of volumes, shape (number, X, Y, Z).
        count: Number of candidates.
        steps: Steps of correction of the first two fronts, towards the other targets.
        constraints: What every cell of the front has to meet.
        tolerance: Largest deviation of the other targets [-].
        model: Regressor for any pair of phases; the shipped one if left out.
        on_progress: Called with the candidates that are predicted, and their number.

    Raises:
        InputError: There are not two or three objectives, or no candidate is feasible.
    """
    targets.check_materials(materials)
    volumes: list[NDArray[np.uint8]] = []
    stiffness, fraction, conductivity = [], [], []
    done = 0
    while done < count:
        batch = sample(min(_BATCH, count - done))
        if constraints:
            batch = np.stack([meet(volume, constraints) for volume in batch])
        known = predicted_properties(batch, targets, materials, model=model)
        objective_values(targets, known)  # refuses another number of objectives before all is sampled
        volumes.append(batch)
        stiffness.append(known.stiffness)
        fraction.append(known.fraction)
        conductivity.append(known.conductivity)
        done += len(batch)
        if on_progress:
            on_progress(done, count)
    cells = np.concatenate(volumes)
    properties = CellProperties(
        stiffness=np.concatenate(stiffness),
        fraction=np.concatenate(fraction),
        materials=materials,
        conductivity=None
        if conductivity[0] is None
        else np.concatenate([part for part in conductivity if part is not None]),
    )
    bounded = [item for item in targets if item.is_bounded]
    if steps and bounded:
        near = targets.largest_deviation(properties)
        order = np.lexsort((near, ranks(objective_values(targets, properties))))
        chosen = order[: min(len(order), 2 * _BATCH)]
        corrected = correct(
            cells[chosen], targets, materials, steps=steps, model=model, constraints=constraints
        )
        rows = np.flatnonzero(corrected.changed > 0.0)
        others = corrected.properties.rows(rows)
        cells, properties = _joined(cells, properties, corrected.volumes[rows], others)
    return pareto_front(
        targets,
        cells,
        properties,
        constraints=constraints,
        tolerance=tolerance,
        candidates=count,
    )


def _joined(
    volumes: NDArray[np.uint8], properties: CellProperties, more: NDArray[np.uint8], others: CellProperties
) -> tuple[NDArray[np.uint8], CellProperties]:
    heat = None
    if properties.conductivity is not None and others.conductivity is not None:
        heat = np.concatenate([properties.conductivity, others.conductivity])
    return np.concatenate([volumes, more]), CellProperties(
        stiffness=np.concatenate([properties.stiffness, others.stiffness]),
        fraction=np.concatenate([properties.fraction, others.fraction]),
        materials=properties.materials,
        conductivity=heat,
    )
