"""Figures of inverse design: designs for the properties of unseen volumes, checked by the solver.

Letters: N designs, T properties, M training volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations, product
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.executors import Workers, map_tasks
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design
from vaereg.io.datasets import Dataset
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import two_point_correlation, two_point_distances
from vaereg.microstructure.volume import volume_fraction
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.targets import target_distance

__all__ = ["KINDS", "SOLVER_TOLERANCE", "inverse_figures"]

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"inverse_one": PROPERTIES[:1], "inverse": PROPERTIES[:3], "inverse_six": PROPERTIES}
)
"""Properties that are asked for: one, three, all."""
SOLVER_TOLERANCE = 1e-3
"""Relative residual [-]; float32 at this one leaves an error of the stiffness of about 2e-6."""

_AXIAL = slice(0, 3)
_REACH = 8
"""Lags per axis by which near volumes are looked for [voxel]."""
_COPY = 0.99
"""Share of equal voxels from which two volumes count as one [-]."""


def inverse_figures(
    checkpoint: Checkpoint,
    dataset: Dataset,
    training: NDArray[np.intp],
    indices: NDArray[np.intp],
    count: int,
    *,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Errors and diversity of designs, for each of `KINDS`.

    Args:
        checkpoint: Trained model.
        dataset: Labelled volumes.
        training: Volumes that the model was trained on, and that a design could be a copy of.
        indices: Volumes whose properties are asked for.
        count: Designs per target.
        workers: Number of processes that solve, or an executor; where that is lost, two processes go on.
        on_progress: Called with the designs that are solved and their number.
    """
    properties = diagonal_properties(dataset.samples.stiffness)
    trials: dict[str, list[Designs]] = {}
    for kind, names in KINDS.items():
        trials[kind] = []
        for number, index in enumerate(indices):
            target = {name: float(properties[index, PROPERTIES.index(name)]) for name in names}
            # the target is a fact of an existing volume: reachable by construction, however rare
            designs = design(checkpoint, target, count, dataset.plan.size, seed=number, only_plausible=False)
            trials[kind].append(designs)
    volumes = [volume for group in trials.values() for designs in group for volume in designs.microstructures]
    stiffness = _solve(volumes, checkpoint.model.materials, workers, on_progress)
    figures = {}
    for kind, values in zip(KINDS, np.split(stiffness, len(KINDS)), strict=True):
        shaped = values.reshape(len(indices), count, len(PROPERTIES))
        figures[kind] = _figures(trials[kind], shaped, properties[training])
        families = dataset.samples.family[indices]
        errors = _errors(trials[kind], shaped)
        figures[kind]["median_error_by_family"] = {
            str(family): float(np.median(errors[families == family])) for family in np.unique(families)
        }
    volumes_made = np.concatenate([designs.microstructures for designs in trials["inverse"]])
    figures["inverse"]["copies"] = _copies(dataset, training, volumes_made, dataset.volumes(indices))
    return figures


def _solve(
    volumes: Sequence[NDArray[np.uint8]],
    materials: TwoPhase,
    workers: Workers,
    on_progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """Properties by the solver, shape (N, T) [GPa]."""
    results: list[NDArray[np.float64]] = []
    for values in map_tasks(partial(_properties, materials=materials), volumes, workers, stand_in=2):
        if on_progress:
            on_progress(len(results), len(volumes))
        results.append(values)
    if on_progress:
        on_progress(len(results), len(volumes))
    return np.array(results)


def _properties(volume: NDArray[np.uint8], materials: TwoPhase) -> NDArray[np.float64]:
    solution = homogenize(volume, materials, rtol=SOLVER_TOLERANCE, dtype=np.float32)
    return diagonal_properties(solution.stiffness)


def _errors(trials: Sequence[Designs], properties: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean relative distance from the target, shape (targets, designs) [-]."""
    return np.array(
        [target_distance(values, designs.targets) for values, designs in zip(properties, trials, strict=True)]
    )


def _figures(
    trials: Sequence[Designs], properties: NDArray[np.float64], training: NDArray[np.float64]
) -> dict[str, Any]:
    """Figures of designs for several targets, given the solver's properties, (targets, designs, T) [GPa]."""
    error = _errors(trials, properties)
    component = np.concatenate([designs.component for designs in trials])
    best = np.take_along_axis(
        error, np.argmin([designs.mean_distance for designs in trials], axis=1)[:, None], 1
    )
    surprise = [
        np.abs(designs.mean / values - 1.0)[:, _AXIAL]
        for designs, values in zip(trials, properties, strict=True)
    ]
    nearest = [float(target_distance(training, designs.targets).min()) for designs in trials]
    pairs = [two_point_distances(designs.microstructures, designs.component) for designs in trials]
    within, between = ([distance for pair in pairs for distance in pair[side]] for side in (0, 1))
    return {
        "targets": len(trials),
        "designs_per_target": properties.shape[1],
        "properties": list(trials[0].targets),
        "median_error": float(np.median(error)),
        "mean_error": float(error.mean()),
        "median_error_of_best_by_prediction": float(np.median(best)),
        "median_error_of_best_by_solver": float(np.median(error.min(1))),
        "median_error_by_component": {
            str(k): float(np.median(error.ravel()[component == k])) for k in np.unique(component)
        },
        "prediction_against_solver": float(np.mean(surprise)),
        "nearest_training_volume": float(np.median(nearest)),
        "components_used": len(np.unique(component)),
        "two_point_distance_within_component": float(np.mean(within)) if within else None,
        "two_point_distance_between_components": float(np.mean(between)) if between else None,
    }


def _copies(
    dataset: Dataset, training: NDArray[np.intp], designs: NDArray[np.uint8], unseen: NDArray[np.uint8]
) -> dict[str, Any]:
    """Copies of training volumes among designs: largest share of equal voxels with the nearest of them.

    The nearest is that of the nearest two-point correlation. Shifts, turns and reflections do not count as
    differences. Unseen volumes of the data are measured alike: what equals chance. Volumes that are `layered`
    are not compared: of few layers all kinds are met again.
    """
    correlations = np.concatenate(
        [
            np.stack([_invariant(volume) for volume in dataset.volumes(rows)])
            for rows in np.array_split(training, -(-len(training) // 256))
        ]
    )
    figures: dict[str, Any] = {}
    for name, volumes in (("designs", designs), ("unseen", unseen)):
        shares = []
        for volume in volumes:
            if not _is_layered(volume):
                nearest = int(training[np.square(correlations - _invariant(volume)).sum(1).argmin()])
                shares.append(_agreement(volume, dataset.volumes([nearest])[0]))
        figures[name] = {
            "median": float(np.median(shares)) if shares else None,
            "largest": max(shares, default=None),
            "copies": sum(share >= _COPY for share in shares),
            "layered": len(volumes) - len(shares),
        }
    return figures


def _is_layered(volume: NDArray[np.uint8]) -> bool:
    """True if a volume stays the same along two axes, but for as few voxels as two copies may differ by."""
    changes = [float((volume != np.roll(volume, 1, axis)).mean()) for axis in range(3)]
    return sum(change < 1.0 - _COPY for change in changes) >= 2


def _invariant(volume: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Two-point correlation at short lags, averaged over the symmetries of the cube."""
    lags = np.arange(min(_REACH, len(volume) // 2) + 1)
    folded = two_point_correlation(volume)
    for axis in range(3):
        folded = 0.5 * (folded.take(lags, axis) + folded.take(-lags, axis))
    return np.mean([folded.transpose(order) for order in permutations(range(3))], axis=0).ravel()


def _agreement(volume: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Largest share of equal voxels over all periodic shifts and symmetries of the cube."""
    spectrum = np.conj(np.asarray(fft.rfftn(volume.astype(np.float64))))
    best = 0.0
    for order in permutations(range(3)):
        for flips in product((1, -1), repeat=3):
            turned = other.transpose(order)[:: flips[0], :: flips[1], :: flips[2]].astype(np.float64)
            together = np.asarray(fft.irfftn(spectrum * np.asarray(fft.rfftn(turned)), s=volume.shape))
            best = max(best, float(together.max()) / volume.size)
    return 1.0 - volume_fraction(volume) - volume_fraction(other) + 2.0 * best
