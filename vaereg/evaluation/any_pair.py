"""Test figures for phases of the user: the prediction and its guaranteed bounds against the solver.

Letters: N volumes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from vaereg.elasticity import diagonal_properties, voigt_to_mandel
from vaereg.engineering import engineering_constants
from vaereg.errors import InputError
from vaereg.executors import Workers, map_tasks
from vaereg.io.datasets import read_dataset
from vaereg.io.labelled_sets import LABELLED_SET_VERSION, format_of, read_labelled_set
from vaereg.materials import TwoPhase
from vaereg.model.pairs.regressor import PairModel, predict_stiffness
from vaereg.solver.homogenization import homogenize
from vaereg.training.labelling.morphologies import label_tolerance

__all__ = ["evaluate_pairs", "read_volumes_of"]

_ROUNDING = 1e-5
"""Least eigenvalue of a difference of matrices, over the upper bound's norm, that rounding explains [-]."""
_CARRIES = 1e-4
"""Least eigenvalue of the stiffness, over E of the stiff phase, of cells that relative errors are of [-]."""
_MAX_ITER = 2000
"""Upper limit of the solver's iterations."""


def read_volumes_of(path: Path, split: str, count: int) -> list[NDArray[np.uint8]]:
    """The first volumes of a split of a data set of either format; fewer where it has not as many."""
    if format_of(path) == LABELLED_SET_VERSION:
        labelled = read_labelled_set(path)
        return [labelled.samples.volume(int(index)) for index in labelled.indices(split)[:count]]
    dataset = read_dataset(path)
    return list(dataset.volumes(dataset.indices(split)[:count]))


def evaluate_pairs(
    model: PairModel,
    volumes: Sequence[NDArray[np.uint8]],
    pairs: Sequence[TwoPhase],
    *,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Errors of the predicted stiffness against the solver's.

    Args:
        model: Trained regressor.
        volumes: Phases 0 and 1, each of shape (X, Y, Z).
        pairs: Phases of each volume.
        workers: Processes that solve, or an executor.
        on_progress: Called with the volumes that are solved and their number.

    Returns:
        Number of `volumes`, of which `carrying` carry load in every direction; over these the relative
        Frobenius error (`mean`, `median`) and that of the upper bound (`upper_mean`), the mean error of
        C11 ... C66 (`mape`) and of E_x, E_y, E_z (`young`) [-]; over all `coverage_90`, the share `bounded`
        of volumes whose stiffness lies between the guaranteed bounds, the share `novel`, mean `iterations`
        of the prediction and of the `solver`; JSON-serialisable.

    Raises:
        InputError: There is no volume.
    """
    if not volumes:
        raise InputError("expected at least one volume, got none")
    prediction = predict_stiffness(model, volumes, pairs)
    solutions = []
    for result in map_tasks(_solve, list(zip(volumes, pairs, strict=True)), workers):
        solutions.append(result)
        if on_progress:
            on_progress(len(solutions), len(volumes))
    truth = np.array([stiffness for stiffness, _ in solutions])
    exact, mean = voigt_to_mandel(truth), voigt_to_mandel(prediction.mean)
    upper, lower = voigt_to_mandel(prediction.upper), voigt_to_mandel(prediction.lower)
    limit = -_ROUNDING * np.linalg.norm(upper, axis=(1, 2))
    gaps = [np.linalg.eigvalsh(gap)[:, 0] for gap in (upper - exact, exact - lower)]
    unit = np.array([pair.ordered().e_stiff for pair in pairs])
    rows = np.linalg.eigvalsh(exact)[:, 0] > _CARRIES * unit
    size = np.linalg.norm(exact, axis=(1, 2))
    width = float(norm.ppf(0.95)) * diagonal_properties(prediction.std)
    inside = np.abs(diagonal_properties(prediction.mean - truth)) <= width
    figures: dict[str, Any] = {
        "volumes": len(volumes),
        "carrying": int(rows.sum()),
        "coverage_90": float(inside.mean()),
        "bounded": float(((gaps[0] > limit) & (gaps[1] > limit)).mean()),
        "novel": float((~prediction.in_distribution).mean()),
        "iterations": float(prediction.iterations.mean()),
        "solver": float(np.mean([iterations for _, iterations in solutions])),
    }
    if rows.any():
        error, bound = (
            np.linalg.norm(matrix[rows] - exact[rows], axis=(1, 2)) / size[rows] for matrix in (mean, upper)
        )
        diagonal = diagonal_properties(prediction.mean[rows]) / diagonal_properties(truth[rows])
        young = engineering_constants(prediction.mean[rows]).young / engineering_constants(truth[rows]).young
        figures |= {
            "mean": float(error.mean()),
            "median": float(np.median(error)),
            "upper_mean": float(bound.mean()),
            "mape": float(np.abs(diagonal - 1.0).mean()),
            "young": float(np.abs(young - 1.0).mean()),
        }
    return figures


def _solve(job: tuple[NDArray[np.uint8], TwoPhase]) -> tuple[NDArray[np.float64], int]:
    volume, pair = job
    contrast = pair.ordered().contrast
    result = homogenize(volume, pair, rtol=label_tolerance(contrast), dtype=np.float32, max_iter=_MAX_ITER)
    return result.stiffness, result.iterations
