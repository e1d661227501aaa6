"""Test figures of the regressor for any pair of phases: by contrast, Poisson ratio, size and class.

Letters: N labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from vaereg.elasticity import voigt_to_mandel
from vaereg.engineering import engineering_constants
from vaereg.model.pairs.calibration import DECADES, decade_of
from vaereg.model.pairs.features import STEPS
from vaereg.model.pairs.regressor import RESIDUAL, PairModel
from vaereg.training.pairs.fitting import answer_labels, carries_load, stopping_places
from vaereg.training.pairs.labels import PairLabels

__all__ = ["POISSON_RANGES", "pair_figures"]

POISSON_RANGES = {"below 0.2": (0.0, 0.2), "0.2 to 0.4": (0.2, 0.4), "0.4 to 0.45": (0.4, 0.45)}
POISSON_RANGES["above 0.45"] = (0.45, 0.5)
"""Ranges of the larger Poisson ratio of the phases; above the last limit elements are B-bar."""


def pair_figures(model: PairModel, labels: PairLabels, residual: float = RESIDUAL) -> dict[str, Any]:
    """Test figures, relative Frobenius errors beside those of the upper bound alone.

    Cells that carry no load in some direction have no relative error and are left out.

    Returns:
        Figures over `all`, and by group of `contrast`, `poisson`, `size` and `class`: number of `volumes`,
        mean `iterations`, `mean` and `median` error, `upper_mean` and `upper_median` of the bound, mean
        error `young` of E_x, E_y, E_z [-] and `poisson` of the Poisson ratios, `coverage_90` of C11 ...
        C66, and the share that is `novel`; JSON-serialisable.
    """
    answers, places = answer_labels(model, labels, residual), stopping_places(labels, residual)
    uppers = labels.uppers[np.arange(len(labels)), places]
    carrying = carries_load(labels)
    truth = np.where(carrying[:, None, None], labels.stiffness, np.eye(6))
    mean = np.where(carrying[:, None, None], answers.mean, np.eye(6))
    size = np.linalg.norm(voigt_to_mandel(truth), axis=(1, 2))
    exact, estimate = engineering_constants(truth), engineering_constants(mean)
    width = float(norm.ppf(0.95)) * answers.std
    covered = np.diagonal(np.abs(answers.mean - labels.stiffness) <= width, axis1=1, axis2=2)
    columns = {
        "iterations": np.array(STEPS, dtype=np.float64)[places],
        "error": np.linalg.norm(voigt_to_mandel(mean - truth), axis=(1, 2)) / size,
        "upper": np.linalg.norm(voigt_to_mandel(uppers - truth), axis=(1, 2)) / size,
        "young": np.abs(estimate.young / exact.young - 1.0).mean(1),
        "poisson": np.abs(estimate.poisson - exact.poisson).sum((1, 2)) / 6.0,
        "covered": covered.mean(1),
        "novel": (answers.novelty > 1.0).astype(np.float64),
    }
    groups = {
        kind: {
            name: figures
            for name, rows in rows_by_name.items()
            if (figures := _row(columns, rows & carrying))
        }
        for kind, rows_by_name in _groups(labels).items()
    }
    return {"all": _row(columns, carrying), **groups}


def _groups(labels: PairLabels) -> dict[str, dict[str, NDArray[np.bool_]]]:
    decades = decade_of(labels.pairs)
    largest = labels.moduli[:, 1:].max(1)
    return {
        "contrast": {name: decades == index for index, name in enumerate(DECADES)},
        "poisson": {
            name: (largest >= low) & (largest < high) for name, (low, high) in POISSON_RANGES.items()
        },
        "size": {str(size): labels.size == size for size in np.unique(labels.size)},
        "class": {str(name): labels.morphology == name for name in np.unique(labels.morphology)},
    }


def _row(columns: dict[str, NDArray[np.float64]], rows: NDArray[np.bool_]) -> dict[str, Any]:
    if not rows.any():
        return {}
    selection = {name: column[rows] for name, column in columns.items()}
    return {
        "volumes": int(rows.sum()),
        "iterations": float(selection["iterations"].mean()),
        "mean": float(selection["error"].mean()),
        "median": float(np.median(selection["error"])),
        "upper_mean": float(selection["upper"].mean()),
        "upper_median": float(np.median(selection["upper"])),
        "young": float(selection["young"].mean()),
        "poisson": float(selection["poisson"].mean()),
        "coverage_90": float(selection["covered"].mean()),
        "novel": float(selection["novel"].mean()),
    }
