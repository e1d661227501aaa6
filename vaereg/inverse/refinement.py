"""Physics in the loop: bring a two-phase volume onto its target with the solver, in a few solves.

Each solve says what the volume has and, by its sensitivities, which voxels at the interface to flip (see
`flips`). The last solve, in float64, verifies the best volume. A search is plain data: `advance`
does one solve, wherever it is called.

Letters: P targeted quantities, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.errors import InputError
from vaereg.executors import Workers, check_workers, map_tasks
from vaereg.inverse.flips import Flips, Ratios, choose_flips, effects_of_flips, first_ratios, learn_ratios
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import statistics_distance
from vaereg.microstructure.volume import as_two_phase, volume_fraction
from vaereg.solver.homogenization import HomogenizationResult, homogenize
from vaereg.targets import FRACTION, Target, check_targets, interval

__all__ = [
    "MAX_SOLVES",
    "TOLERANCE",
    "VERIFICATION_RTOL",
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
"""Relative residual of the solves of the search, in float32: their error is some 1e-6."""
_INSIDE = 0.999
"""Share of the tolerance that the search allows itself, for that error [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One solve of a search."""

    solves: int
    """Solves so far, with this one."""
    largest_distance: float
    """Largest relative distance of a targeted property from its target [-], by this solve."""
    properties: NDArray[np.float64]
    """C11, C22, ... C66 by this solve, shape (6,) [GPa]."""
    flipped: int
    """Voxels that changed since the former solve."""
    iterations: int
    """Conjugate-gradient iterations: the fewer, the better the former displacements served as a start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refinement:
    """Outcome of a search."""

    volume: NDArray[np.uint8]
    """The best volume that was found, 0 or 1, shape (X, Y, Z)."""
    stiffness: NDArray[np.float64]
    """Its stiffness by a solve in float64 at 1e-6, shape (6, 6) [GPa]."""
    largest_distance: float
    """Largest relative distance of a targeted property from its target [-], by that stiffness."""
    converged: bool
    """True if every quantity is within the tolerance."""
    solves: int
    """All solves, the last one in float64 among them."""
    history: tuple[Step, ...]
    """Every solve, in order."""
    changed: float
    """Share of voxels that differ from the volume at the start [-]."""
    moved: float
    """Distance of the two-point statistics from those at the start; see `statistics_distance` [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A refinement under way: plain data that can be sent to another process between two solves."""

    start: NDArray[np.uint8]
    """Volume at the start, shape (X, Y, Z)."""
    targets: dict[str, Target]
    """Wanted quantities: values or ranges."""
    materials: TwoPhase
    """The two phases."""
    tolerance: float
    """Relative distance that counts as reached [-]."""
    max_solves: int
    """Largest number of solves, that of the verification among them."""
    volume: NDArray[np.uint8]
    """Volume to be solved next."""
    history: tuple[Step, ...]
    """Solves so far."""
    best: tuple[float, NDArray[np.uint8]]
    """Smallest `largest_distance` so far, and its volume."""
    ratios: Ratios
    """Actual by estimated changes of the quantities."""
    flips: Flips | None = None
    """Flips that made `volume` from the volume before it."""
    former: NDArray[np.float64] | None = None
    """Quantities of the volume before, shape (P,)."""
    displacement: NDArray | None = None
    """Displacements of the last solve, where the next solve starts, shape (6, 3, X, Y, Z) [voxel]."""
    verify: bool = False
    """True if the next solve is the last: the verification of the best volume in float64."""
    result: Refinement | None = None
    """Outcome, once the search is over."""


def refine(
    start: ArrayLike,
    targets: Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    tolerance: float = TOLERANCE,
    max_solves: int = MAX_SOLVES,
    on_solve: Callable[[Step], None] | None = None,
) -> Refinement:
    """Change a volume at its interface until the solver finds every targeted quantity within the tolerance.

    Args:
        start: Two-phase volume of both phases, such as a direct design, shape (X, Y, Z).
        targets: Wanted value or (low, high) range by name: C11 ... C66 [GPa] and volume_fraction [-]; what is
            left out is free.
        materials: The two phases; the reference pair if left out.
        tolerance: Relative distance of each quantity from its value or range that counts as reached [-].
        max_solves: Largest number of solves; after these the best volume is returned as it is.
        on_solve: Called after every solve; what it raises ends the search.

    Returns:
        The volume with its verified stiffness; `converged` says whether it is there.

    Raises:
        InputError: The volume has a single phase, or an argument is out of range.
        ConvergenceError: The solver failed.
    """
    search = begin(start, targets, materials, tolerance=tolerance, max_solves=max_solves)
    while search.result is None:
        search = advance(search)
        if on_solve:
            on_solve(search.history[-1])
    return search.result


def begin(
    start: ArrayLike,
    targets: Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    tolerance: float = TOLERANCE,
    max_solves: int = MAX_SOLVES,
) -> Search:
    """A search before its first solve; arguments and errors as in `refine`."""
    volume = as_two_phase(start)
    if volume.min() == volume.max():
        raise InputError("expected a volume of both phases, got a single one")
    if not 0.0 < tolerance < np.inf:
        raise InputError(f"tolerance must be positive, got {tolerance}")
    if max_solves < 1:
        raise InputError(f"max_solves must be at least 1, got {max_solves}")
    wanted = check_targets(targets)
    return Search(
        start=volume,
        targets=wanted,
        materials=materials or TwoPhase(),
        tolerance=tolerance,
        max_solves=max_solves,
        volume=volume,
        history=(),
        best=(np.inf, volume),
        ratios=first_ratios(list(wanted)),
        verify=max_solves == 1,
    )


def advance(search: Search) -> Search:
    """One solve, and what follows from it: the next volume to solve, or the result.

    Raises:
        ConvergenceError: The solver failed.
    """
    if search.result is not None:
        return search
    rtol, dtype = (VERIFICATION_RTOL, np.float64) if search.verify else (_RTOL, np.float32)
    solved = homogenize(
        search.volume,
        search.materials,
        rtol=rtol,
        dtype=dtype,
        sensitivities=not search.verify,
        keep_displacement=not search.verify,
        initial=search.displacement,
    )
    quantities = _quantities(search, solved)
    low, high, middle = _limits(search.targets)
    step = Step(
        solves=len(search.history) + 1,
        largest_distance=float(
            (np.maximum(np.maximum(low - quantities, quantities - high), 0.0) / middle).max()
        ),
        properties=diagonal_properties(solved.stiffness),
        flipped=0 if search.flips is None else len(search.flips.voxels),
        iterations=solved.iterations,
    )
    search = replace(search, history=(*search.history, step), displacement=solved.displacement)
    if search.verify:
        return replace(search, result=_result(search, solved.stiffness))
    if step.largest_distance < search.best[0]:
        search = replace(search, best=(step.largest_distance, search.volume))
    if step.largest_distance > search.tolerance * _INSIDE and step.solves < search.max_solves - 1:
        if search.flips is not None and search.former is not None:
            search = replace(
                search,
                ratios=learn_ratios(search.ratios, search.flips, quantities - search.former, quantities),
            )
        effects = effects_of_flips(search.volume, np.asarray(solved.sensitivity), list(search.targets))
        flips = choose_flips(
            search.volume, effects, search.ratios, low - quantities, high - quantities, middle
        )
        if flips is not None:
            volume = search.volume.copy()
            volume.ravel()[flips.voxels] ^= 1
            if volume.min() < volume.max():
                return replace(search, volume=volume, flips=flips, former=quantities)
    return replace(search, volume=search.best[1], flips=None, verify=True)


def refine_all(
    starts: ArrayLike,
    targets: Mapping[str, Target],
    materials: TwoPhase | None = None,
    *,
    order: Sequence[int] | None = None,
    tolerance: float = TOLERANCE,
    max_solves: int = MAX_SOLVES,
    workers: Workers = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Refinement]:
    """Refine several volumes for one target, in several processes.

    Args:
        starts: Two-phase volumes, shape (N, X, Y, Z).
        targets: As in `refine`, and so are `materials`, `tolerance` and `max_solves`.
        order: In which order they are taken, such as that of promise; as they come if left out.
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
    taken = list(range(len(volumes)) if order is None else order)
    if sorted(taken) != list(range(len(volumes))):
        raise InputError(f"expected an order of all {len(volumes)} volumes, got {taken}")
    searches = [
        begin(volumes[i], targets, materials, tolerance=tolerance, max_solves=max_solves) for i in taken
    ]
    results: dict[int, Refinement] = {}
    report = on_progress or (lambda done, total: None)
    report(0, len(taken))
    for index, result in zip(taken, map_tasks(_finish, searches, workers, stand_in=2), strict=True):
        results[index] = result
        report(len(results), len(taken))
    return [results[index] for index in range(len(volumes))]


def _finish(search: Search) -> Refinement:
    while search.result is None:
        search = advance(search)
    return search.result


def _quantities(search: Search, solved: HomogenizationResult) -> NDArray[np.float64]:
    """The targeted quantities of the volume that was solved, shape (P,)."""
    values: dict[str, float] = {name: float(solved.stiffness[i, i]) for i, name in enumerate(PROPERTIES)}
    values[FRACTION] = volume_fraction(search.volume)
    return np.array([values[name] for name in search.targets])


def _limits(targets: Mapping[str, Target]) -> tuple[NDArray[np.float64], ...]:
    """Lower and upper ends of the targets, and their middles, which errors are relative to, shape (P,)."""
    low, high = np.array([interval(value) for value in targets.values()]).T
    return low, high, 0.5 * (low + high)


def _result(search: Search, stiffness: NDArray[np.float64]) -> Refinement:
    largest_distance = search.history[-1].largest_distance
    return Refinement(
        volume=search.volume,
        stiffness=stiffness,
        largest_distance=largest_distance,
        converged=largest_distance <= search.tolerance,
        solves=len(search.history),
        history=search.history,
        changed=float((search.volume != search.start).mean()),
        moved=statistics_distance(search.start, search.volume),
    )
