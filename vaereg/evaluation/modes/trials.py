"""Designs of the modes for the properties of unseen volumes, raw and corrected, each solved.

Letters: N designs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.executors import Workers, map_tasks
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.refining.corrections import STEPS, correct
from vaereg.io.labelled_sets import LabelledSet
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.targets import CellProperties, Targets
from vaereg.training.labelling.morphologies import label_tolerance, pair_of

__all__ = ["KINDS", "NEAR", "ModeTrial", "mode_trials"]

KINDS = ("isotropic", "any", "pairs")
"""Kinds of targets: nearly isotropic ones and any with the reference pair, any with a pair of its own."""
NEAR = 0.05
"""Largest deviation by the solver up to which a mode reaches a target [-]."""
_ISOTROPIC = 1.12
"""Largest over smallest of C11, C22, C33 of nearly isotropic volumes [-]."""
_CARRIES = 1e-3
"""Least of C11, C22, C33 over E of the stiff phase of volumes that a relative error is of [-]."""
_AXIAL = PROPERTIES[:3]
_MAX_ITER = 2000
"""Upper limit of the solver's iterations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeTrial:
    """Designs for the properties of one unseen volume, raw and corrected, solved."""

    row: int
    """Volume of the data set whose properties are asked for."""
    targets: Targets
    """Targets of the designs."""
    designs: Designs
    """Raw designs."""
    corrected: NDArray[np.uint8]
    """Volumes after corrections, shape (N, n, n, n)."""
    predicted: NDArray[np.float64]
    """Their largest deviation by prediction, shape (N,) [-]."""
    solved: NDArray[np.float64]
    """Stiffness of raw and corrected designs by the solver, shape (2, N, 6, 6) [GPa]."""

    def deviations(self, corrected: bool) -> NDArray[np.float64]:
        """Deviation of each property of each design by the solver, shape (N, 3) [-]."""
        volumes = self.corrected if corrected else self.designs.microstructures
        return self.targets.deviations(
            CellProperties(
                stiffness=self.solved[int(corrected)],
                fraction=volumes.mean((1, 2, 3), dtype=np.float64),
                materials=self.designs.materials,
            )
        )

    def near(self, corrected: bool) -> NDArray[np.int64]:
        """Modes that have a design within `NEAR` of the target."""
        within = self.deviations(corrected).max(1) <= NEAR
        return np.unique(self.designs.component[within])

    def best(self, corrected: bool) -> int:
        """Best design by prediction."""
        return int(np.argmin(self.predicted if corrected else self.designs.largest_deviation))


def mode_trials(
    checkpoint: Checkpoint,
    dataset: LabelledSet,
    rows: NDArray[np.intp],
    *,
    targets: int,
    count: int,
    size: int,
    corrections: int = STEPS,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, list[ModeTrial]], dict[str, int]]:
    """Designs for the properties of unseen volumes, and the number of refused targets, by `KINDS`.

    Args:
        checkpoint: Trained model with modes.
        dataset: Labelled volumes.
        rows: Volumes to choose from.
        targets, count, size, corrections, workers, on_progress: As in `mode_figures`.
    """
    targets_of = {kind: _targets_of(dataset, rows, kind, targets) for kind in KINDS}
    trials: dict[str, list[ModeTrial]] = {kind: [] for kind in KINDS}
    refused: dict[str, int] = dict.fromkeys(KINDS, 0)
    total, count_done = sum(map(len, targets_of.values())), 0
    for kind in KINDS:
        for row in targets_of[kind]:
            if on_progress:
                on_progress(count_done, total)
            try:
                trials[kind].append(
                    _trial(checkpoint, dataset, int(row), kind, count, size, corrections, workers)
                )
            except UnreachableTargetError:
                refused[kind] += 1
            count_done += 1
    if on_progress:
        on_progress(count_done, total)
    return trials, refused


def _trial(
    checkpoint: Checkpoint,
    dataset: LabelledSet,
    row: int,
    kind: str,
    count: int,
    size: int,
    corrections: int,
    workers: Workers,
) -> ModeTrial:
    pair = pair_of(dataset.samples.phases[row, 1]) if kind == "pairs" else checkpoint.model.materials
    stiffness = dataset.samples.stiffness[row, int(kind == "pairs")].astype(np.float64)
    values = diagonal_properties(stiffness[None])[0]
    target = Targets.of({name: float(values[PROPERTIES.index(name)]) for name in _AXIAL})
    designs = design(checkpoint, target, count, size, materials=pair, seed=row)
    result = correct(designs.microstructures, target, pair, steps=corrections)
    volumes = [*designs.microstructures, *result.volumes]
    solved_stiffness = list(map_tasks(_solve, [(volume, pair) for volume in volumes], workers))
    return ModeTrial(
        row=row,
        targets=target,
        designs=designs,
        corrected=result.volumes,
        predicted=result.largest_deviation[:, -1],
        solved=np.array(solved_stiffness).reshape(2, len(designs.component), 6, 6),
    )


def _solve(job: tuple[NDArray[np.uint8], TwoPhase]) -> NDArray[np.float64]:
    volume, pair = job
    rtol = label_tolerance(pair.ordered().contrast)
    return homogenize(
        volume, pair, rtol=rtol, dtype=np.float32, max_iter=_MAX_ITER, raise_on_failure=False
    ).stiffness


def _targets_of(dataset: LabelledSet, rows: NDArray[np.intp], kind: str, count: int) -> NDArray[np.intp]:
    """Volumes whose properties are asked for; those of each kind are taken from another place of `rows`."""
    place = int(kind == "pairs")
    if dataset.samples.stiffness.shape[1] <= place:
        return rows[:0]
    rows = np.roll(rows, -KINDS.index(kind) * (len(rows) // len(KINDS)))
    stiffness = dataset.samples.stiffness[rows, place].astype(np.float64)
    axial = diagonal_properties(np.nan_to_num(stiffness))[:, :3]
    unit = np.nan_to_num(dataset.samples.phases[rows, place, 0], nan=np.inf)
    is_allowed = axial.min(1) > _CARRIES * unit
    if kind == "isotropic":
        is_allowed &= axial.max(1) <= _ISOTROPIC * axial.min(1)
    return rows[is_allowed][:count]
