"""Physics in the loop: bring a two-phase volume onto its target with the solver, in a few solves.

Each solve says what the volume has. Between two solves, corrections by prediction (`guidance`) bring the
volume to where the next solve should find the target; where that stops to help, the sensitivities of the
solve itself say which voxels at the interface to flip (`flips`). Where that brings it hardly nearer, the
search begins anew from a volume much like the best one (`restarts`), or from another one of its mode
(`redrawing`). The last solve, in float64, verifies the best volume. Objectives are pushed once all else is
within the tolerance. A search is plain data.

Letters: P targeted quantities, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.executors import Workers, check_workers, map_tasks
from vaereg.inverse.constraints import Constraints, meet, satisfied
from vaereg.inverse.idle import carries
from vaereg.inverse.refining.aims import beyond_bounds, objective_gain
from vaereg.inverse.refining.flips import learn_ratios
from vaereg.inverse.refining.guidance import corrected_by_prediction, trusts_predictions
from vaereg.inverse.refining.redrawing import gone_on_elsewhere
from vaereg.inverse.refining.search import FIRST_TRUST, LEAST_GAIN, Best, Origin, Refinement, Search, Step
from vaereg.inverse.refining.stepping import based_on, flipped
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import statistics_distance
from vaereg.microstructure.volume import as_two_phase
from vaereg.solver.conduction import ConductionResult, conduct
from vaereg.solver.homogenization import HomogenizationResult, homogenize
from vaereg.solver.problem import tolerance_for
from vaereg.targets import CellProperties, Target, Targets

__all__ = [
    "MAX_SOLVES",
    "TOLERANCE",
    "VERIFICATION_RTOL",
    "Best",
    "Origin",
    "Refinement",
    "Search",
    "Step",
    "advance",
    "begin",
    "refine",
    "refine_all",
]

TOLERANCE = 0.01
"""Relative distance from the target at which a property counts as reached [-]."""
MAX_SOLVES = 20
"""Solves after which a search gives up."""
VERIFICATION_RTOL = 1e-6
"""Relative residual of the last solve, in float64 [-]."""

_RTOL = 1e-3
"""Relative residual of the solves of the search, in float32, or less for a high contrast: their error is some
1e-6."""
_INSIDE = 0.999
"""Share of the tolerance that the search allows itself, for that error [-]."""
_PATIENCE, _LEAST_PROGRESS = 7, 0.05
"""Solves in which the deviation of the best volume has to fall by this share, or the search ends [-]: of 78
searches for hard targets, all 39 that reached theirs went on, 21 others ended after two thirds of the
solves."""
_SLOW_AFTER, _SLOW_PROGRESS = 4, 0.3
"""Solves in which it has to fall by this share, or the search looks for another volume to go on from [-]."""
_SMALLER = 0.5
"""Share of the gain that is tried after a step that failed [-]."""


def refine(
    start: ArrayLike,
    targets: Targets | Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    tolerance: float = TOLERANCE,
    max_solves: int = MAX_SOLVES,
    constraints: Constraints | None = None,
    solve_first: bool = False,
    origin: Origin | None = None,
    on_solve: Callable[[Step], None] | None = None,
) -> Refinement:
    """Change a volume at its interface until the solver finds every targeted quantity within the tolerance.

    Args:
        start: Two-phase volume of both phases, such as a direct design, shape (X, Y, Z).
        targets: What is wanted: `Targets`, or a value or (low, high) range by name; what is left out is free.
        materials: The two phases; the reference pair if left out.
        tolerance: Relative distance of each quantity from its value or range that counts as reached [-].
        max_solves: Largest number of solves; after these the best volume is returned as it is.
        constraints: What the volume has to meet; it is changed before the first solve if it does not.
        solve_first: Solve the volume as it is before it is changed; otherwise corrections by prediction come
            first, where the prediction is outside the tolerance.
        origin: Component that the volume was drawn from: a search that stalls may go on from another volume
            of it. `redrawing.origins_of` tells those of designs.
        on_solve: Called after every solve; what it raises ends the search.

    Returns:
        The volume with its verified stiffness; `converged` says whether it is there.

    Raises:
        InputError: The volume has a single phase, or an argument is out of range.
        ConvergenceError: The solver failed.
    """
    search = begin(
        start,
        targets,
        materials,
        tolerance=tolerance,
        max_solves=max_solves,
        constraints=constraints,
        solve_first=solve_first,
        origin=origin,
    )
    while search.result is None:
        search = advance(search)
        if on_solve:
            on_solve(search.history[-1])
    return search.result


def begin(
    start: ArrayLike,
    targets: Targets | Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    tolerance: float = TOLERANCE,
    max_solves: int = MAX_SOLVES,
    constraints: Constraints | None = None,
    solve_first: bool = False,
    origin: Origin | None = None,
) -> Search:
    """A search before its first solve; arguments and errors as in `refine`."""
    binary = as_two_phase(start)
    if binary.min() == binary.max():
        raise InputError("expected a volume of both phases, got a single one")
    if not 0.0 < tolerance < np.inf:
        raise InputError(f"tolerance must be positive, got {tolerance}")
    if max_solves < 1:
        raise InputError(f"max_solves must be at least 1, got {max_solves}")
    aims, pair = Targets.of(targets), materials or TwoPhase()
    aims.check_materials(pair)
    limits = constraints or Constraints()
    volume = meet(binary, limits) if limits else binary
    return Search(
        start=binary,
        targets=aims,
        materials=pair,
        tolerance=tolerance,
        max_solves=max_solves,
        volume=volume,
        history=(),
        best=Best(volume=volume),
        constraints=limits,
        by_prediction=aims.needs_stiffness and not aims.objectives,
        solve_first=solve_first,
        verify=max_solves == 1,
        origin=origin,
    )


def advance(search: Search) -> Search:
    """One solve, and what follows from it: the next volume to solve, or the result.

    Raises:
        ConvergenceError: The solver failed.
    """
    if search.result is not None:
        return search
    if not (search.history or search.verify or search.solve_first) and search.by_prediction:
        search = replace(search, volume=corrected_by_prediction(search, search.volume))
    before = (search.base or search.best).volume if search.history else search.start
    solved, heat, cell = _solve(search)
    quantities = cell.values(search.targets.names)[0]
    deviation = float(np.nan_to_num(search.targets.largest_deviation(cell), nan=np.inf)[0])
    if not carries(search.targets, cell)[0]:
        deviation = np.inf
    step = Step(
        solves=len(search.history) + 1,
        largest_distance=deviation,
        properties=diagonal_properties(solved.stiffness),
        quantities=quantities,
        flipped=0 if search.verify else int((search.volume != before).sum()),
        iterations=solved.iterations,
    )
    search = replace(search, history=(*search.history, step), displacement=solved.displacement)
    if search.verify:
        return replace(search, result=_result(search, cell))
    unit = search.targets.scales(cell)[0]
    if search.flips is not None and search.base is not None and search.ratios is not None:
        change = np.nan_to_num(quantities - search.base.cell.values(search.targets.names)[0])
        search = replace(search, ratios=learn_ratios(search.ratios, search.flips, change, unit))
    reached = deviation <= search.tolerance * _INSIDE
    beyond = beyond_bounds(search.targets, cell)
    if _is_better(search, deviation, beyond, quantities, unit):
        best = Best(
            volume=search.volume,
            largest_distance=deviation,
            beyond=beyond,
            quantities=quantities,
            shaken=search.shaken,
            drawn=search.drawn,
        )
        search = replace(search, best=best)
    elif search.targets.objectives and search.best.largest_distance <= search.tolerance * _INSIDE:
        search = replace(search, gain=_SMALLER * search.gain)
    is_finished = reached and not search.targets.objectives
    goes_on = (
        (search.gain >= LEAST_GAIN or search.is_restoring)
        and step.solves < search.max_solves - 1
        and not is_finished
    )
    if goes_on and _is_stalled(search, _SLOW_AFTER, _SLOW_PROGRESS):
        search, is_elsewhere = gone_on_elsewhere(search, last=False)
        if is_elsewhere:
            return search
    if goes_on and not _is_stalled(search, _PATIENCE, _LEAST_PROGRESS):
        search = replace(search, by_prediction=trusts_predictions(search, cell))
        if search.by_prediction:
            based = based_on(search, solved, heat, cell, back=False)
            volume = corrected_by_prediction(based, search.volume, cell)
            if not np.array_equal(volume, search.volume):
                return replace(based, volume=volume, flips=None)
        for back in (True, False):
            following = flipped(based_on(search, solved, heat, cell, back=back))
            if following is not None:
                return following
        if search.avoided or search.trust < FIRST_TRUST:  # by what was learned since, all of it once more
            again = replace(based_on(search, solved, heat, cell, back=False), avoided=(), trust=FIRST_TRUST)
            following = flipped(again)
            if following is not None:
                return following
    if goes_on:
        search, is_elsewhere = gone_on_elsewhere(search, last=True)
        if is_elsewhere:
            return search
    return replace(search, volume=search.best.volume, flips=None, verify=True)


def _solve(search: Search) -> tuple[HomogenizationResult, ConductionResult | None, CellProperties]:
    """Solve the next volume for what the targets need."""
    single = min(_RTOL, tolerance_for(search.materials))
    rtol, dtype = (VERIFICATION_RTOL, np.float64) if search.verify else (single, np.float32)
    solved = homogenize(
        search.volume,
        search.materials,
        rtol=rtol,
        dtype=dtype,
        sensitivities=not search.verify,
        keep_displacement=not search.verify,
        initial=search.displacement,
    )
    heat = None
    if search.targets.needs_conductivity:
        heat = conduct(
            search.volume, search.materials, rtol=rtol, dtype=dtype, sensitivities=not search.verify
        )
    cell = CellProperties(
        stiffness=solved.stiffness[None],
        fraction=np.array([search.volume.mean(dtype=np.float64)]),
        materials=search.materials,
        conductivity=None if heat is None else heat.conductivity[None],
    )
    return solved, heat, cell


def _is_stalled(search: Search, patience: int, least: float) -> bool:
    """Whether the best volume came nearer by less than a share in the last solves, those of the volume that
    the search began from; never once objectives are pushed.
    """
    deviations = [step.largest_distance for step in search.history[search.begun :]]
    before = min(deviations[:-patience], default=np.inf)
    if before <= search.tolerance:
        return False
    return min(deviations) > (1.0 - least) * before


def _is_better(
    search: Search,
    deviation: float,
    beyond: float,
    quantities: NDArray[np.float64],
    unit: NDArray[np.float64],
) -> bool:
    """Whether a volume is better than the best so far: nearer, or with objectives, if both are near, less
    beyond the bounds, or as far with more of the objectives.
    """
    best, near = search.best, search.tolerance * _INSIDE
    if best.quantities is None or not search.targets.objectives:
        return deviation < best.largest_distance
    if deviation <= near and best.largest_distance <= near:
        if beyond != best.beyond:
            return beyond < best.beyond
        return objective_gain(search.targets, quantities, best.quantities, unit) > 0.0
    return deviation < best.largest_distance


def refine_all(
    starts: ArrayLike,
    targets: Targets | Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    order: Sequence[int] | None = None,
    tolerance: float = TOLERANCE,
    max_solves: int = MAX_SOLVES,
    constraints: Constraints | None = None,
    origins: Sequence[Origin | None] = (),
    workers: Workers = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Refinement]:
    """Refine several volumes for one target, in several processes.

    Args:
        starts: Two-phase volumes, shape (N, X, Y, Z).
        targets: As in `refine`, and so are `materials`, `tolerance`, `max_solves` and `constraints`.
        order: In which order they are taken, such as that of promise; as they come if left out.
        origins: What each was drawn from, N of them, see `refine`.
        workers: Number of processes of one thread each, or an executor; where that is lost, two processes go
            on.
        on_progress: Called with the number of volumes that are done, and of all.

    Returns:
        One result per volume, in the order of `starts`.

    Raises:
        InputError: A volume has a single phase, or an argument is out of range.
        ConvergenceError: The solver failed.
    """
    check_workers(workers)
    volumes = list(np.asarray(starts))
    sequence = list(range(len(volumes)) if order is None else order)
    if sorted(sequence) != list(range(len(volumes))):
        raise InputError(f"expected an order of all {len(volumes)} volumes, got {sequence}")
    if len(origins) not in (0, len(volumes)):
        raise InputError(f"expected origins of all {len(volumes)} volumes, got {len(origins)}")
    searches = [
        begin(
            volumes[i],
            targets,
            materials,
            tolerance=tolerance,
            max_solves=max_solves,
            constraints=constraints,
            origin=origins[i] if origins else None,
        )
        for i in sequence
    ]
    results: dict[int, Refinement] = {}
    report = on_progress or (lambda done, total: None)
    report(0, len(sequence))
    for index, result in zip(sequence, map_tasks(_finish, searches, workers, stand_in=2), strict=True):
        results[index] = result
        report(len(results), len(sequence))
    return [results[index] for index in range(len(volumes))]


def _finish(search: Search) -> Refinement:
    while search.result is None:
        search = advance(search)
    return search.result


def _result(search: Search, cell: CellProperties) -> Refinement:
    largest_distance = search.history[-1].largest_distance
    met = not search.constraints or satisfied(search.volume, search.constraints)
    return Refinement(
        volume=search.volume,
        stiffness=cell.stiffness[0],
        properties=cell,
        largest_distance=largest_distance,
        converged=(converged := largest_distance <= search.tolerance and met),
        stalled=not converged and len(search.history) < search.max_solves,
        solves=len(search.history),
        history=search.history,
        changed=float((search.volume != search.start).mean()),
        moved=statistics_distance(search.start, search.volume),
        shaken=search.best.shaken,
        drawn=search.best.drawn,
    )
