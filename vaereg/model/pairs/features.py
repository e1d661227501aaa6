"""Inputs of the regressor for any pair of phases: what a few iterations of the solver say of the stiffness.

All matrices are in the Mandel basis, where products and norms are those of the tensors, in units of Young's
modulus of the stiff phase. After k iterations the stiffness C lies between the Reuss bound R and the upper
bound U_k (`vaereg.solver.bounds`). Inputs are logarithms of matrices that say where U_k lies and how fast it
falls, and numbers of the pair. A permutation or reflection of the axes permutes the entries of the matrices
and changes signs, which the regressor makes use of.

Letters: N volumes, S steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import reuss_bound, voigt_bound, voigt_to_mandel
from vaereg.materials import TwoPhase

__all__ = [
    "FRACTION",
    "LOG_STEP",
    "MATRICES",
    "SCALARS",
    "STEPS",
    "SYMMETRIES",
    "PairFeatures",
    "inverse_root",
    "pack",
    "pair_features",
    "root",
]

STEPS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 28, 40)
"""Iterations after which the regressor can answer, but for the first; the one before is an input, too."""
MATRICES, SCALARS = 5, 9
"""Numbers of matrices and of scalars in the inputs."""
FRACTION, LOG_STEP = 5, 7
"""Places of the volume fraction and of the logarithm of the iterations among the scalars."""

_ROWS, _COLUMNS = np.triu_indices(6)
_FLOOR = 1e-14
"""Least eigenvalue of a matrix whose root is taken [E of the stiff phase]."""
_RELATIVE_FLOOR = 1e-7
"""Least eigenvalue, over the largest, of a matrix whose inverse root is taken [-]."""
_LOG_RANGE = (1e-5, 1e4)
"""Range that eigenvalues are clipped to before their logarithm is taken [-]."""
_VOID_RATIO = 1e-5
"""Ratio of moduli that is added before its logarithm is taken, so that a void has one [-]."""
_RESIDUAL_FLOOR = 1e-4
"""Relative residual that is added before its logarithm is taken [-]."""


def _symmetries() -> NDArray[np.float64]:
    """Matrices Q with C' = Q C Q^T under permutations and reflections of the axes, shape (24, 6, 6).

    The reflection of all three axes changes nothing, so that four of eight reflections are left.
    """
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    matrices = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            if np.prod(signs) < 0.0:
                continue
            matrix = np.zeros((6, 6))
            for row, (a, b) in enumerate(pairs):
                turned = (min(order[a], order[b]), max(order[a], order[b]))
                matrix[row, pairs.index(turned)] = signs[a] * signs[b]
            matrices.append(matrix)
    return np.array(matrices)


SYMMETRIES = _symmetries()
"""The 24 signed permutations of a stiffness in the Mandel basis, shape (24, 6, 6)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFeatures:
    """Inputs of the regressor, and the matrices that its output is placed between."""

    matrices: NDArray[np.float64]
    """Logarithms of matrices, their upper triangles, shape (N, `MATRICES`, 21)."""
    scalars: NDArray[np.float64]
    """Numbers of the pair and of the iteration, shape (N, `SCALARS`)."""
    lower: NDArray[np.float64]
    """Reuss bound R, shape (N, 6, 6) [E of the stiff phase]."""
    gap: NDArray[np.float64]
    """Root of U_k - R, shape (N, 6, 6)."""

    def __len__(self) -> int:
        return len(self.scalars)


def pair_features(
    fraction: NDArray[np.float64],
    pairs: list[TwoPhase],
    uppers: NDArray[np.float64],
    energies: NDArray[np.float64],
    step: int,
    residual: NDArray[np.float64],
) -> PairFeatures:
    """Inputs of the regressor after `step` iterations.

    Args:
        fraction: Volume fraction of the stiff phase, shape (N,) [-].
        pairs: Phases of each volume.
        uppers: Upper bounds at the entry of `STEPS` before `step` and at `step`, Voigt order, shape
            (N, 2, 6, 6) [unit of the pair's moduli].
        energies: Energies of the preconditioned residual at both, shape (N, 2, 6, 6).
        step: Iterations, one of `STEPS`.
        residual: Largest relative residual after `step` iterations, shape (N,) [-].
    """
    unit = np.array([pair.e_stiff for pair in pairs])[:, None, None]
    bounds = [
        np.array([bound(f, pair) for f, pair in zip(fraction, pairs, strict=True)])
        for bound in (reuss_bound, voigt_bound)
    ]
    lower, voigt = (voigt_to_mandel(bound / unit) for bound in bounds)
    former, upper = (voigt_to_mandel(uppers[:, place] / unit) for place in range(2))
    former_energy, energy = (voigt_to_mandel(energies[:, place] / unit) for place in range(2))
    inner = inverse_root(voigt - lower)
    outer = inverse_root(upper - lower)
    matrices = [
        inner @ (upper - lower) @ inner,
        outer @ (voigt - upper) @ outer,
        outer @ (former - upper) @ outer,
        outer @ energy @ outer,
        outer @ former_energy @ outer,
    ]
    iteration = [np.full(len(fraction), np.log(step)), np.log(residual + _RESIDUAL_FLOOR)]
    return PairFeatures(
        matrices=np.stack([pack(_log(matrix)) for matrix in matrices], 1),
        scalars=np.column_stack([_numbers(fraction, pairs), *iteration]),
        lower=lower,
        gap=root(upper - lower),
    )


def root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Symmetric root of positive matrices, shape (..., 6, 6)."""
    values, axes = np.linalg.eigh(matrix)
    return _from_eigenvalues(np.sqrt(np.maximum(values, _FLOOR)), axes)


def inverse_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the symmetric root of positive matrices, shape (..., 6, 6)."""
    values, axes = np.linalg.eigh(matrix)
    floor = _RELATIVE_FLOOR * values.max(-1, keepdims=True) + _FLOOR
    return _from_eigenvalues(1.0 / np.sqrt(np.maximum(values, floor)), axes)


def pack(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upper triangles of symmetric matrices, row by row, shape (..., 21)."""
    return matrix[..., _ROWS, _COLUMNS]


def _log(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, axes = np.linalg.eigh(0.5 * (matrix + matrix.swapaxes(-1, -2)))
    return _from_eigenvalues(np.log(np.clip(values, *_LOG_RANGE)), axes)


def _from_eigenvalues(values: NDArray[np.float64], axes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.einsum("...ij,...j,...kj->...ik", axes, values, axes)


def _numbers(fraction: NDArray[np.float64], pairs: list[TwoPhase]) -> NDArray[np.float64]:
    """Logarithms of the ratios of E, K, G; Poisson ratios, volume fraction, its logit: shape (N, 7) [-]."""
    stiff = np.array([(pair.e_stiff, pair.nu_stiff) for pair in pairs])
    soft = np.array([(pair.e_soft, pair.nu_soft) for pair in pairs])
    young = soft[:, 0] / stiff[:, 0]
    bulk = young * (1.0 - 2.0 * stiff[:, 1]) / (1.0 - 2.0 * soft[:, 1])
    shear = young * (1.0 + stiff[:, 1]) / (1.0 + soft[:, 1])
    logs = [-np.log10(ratio + _VOID_RATIO) for ratio in (young, bulk, shear)]
    return np.column_stack([*logs, stiff[:, 1], soft[:, 1], fraction, np.log(fraction / (1.0 - fraction))])
