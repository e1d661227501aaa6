"""Predictions for a solid in a void, where it does not hold together: exactly zero, not small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaereg.engineering import loaded_directions
from vaereg.materials import TwoPhase
from vaereg.microstructure.carrying import carried_part, carried_strains
from vaereg.solver.problem import without_rounding
from vaereg.workers import thread_map

__all__ = ["carried_by", "with_voids"]

_ROUNDING = 1e-12
"""Entry of a stiffness over Young's modulus of the solid, below which it is rounding [-]."""


def carried_by(
    fields: Sequence[NDArray[np.uint8]], pairs: Sequence[TwoPhase]
) -> tuple[NDArray[np.float64] | None, ...]:
    """Projection on the strains that each volume resists, see `carried_strains`; None where it resists all.

    Args:
        fields: Phases 0 and 1, the stiffer one as 1, each of shape (X, Y, Z).
        pairs: Phases of each volume.
    """
    if not any(pair.has_void for pair in pairs):
        return (None,) * len(fields)
    return tuple(
        thread_map(lambda field, pair: carried_strains(field) if pair.has_void else None, fields, pairs)
    )


def with_voids(
    mean: NDArray[np.float64],
    upper: NDArray[np.float64],
    std: NDArray[np.float64],
    pairs: Sequence[TwoPhase],
    carried: Sequence[NDArray[np.float64] | None],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Stiffness, its upper bound and standard deviation without what iterations and rounding leave where no
    load is carried, each of shape (N, 6, 6) [GPa].

    Args:
        mean: Predicted stiffness, Voigt order.
        upper: Its upper bound.
        std: Standard deviation of its entries.
        pairs: Phases of each volume.
        carried: What `carried_by` says of each.
    """
    mean, upper, std = mean.copy(), upper.copy(), std.copy()
    for row, (pair, projection) in enumerate(zip(pairs, carried, strict=True)):
        if not pair.has_void:
            continue
        mean[row] = carried_part(mean[row], projection)
        mean[row] = pair.e_stiff * without_rounding(mean[row] / pair.e_stiff)[0]
        if projection is not None:
            mean[row][np.abs(mean[row]) < _ROUNDING * pair.e_stiff] = 0.0  # what the projection leaves
            upper[row] = carried_part(upper[row], projection)
            loaded = loaded_directions(mean[row])
            std[row] *= loaded[:, None] & loaded
    return mean, upper, std
