"""What the spread of a predicted stiffness depends on besides the energy that the residual leaves.

The standard deviation of an entry is a scale, which the energies of the residual give, times the exponential
of a linear function of the features below, with weights for each kind of entry. The weights are those of a
quantile regression (Koenker & Bassett 1978, doi:10.2307/1913643): nine tenths of the errors are inside the
90 % interval in every group that has a feature of its own.

Letters: N volumes, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.materials import TwoPhase
from vaereg.solver.problem import choose_element

__all__ = ["CALIBRATED_SIZES", "DECADES", "SPREAD_FEATURES", "decade_of", "spread_features"]

DECADES = ("1 to 10", "10 to 100", "100 to 1000", "above 1000", "void")
"""Ranges of the ratio of Young's moduli."""
CALIBRATED_SIZES = (16.0, 24.0, 32.0, 48.0, 64.0)
"""Voxels per edge at which spreads are calibrated; between them, weights are interpolated."""
_USUAL_SIZE, _USUAL_POISSON, _HIGH_POISSON = 32.0, 0.3, 0.45
"""Size [voxel] and larger Poisson ratio [-] that have no weight, and ratio at which the weight is whole."""
_MOST_ANISOTROPIC = 2.0
"""Logarithm of the ratio of axial stiffnesses above which it counts no more [-]."""
SPREAD_FEATURES = (
    *(f"contrast {name}" for name in DECADES),
    *(f"{size:g} voxels per edge" for size in CALIBRATED_SIZES if size != _USUAL_SIZE),
    "Poisson ratio towards 0",
    "Poisson ratio towards 0.45",
    "B-bar elements",
    "logarithm of the iterations",
    "logarithm of the ratio of axial stiffnesses",
    "volume fraction",
)
"""Names of the features."""


def decade_of(pairs: Sequence[TwoPhase]) -> NDArray[np.int64]:
    """Index into `DECADES` of each pair, shape (N,)."""
    contrasts = np.array([max(pair.contrast, 1.0) for pair in pairs])
    decades = np.minimum(np.log10(np.minimum(contrasts, 1e9)).astype(np.int64), 3)
    return np.where(np.isinf(contrasts), 4, decades)


def spread_features(
    pairs: Sequence[TwoPhase],
    sizes: NDArray[np.float64],
    iterations: NDArray[np.float64],
    fraction: NDArray[np.float64],
    stiffness: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Features of predictions, shape (N, F), in the order of `SPREAD_FEATURES`.

    Args:
        pairs: Phases of each volume.
        sizes: Voxels per edge of each volume, shape (N,).
        iterations: Iterations of the solver, shape (N,).
        fraction: Volume fraction of the stiff phase, shape (N,) [-].
        stiffness: Predicted stiffness, shape (N, 6, 6), in any unit.
    """
    contrast = np.eye(len(DECADES))[decade_of(pairs)]
    nodes = np.log(CALIBRATED_SIZES)
    size = np.column_stack(
        [
            np.interp(np.log(sizes), nodes, (nodes == np.log(node)).astype(np.float64))
            for node in CALIBRATED_SIZES
            if node != _USUAL_SIZE
        ]
    )
    bbar = np.array([choose_element("auto", pair) == "bbar" for pair in pairs])
    largest = np.array(
        [max(p.poisson_ratio for p in (pair.stiff, pair.soft) if not p.is_void) for pair in pairs]
    )
    low = np.clip((_USUAL_POISSON - largest) / _USUAL_POISSON, 0.0, 1.0)
    high = np.clip((largest - _USUAL_POISSON) / (_HIGH_POISSON - _USUAL_POISSON), 0.0, 1.0)
    axial = np.maximum(diagonal_properties(stiffness)[:, :3], np.finfo(np.float64).tiny)
    ratio = np.log(axial.max(1)) - np.log(axial.min(1))
    return np.column_stack(
        [
            contrast,
            size,
            np.where(bbar, 0.0, low),
            np.where(bbar, 0.0, high),
            bbar,
            np.log(np.maximum(iterations, 1.0)),
            np.minimum(ratio, _MOST_ANISOTROPIC),
            fraction,
        ]
    )
