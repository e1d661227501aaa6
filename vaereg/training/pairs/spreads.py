"""Calibration of the spreads that the regressor for any pair of phases tells.

Letters: N labels, F features, M observations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog
from scipy.stats import norm

from vaereg.model.pairs.calibration import DECADES, SPREAD_FEATURES
from vaereg.model.pairs.regressor import PairAnswer

__all__ = ["quantile_regression", "spread_weights"]

_COVERED = 0.9
"""Part of the errors that intervals cover [-]."""
_SMALLEST = 1e-6
"""Error over the half width of the interval below which errors are alike [-]."""
_SHRINKAGE = 3.0
"""Cost of a weight, in units of that of one observation, of features other than the contrast: of six costs
from 0 to 40 the least loss of labels that are left out of the calibration, by cross-validation. Features that
no label has keep a weight of zero."""


def spread_weights(
    answers: PairAnswer, truth: NDArray[np.float64], features: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights of the features in the logarithm of a spread's factor, for axial, shear and coupling entries,
    shape (3, F).

    Args:
        answers: Answers whose spreads have no factor yet, of labels that no network has seen.
        truth: Stiffness, Voigt order, shape (N, 6, 6) [E of the stiff phase].
        features: Features of the spreads, shape (N, F).
    """
    width = norm.ppf(0.5 + _COVERED / 2.0) * np.maximum(answers.std, np.finfo(np.float64).tiny)
    ratio = np.log(np.maximum(np.abs(answers.mean - truth) / width, _SMALLEST))
    kinds = [ratio[:, range(3), range(3)], ratio[:, range(3, 6), range(3, 6)]]
    kinds.append(ratio[:, *np.triu_indices(6, 1)])
    cost = np.where(np.arange(len(SPREAD_FEATURES)) < len(DECADES), 0.0, _SHRINKAGE)
    return np.array(
        [
            quantile_regression(np.repeat(features, kind.shape[1], axis=0), kind.ravel(), _COVERED, cost)
            for kind in kinds
        ]
    )


def quantile_regression(
    features: NDArray[np.float64],
    values: NDArray[np.float64],
    quantile: float,
    cost: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Weights of the linear function with the least tilted absolute deviations, shape (F,): a part `quantile`
    of the values lies below it (Koenker & Bassett 1978, doi:10.2307/1913643).

    Args:
        features: Shape (M, F).
        values: Shape (M,).
        quantile: Above 0 and below 1 [-].
        cost: Cost of the absolute value of each weight, shape (F,).
    """
    count = len(values)
    ones = sparse.eye_array(count)
    dense = sparse.csr_array(features)
    result = linprog(
        np.concatenate([cost, cost, np.full(count, quantile), np.full(count, 1.0 - quantile)]),
        A_eq=sparse.hstack([dense, -dense, ones, -ones]).tocsc(),
        b_eq=values,
        bounds=(0.0, None),
        method="highs",
    )
    positive, negative = result.x[: 2 * len(cost)].reshape(2, -1)
    return positive - negative
