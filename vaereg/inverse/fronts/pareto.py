"""Pareto fronts of two or three objectives: which cells are dominated by none, and the volume that they
dominate.

Objectives come as columns of which each is the larger, the better (`objective_values`).

Letters: N cells, M objectives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints, satisfied
from vaereg.inverse.idle import carries
from vaereg.targets import CellProperties, Targets

__all__ = [
    "TOLERANCE",
    "ParetoFront",
    "along_directions",
    "covering",
    "hypervolume",
    "non_dominated",
    "objective_values",
    "pareto_front",
    "ranks",
    "reaching",
    "shares_of_box",
]

TOLERANCE = 0.02
"""Largest deviation of the other targets at which a cell takes part in a front [-]."""
_DIRECTIONS = 96
"""Directions from the worst values along which points are compared."""
_SAMPLES = 2048
"""Places of the box around points at which what they dominate is compared."""
_MARGIN = 0.1
"""Distance of the reference below the worst values of fronts, over their range [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParetoFront:
    """Cells that no other one beats in all objectives."""

    rows: NDArray[np.intp]
    """Which of the cells are on the front, ordered by the first objective, best first, shape (F,)."""
    volumes: NDArray[np.uint8]
    """Their phases 0 and 1, shape (F, X, Y, Z)."""
    properties: CellProperties
    """Their properties."""
    values: NDArray[np.float64]
    """Objectives in their units, shape (F, M)."""
    feasible: int
    """Cells that meet the constraints, and the other targets within the tolerance."""
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
    return _signs(targets) * properties.values([item.name for item in objectives])


def _signs(targets: Targets) -> NDArray[np.float64]:
    """One of every objective that is to be large, minus one of the others, shape (M,)."""
    return np.array([1.0 if item.goal == "max" else -1.0 for item in targets.objectives])


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Whether no other point is at least as good in all objectives and better in one, shape (N,).

    Args:
        points: The larger, the better, shape (N, M); rows with NaN are never on the front.
    """
    values = np.asarray(points, dtype=np.float64)
    is_complete: NDArray[np.bool_] = ~np.any(np.isnan(values), axis=1)
    front = is_complete.copy()
    order = np.lexsort(values.T[::-1])[::-1]
    front_values = np.empty((0, values.shape[1]))
    for row in order:  # whatever dominates a point comes before it in this order
        if not is_complete[row]:
            continue
        beaten = (front_values >= values[row]).all(axis=1) & (front_values > values[row]).any(axis=1)
        if beaten.any():
            front[row] = False
        else:
            front_values = np.vstack([front_values, values[row]])
    return front


def ranks(points: ArrayLike) -> NDArray[np.int64]:
    """Number of the front of each point, 0 for the best, shape (N,): fronts are taken away one by one
    (Deb et al. 2002, doi:10.1109/4235.996017); -1 for rows with NaN.
    """
    values = np.asarray(points, dtype=np.float64)
    result = np.full(len(values), -1)
    remaining = np.flatnonzero(~np.isnan(values).any(axis=1))
    number = 0
    while len(remaining):
        front = non_dominated(values[remaining])
        result[remaining[front]] = number
        remaining, number = remaining[~front], number + 1
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


def shares_of_box(*fronts: ArrayLike) -> list[float]:
    """Share of one box that each of several fronts dominates [-], so that they can be compared.

    The box reaches from a tenth of the range of all fronts below their worst values to their best ones.

    Args:
        fronts: The larger, the better, shape (F, M) each; an empty one has the share 0.
    """
    sets = [np.asarray(front, dtype=np.float64) for front in fronts]
    nonempty = [values for values in sets if len(values)]
    if not nonempty:
        return [0.0 for _ in sets]
    every = np.concatenate(nonempty)
    best, span = every.max(axis=0), np.ptp(every, axis=0)
    span = np.where(span > 0.0, span, np.maximum(np.abs(best), 1e-12))
    reference = every.min(axis=0) - _MARGIN * span
    box = float(np.prod(best - reference))
    return [hypervolume(values, reference) / box if len(values) else 0.0 for values in sets]


def along_directions(points: ArrayLike, count: int, *, generator: np.random.Generator) -> NDArray[np.intp]:
    """Points that reach farthest along many directions of trade between the objectives: near the front, and
    spread along it (achievement by Wierzbicki 1980, doi:10.1007/978-3-642-48782-8_32).

    Args:
        points: The larger, the better, shape (N, M); rows with NaN are left out.
        count: Number of points.
        generator: Source of the directions.

    Returns:
        Rows, the best of each direction first, at most `count`.
    """
    values = np.asarray(points, dtype=np.float64)
    complete = np.flatnonzero(~np.isnan(values).any(axis=1))
    if len(complete) <= count:
        return complete
    low, high = np.quantile(values[complete], [0.02, 1.0], axis=0)
    unit = (values[complete] - low) / np.where(high > low, high - low, 1.0)
    weights = generator.dirichlet(np.ones(values.shape[1]), _DIRECTIONS) + 0.02
    # a corner of the simplex asks for one objective alone: there the others break ties
    reach = (unit[:, None] / weights).min(axis=2) + 0.02 * unit.sum(axis=1, keepdims=True)
    depth = min(len(complete), 1 + 4 * count // _DIRECTIONS)
    best = np.argpartition(-reach, depth - 1, axis=0)[:depth]
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(reach, best, 0), axis=0), 0)
    order = best.ravel()  # the best of every direction, then the second ones
    _, first = np.unique(order, return_index=True)
    chosen = order[np.sort(first)][:count]
    if len(chosen) < count:  # few points are best along all directions: the nearest of the rest
        others = np.setdiff1d(np.argsort(-reach.max(axis=1), kind="stable"), chosen, assume_unique=True)
        chosen = np.concatenate([chosen, others[: count - len(chosen)]])
    return complete[chosen]


def covering(points: ArrayLike, count: int, *, generator: np.random.Generator) -> NDArray[np.intp]:
    """Non-dominated points that together dominate most of their box, each chosen for what it adds to those
    before it; its ends are among the first.

    Args:
        points: The larger, the better, shape (N, M); rows with NaN are left out.
        count: Most points.
        generator: Source of the places at which the box is compared.
    """
    values = np.asarray(points, dtype=np.float64)
    front = np.flatnonzero(non_dominated(values))
    if len(front) <= count:
        return front
    low, span = values[front].min(axis=0), np.ptp(values[front], axis=0)
    unit = (values[front] - low) / np.where(span > 0.0, span, 1.0)
    places = generator.uniform(-_MARGIN, 1.0, (_SAMPLES, values.shape[1]))
    dominated = (unit[:, None] >= places).all(axis=2)
    ends = list(dict.fromkeys(unit.argmax(axis=0).tolist()))[:count]
    chosen, uncovered = ends, ~dominated[ends].any(axis=0)
    while len(chosen) < count:
        gain = (dominated & uncovered).sum(axis=1)
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        uncovered &= ~dominated[best]
    return front[np.array(chosen, dtype=np.intp)]


def reaching(points: ArrayLike, count: int, *, generator: np.random.Generator) -> NDArray[np.intp]:
    """Points of the front itself, half of them at most, and those that reach farthest along many directions.

    Args:
        points: The larger, the better, shape (N, M); rows with NaN are left out.
        count: Most points.
        generator: Source of the directions.
    """
    front = covering(points, (count + 1) // 2, generator=generator)
    others = along_directions(points, count, generator=generator)
    return np.concatenate([front, others[~np.isin(others, front)]])[:count]


def pareto_front(
    targets: Targets,
    volumes: NDArray[np.uint8],
    properties: CellProperties,
    *,
    constraints: Constraints | None = None,
    tolerance: float = TOLERANCE,
) -> ParetoFront:
    """Front among given cells that meet the constraints, and the other targets within a tolerance.

    Args:
        targets: Two or three objectives, and what else is wanted.
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
        properties: Properties of these N cells.
        constraints: What every cell of the front has to meet.
        tolerance: Largest deviation of the other targets [-].

    Raises:
        InputError: There are not two or three objectives, or no cell is feasible.
    """
    values = objective_values(targets, properties)
    near = np.nan_to_num(targets.largest_deviation(properties), nan=np.inf) <= tolerance
    meets = np.array(
        [constraints is None or satisfied(volume, constraints) for volume in volumes], dtype=bool
    )
    rows = np.flatnonzero(near & meets & carries(targets, properties) & ~np.isnan(values).any(axis=1))
    if len(rows) == 0:
        nearest = float(np.nanmin(targets.largest_deviation(properties)))
        raise InputError(
            f"no candidate of {len(volumes)} meets the constraints and is within {100 * tolerance:g} % of "
            f"the targets: {int(meets.sum())} meet the constraints, the nearest is {100 * nearest:.3g} % off"
        )
    reference = values[rows].min(axis=0)
    front = rows[non_dominated(values[rows])]
    front = front[np.argsort(-values[front, 0], kind="stable")]
    cells = properties.rows(front)
    return ParetoFront(
        rows=front,
        volumes=volumes[front],
        properties=cells,
        values=cells.values([item.name for item in targets.objectives]),
        feasible=len(rows),
        hypervolume=hypervolume(values[front], reference),
        reference=_signs(targets) * reference,
    )
