"""Designs: candidates for a target with what is known of them, and their file.

Letters: N designs, D latent size, K components, T properties, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.constraints import Constraints, check
from vaereg.inverse.idle import Idle, carries, idle_of
from vaereg.inverse.refining.search import Drawn
from vaereg.inverse.sampling.judging import Judge, Judged
from vaereg.io.designs import write_designs
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import CellProperties, Target, Targets

__all__ = [
    "COLUMNS",
    "Designs",
    "chosen",
    "constraints_met",
    "idle_designs",
    "joined",
    "judged_columns",
    "replaced",
    "save_designs",
    "with_volumes",
    "without_idle",
]

COLUMNS = (
    "microstructures",
    "component",
    "latent",
    "realisation",
    "cut_fraction",
    "fraction",
    "mean",
    "std",
    "stiffness",
    "conductivity",
    "mean_distance",
    "largest_deviation",
    "score",
    "raw_deviation",
    "met",
)
"""Fields of `Designs` with an entry for each design."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Designs:
    """Candidates for a target, ordered by component, then from the best by prediction."""

    microstructures: NDArray[np.uint8]
    """Phases 0 and 1, shape (N, X, Y, Z)."""
    component: NDArray[np.int64]
    """Mixture component of each design, shape (N,)."""
    latent: NDArray[np.float32]
    """Latent vector that each design was decoded from, shape (N, D)."""
    realisation: NDArray[np.int64]
    """Seed of the noise, or of the positions, that each design was decoded with, shape (N,)."""
    cut_fraction: NDArray[np.float64]
    """Volume fraction at which each field was cut, before constraints were met, shape (N,) [-]."""
    fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (N,) [-]."""
    mean: NDArray[np.float64]
    """Predicted properties, shape (N, T) [GPa]."""
    std: NDArray[np.float64]
    """Their calibrated standard deviation, shape (N, T) [GPa]."""
    stiffness: NDArray[np.float64]
    """Predicted stiffness, shape (N, 6, 6) [GPa]; NaN where the regressor tells C11 ... C66 alone."""
    conductivity: NDArray[np.float64]
    """Conductivity, shape (N, 3, 3) [W/(m K)]; NaN where no target needs it."""
    mean_distance: NDArray[np.float64]
    """Mean relative deviation of the predicted from the wanted quantities, shape (N,) [-]."""
    largest_deviation: NDArray[np.float64]
    """Largest relative deviation of the predicted from the wanted quantities, shape (N,) [-]."""
    score: NDArray[np.float64]
    """What designing makes small: the largest deviation, or with objectives `scoring.score`, shape (N,)."""
    raw_deviation: NDArray[np.float64]
    """Largest deviation before corrections, shape (N,) [-]."""
    met: NDArray[np.bool_]
    """Whether each design meets each constraint, shape (N, number of constraints)."""
    weights: NDArray[np.float64]
    """Weight of every mixture component at this target, shape (K,)."""
    wanted: Targets
    """What is wanted."""
    materials: TwoPhase
    """Phases of all figures."""
    constraints: Constraints
    """What the designs have to meet besides."""
    modes: tuple[str, ...]
    """Names of the components, if they are modes; empty otherwise."""
    size: int
    """Voxels per edge."""
    stretch: float
    """Factor of all lengths, relative to those that the latent vectors stand for [-]."""
    seed: int
    """Seed of all random numbers."""
    checkpoint: str
    """Hash of the checkpoint that made the designs."""
    idle: Idle = field(default_factory=Idle)
    """Candidates that carry nothing of what is asked for, left out unless their mode was asked for."""

    @property
    def lengths(self) -> Literal["voxels", "relative"]:
        """Whether lengths are those of cells of 32 voxels, or grow with the cell, as in `design`."""
        return "voxels" if self.stretch == 1.0 else "relative"

    @property
    def targets(self) -> dict[str, Target]:
        """Wanted values and ranges by name."""
        return self.wanted.plain()

    @property
    def cells(self) -> CellProperties:
        """Predicted properties."""
        return CellProperties(
            stiffness=self.stiffness,
            fraction=self.fraction,
            materials=self.materials,
            conductivity=None if np.isnan(self.conductivity).all() else self.conductivity,
        )


def idle_designs(designs: Designs, *, kept: bool = False) -> Idle:
    """Account of the designs that carry nothing of what is asked for.

    Args:
        designs: Designs, or candidates for them.
        kept: Whether such designs are shown all the same.
    """
    return idle_of(designs.wanted, designs.cells, designs.component, designs.modes, kept=kept)


def without_idle(designs: Designs) -> Designs:
    """Designs but those that carry nothing of what is asked for, which `idle` tells then; all where none
    carries it, since refinement may join their pieces.
    """
    carrying = carries(designs.wanted, designs.cells)
    if carrying.all():
        return designs
    if not carrying.any():
        return replace(designs, idle=idle_designs(designs, kept=True))
    idle = designs.idle.joined(idle_designs(designs))
    return replace(chosen(designs, np.flatnonzero(carrying)), idle=idle)


def judged_columns(judged: Judged, targets: Targets) -> dict[str, NDArray]:
    """Columns of designs that say how they are judged."""
    cells = judged.cells
    count = len(cells)
    return {
        "fraction": cells.fraction,
        "mean": judged.mean,
        "std": judged.std,
        "stiffness": cells.stiffness,
        "conductivity": np.full((count, 3, 3), np.nan) if cells.conductivity is None else cells.conductivity,
        "mean_distance": targets.mean_deviation(cells),
        "largest_deviation": targets.largest_deviation(cells),
        "score": judged.score,
        "raw_deviation": targets.largest_deviation(cells),
    }


def with_volumes(
    checkpoint: Checkpoint,
    designs: Designs,
    volumes: NDArray[np.uint8],
    rows: Sequence[int],
    drawn: Sequence[Drawn | None] = (),
) -> Designs:
    """Some designs with other voxels, such as refined ones, and predictions for these.

    Args:
        checkpoint: Trained model that judges the voxels.
        designs: What `design` returned.
        volumes: Phases 0 and 1 in place of theirs, shape (M, X, Y, Z).
        rows: Which design each of them replaces, M of them.
        drawn: What each was decoded from, M of them, where that is not what the design was.
    """
    kept = chosen(designs, np.asarray(rows, dtype=np.intp))
    for row, other in enumerate(drawn):
        if other is not None:
            kept.latent[row], kept.realisation[row] = other.latent, other.realisation
            kept.cut_fraction[row] = other.cut_fraction
    judged = Judge(checkpoint, designs.wanted, designs.materials).final(volumes)
    met = constraints_met(volumes, designs.constraints)
    return replace(kept, microstructures=volumes, met=met, **judged_columns(judged, designs.wanted))


def constraints_met(volumes: NDArray[np.uint8], constraints: Constraints) -> NDArray[np.bool_]:
    """Whether each volume meets each constraint, shape (N, number of constraints)."""
    if not constraints:
        return np.zeros((len(volumes), 0), dtype=np.bool_)
    return np.array([[result.met for result in check(volume, constraints).results] for volume in volumes])


def save_designs(
    path: Path,
    designs: Designs,
    *,
    materials: TwoPhase | None = None,
    stiffness: NDArray[np.float64] | None = None,
    conductivity: NDArray[np.float64] | None = None,
    solver_tolerance: float | None = None,
    solver_dtype: str = "",
    solves: NDArray[np.int64] | None = None,
    front: Mapping[str, Any] | None = None,
    recipes: Sequence[Mapping[str, Any]] = (),
    spread: Mapping[str, NDArray[np.float64]] | None = None,
) -> None:
    """Write designs as `designs.h5`.

    Args:
        path: File to create or replace.
        designs: What `design` returned.
        materials: The two phases of all figures; those of the designs if left out.
        stiffness: The solver's, shape (N, 6, 6) [GPa].
        conductivity: The solver's, shape (N, 3, 3) [W/(m K)].
        solver_tolerance: Relative residual at which the solver stopped [-].
        solver_dtype: Floating point type of the solver.
        solves: Solves that each design took, shape (N,).
        front: What is known of the Pareto front that the designs are, see `fronts.DesignFront.to_json`.
        recipes: What each design was made of, see `vaereg.inverse.recipes`.
        spread: Columns of `robustness.DesignSpread.columns`.
    """
    write_designs(
        path,
        microstructures=designs.microstructures,
        component=designs.component,
        latent=designs.latent,
        predicted=designs.mean,
        target=designs.wanted,
        quantities=dict(zip(designs.wanted.names, designs.cells.values(designs.wanted.names).T, strict=True)),
        modes=designs.modes,
        weights=designs.weights,
        constraints=designs.constraints.to_json(),
        met=designs.met if designs.constraints else None,
        seed=designs.seed,
        made_by=designs.checkpoint,
        judged_by=designs.checkpoint,
        materials=designs.materials if materials is None else materials,
        stiffness=stiffness,
        conductivity=conductivity,
        solver_tolerance=None if solver_tolerance is None else np.full(len(designs.mean), solver_tolerance),
        solver_dtype=[solver_dtype] * len(designs.mean) if solver_dtype else None,
        solves=solves,
        front=front,
        recipes=recipes,
        spread=spread,
        lengths=designs.lengths,
    )


def joined(first: Designs, second: Designs) -> Designs:
    """Both sets of realisations."""
    return replace(
        first, **{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in COLUMNS}
    )


def replaced(designs: Designs, rows: NDArray[np.intp], others: Designs) -> Designs:
    """Designs with others in place of some rows."""
    columns = {name: getattr(designs, name).copy() for name in COLUMNS}
    for name, column in columns.items():
        column[rows] = getattr(others, name)
    return replace(designs, **columns)


def chosen(designs: Designs, rows: NDArray[np.intp]) -> Designs:
    """Some of the designs, in a given order."""
    return replace(designs, **{name: getattr(designs, name)[rows] for name in COLUMNS})
