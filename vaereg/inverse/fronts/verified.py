"""Pareto fronts of designs: two or three objectives under targets and constraints, verified by the solver.

The training volumes of the modes say where a front is to be looked for. Near those that reach farthest along
many directions of trade between the objectives, latent vectors are drawn from the prior of their mode, and
the latent regressor, moved to the phases, says which promise most. These candidates are decoded; the encoder
says which ones the regressor for any pair of phases is to judge and correct; the solver verifies those near
the front. The front of the training volumes themselves is told beside it.

    front = design_front(checkpoint, parse("nu_xy=:0.3", maximize=["E_x"], minimize=["density"]))
    front.values, front.hypervolume, front.known_hypervolume

Letters: N candidates, F designs on the front, M objectives, D latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.executors import Workers, map_tasks
from vaereg.generators.morphologies import REFERENCE_EDGE
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.designs import Designs, constraints_met, judged_columns, save_designs
from vaereg.inverse.fronts.candidates import (
    TRUSTED,
    cells_of_modes,
    decoded,
    drawn_near,
    known_front,
    moved_onto,
    near_values,
    with_ends,
)
from vaereg.inverse.fronts.pareto import (
    TOLERANCE,
    covering,
    objective_values,
    pareto_front,
    ranks,
    reaching,
    shares_of_box,
)
from vaereg.inverse.idle import Idle, carries
from vaereg.inverse.refining.corrections import correct
from vaereg.inverse.refining.refinement import VERIFICATION_RTOL
from vaereg.inverse.sampling.judging import Judge
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.targets import CellProperties, Targets, check_possible
from vaereg.workers import limit_thread_to_one_thread, pool_threads

__all__ = ["CANDIDATES", "DesignFront", "design_front", "save_front"]

CANDIDATES = 500
"""Candidates that are decoded unless another number is asked for."""
VERIFIED = 64
"""Most designs that the solver verifies."""
_JUDGED = 0.35
"""Share of the candidates that the regressor for any pair of phases judges and corrects [-]."""
_MAX_CANDIDATES = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignFront:
    """Designs of which no other one is better in all objectives, verified by the solver."""

    designs: Designs
    """The F designs with what was predicted of them, ordered by the first objective, best first."""
    properties: CellProperties
    """Their properties by the solver."""
    values: NDArray[np.float64]
    """Their objectives by the solver, each in its unit, shape (F, M)."""
    known_values: NDArray[np.float64]
    """Objectives of the training volumes' own front, those that meet the other targets, shape (K, M): solved
    with the reference pair, moved to other phases by the surrogate of the modes; constraints are not looked
    at.
    """
    hypervolume: float
    """Share that the designs dominate of the box around both fronts [-], see `pareto.shares_of_box`."""
    known_hypervolume: float
    """Share that the training volumes dominate of the same box [-]."""
    candidates: int
    """Cells that were decoded."""
    judged: int
    """Those that the regressor for any pair of phases judged."""
    verified: int
    """Those that were solved."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for a file."""
        names = [item.name for item in self.designs.wanted.objectives]
        return {
            "objectives": {item.name: item.goal for item in self.designs.wanted.objectives},
            "hypervolume": self.hypervolume,
            "training_hypervolume": self.known_hypervolume,
            "training_front": {
                name: column.tolist() for name, column in zip(names, self.known_values.T, strict=True)
            },
            "candidates": self.candidates,
            "judged": self.judged,
            "verified": self.verified,
        }


def design_front(
    checkpoint: Checkpoint,
    targets: Targets,
    candidates: int = CANDIDATES,
    size: int = 32,
    *,
    materials: TwoPhase | None = None,
    lengths: Literal["voxels", "relative"] = "voxels",
    seed: int = 0,
    component: int | Sequence[int] | None = None,
    corrections: int = 1,
    constraints: Constraints | None = None,
    tolerance: float = TOLERANCE,
    workers: Workers | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> DesignFront:
    """Designs on the Pareto front of two or three objectives, under targets and constraints.

    Args:
        checkpoint: Trained model with modes.
        targets: Two or three objectives, and what else is wanted.
        candidates: Number N of cells that are decoded.
        size: Voxels per edge, a multiple of 8 from 16 to 128.
        materials: Phases; those of the checkpoint if left out.
        lengths: As in `vaereg.inverse.direct.design`.
        seed: The same seed, checkpoint and arguments give the same designs on one machine.
        component: Take all designs from this mode, or from these: indices.
        corrections: Steps of correction towards the other targets.
        constraints: What every design has to meet.
        tolerance: Largest deviation from the other targets [-].
        workers: Processes or executor for the solves that verify; threads of this process if left out.
        on_progress: Called with the candidates that are decoded, judged or verified, and with how many there
            will be at most.

    Raises:
        InputError: There are not two or three objectives, the checkpoint has no modes, an argument is out of
            range, or no candidate meets targets and constraints.
    """
    if not 2 <= len(targets.objectives) <= 3:
        raise InputError(
            f"expected two or three objectives for a Pareto front, got {len(targets.objectives)}"
        )
    modes = checkpoint.modes
    if modes is None:
        raise InputError("expected a checkpoint with modes for a Pareto front, got one with a free mixture")
    if not 10 <= candidates <= _MAX_CANDIDATES:
        raise InputError(f"candidates must be between 10 and {_MAX_CANDIDATES}, got {candidates}")
    if size % 8 or not 16 <= size <= 128:
        raise InputError(f"size must be a multiple of 8 from 16 to 128, got {size}")
    if constraints is not None:
        constraints.check_size(size)
    judge = Judge(checkpoint, targets, materials, constraints)
    symmetry = "none" if constraints is None else constraints.symmetry
    check_possible(targets, judge.pair, symmetry=symmetry)
    components = list(range(len(modes.names))) if component is None else np.atleast_1d(component).tolist()
    stretch = size / REFERENCE_EDGE if lengths == "relative" else 1.0
    numbers, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    every, cells = cells_of_modes(modes, components, judge.pair)
    training_front = known_front(targets, cells, tolerance)
    pool = drawn_near(judge, modes, every, cells, numbers, generator)
    _, moved_cells, values = moved_onto(targets, pool.cells)
    chosen = replace(pool, cells=moved_cells)[reaching(values, candidates, generator=numbers)]
    chosen = with_ends(targets, chosen, candidates)
    number, judged = len(chosen.component), max(1, round(_JUDGED * len(chosen.component)))
    total = number + judged * (corrections + 1) + VERIFIED

    def report(before: int, done: int) -> None:
        if on_progress:
            on_progress(before + done, total)

    seeds = torch.randint(2**62, (number,), generator=generator).numpy()
    volumes, cut_at, quick = decoded(judge, chosen, seeds, size, stretch, partial(report, 0))
    sound = np.array([0 < volume.mean() < 1 for volume in volumes]) & carries(targets, quick)
    values = near_values(targets, objective_values(targets, quick), quick, tolerance=TRUSTED)
    values[~sound] = np.nan
    best = reaching(values, judged, generator=numbers)
    corrected = correct(
        volumes[best],
        targets,
        judge.pair,
        steps=corrections if any(item.is_bounded for item in targets) else 0,
        constraints=constraints if constraints else None,
        on_progress=lambda done, _: report(number, done),
    )
    rows = _promising(targets, corrected.properties, corrected.volumes, judge.constraints, tolerance, numbers)
    solved = _verified(
        corrected.volumes[rows], targets, judge.pair, workers, partial(report, total - VERIFIED)
    )
    front = pareto_front(
        targets, corrected.volumes[rows], solved, constraints=constraints, tolerance=tolerance
    )
    report(total, 0)
    final = best[rows[front.rows]]
    properties = corrected.properties.rows(rows[front.rows])
    columns = judged_columns(
        judge.of_prediction(properties, corrected.stiffness_std[rows[front.rows]]), targets
    )
    raw = targets.largest_deviation(corrected.raw_properties.rows(rows[front.rows]))
    designs = Designs(
        microstructures=front.volumes,
        component=chosen.component[final],
        latent=chosen.latent.cpu().numpy()[final],
        realisation=seeds[final],
        cut_fraction=cut_at[final],
        met=constraints_met(front.volumes, judge.constraints),
        **{**columns, "raw_deviation": raw},
        weights=np.bincount(chosen.component, minlength=len(modes.names)) / number,
        wanted=targets,
        materials=judge.pair,
        constraints=judge.constraints,
        modes=modes.names,
        size=size,
        stretch=stretch,
        seed=seed,
        checkpoint=checkpoint.hash,
        idle=Idle(),
    )
    values_of_front = objective_values(targets, front.properties)
    hypervolume, known_hypervolume = shares_of_box(
        values_of_front, objective_values(targets, cells.rows(training_front))
    )
    return DesignFront(
        designs=designs,
        properties=front.properties,
        values=front.values,
        known_values=cells.rows(training_front).values([item.name for item in targets.objectives]),
        hypervolume=hypervolume,
        known_hypervolume=known_hypervolume,
        candidates=number,
        judged=len(best),
        verified=len(rows),
    )


def save_front(path: Path, front: DesignFront, *, recipes: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write a front as `designs.h5`, with the solver's stiffness and what is known of the front.

    Args:
        path: File to create or replace.
        front: What `design_front` returned.
        recipes: What each design was made of, see `vaereg.inverse.recipes`.
    """
    save_designs(
        path,
        front.designs,
        stiffness=front.properties.stiffness,
        conductivity=front.properties.conductivity,
        solver_tolerance=VERIFICATION_RTOL,
        solver_dtype="float64",
        solves=np.ones(len(front.values), dtype=np.int64),
        front=front.to_json(),
        recipes=recipes,
    )


def _promising(
    targets: Targets,
    properties: CellProperties,
    volumes: NDArray[np.uint8],
    constraints: Constraints,
    tolerance: float,
    numbers: np.random.Generator,
) -> NDArray[np.intp]:
    """Cells on the first fronts among those that meet all else by prediction: they are to be solved."""
    off = np.nan_to_num(targets.largest_deviation(properties), nan=np.inf)
    meets = constraints_met(volumes, constraints).all(axis=1)
    values = objective_values(targets, properties)
    carrying = carries(targets, properties)
    if not carrying.any():
        raise InputError(f"all candidates of {len(volumes)} carry nothing of {targets.words()}")
    usable = meets & carrying & np.isfinite(values).all(axis=1)
    if not usable.any():
        raise InputError(
            f"no candidate of {len(volumes)} meets the constraints {', '.join(constraints.names)}"
        )
    near = np.flatnonzero(usable & (off <= tolerance))
    if len(near) == 0:  # the nearest ones: the solver has the last word
        return np.flatnonzero(usable)[np.argsort(off[usable], kind="stable")[: VERIFIED // 4]]
    front = covering(values[near], VERIFIED, generator=numbers)
    behind = np.argsort(ranks(values[near]), kind="stable")
    return near[np.concatenate([front, behind[~np.isin(behind, front)]])[:VERIFIED]]


def _verified(
    volumes: NDArray[np.uint8],
    targets: Targets,
    pair: TwoPhase,
    workers: Workers | None,
    on_progress: Callable[[int], None],
) -> CellProperties:
    """Properties by the solver in float64."""
    solve = partial(_solved, pair=pair, thermal=targets.needs_conductivity)
    threads = ThreadPoolExecutor(pool_threads(), initializer=limit_thread_to_one_thread)
    stiffness, heat = [], []
    with threads:
        for matrix, conductivity in map_tasks(
            solve, list(volumes), threads if workers is None else workers, stand_in=2
        ):
            stiffness.append(matrix)
            heat.append(conductivity)
            on_progress(len(stiffness))
    return CellProperties(
        stiffness=np.stack(stiffness),
        fraction=volumes.mean(axis=(1, 2, 3), dtype=np.float64),
        materials=pair,
        conductivity=np.stack(heat) if targets.needs_conductivity else None,
    )


def _solved(
    volume: NDArray[np.uint8], pair: TwoPhase, thermal: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    elastic = homogenize(volume, pair, rtol=VERIFICATION_RTOL)
    heat = conduct(volume, pair, rtol=VERIFICATION_RTOL).conductivity if thermal else None
    return elastic.stiffness, heat
