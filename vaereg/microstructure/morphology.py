"""Morphology of two-phase volumes: statistics, and a name that follows from them by rule.

Only directions along the axes are considered: structures that are long along a diagonal count as equiaxed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.microstructure.statistics import (
    Connectivity,
    connectivity,
    correlation_lengths,
    lineal_path,
    specific_surface,
    two_point_correlation,
)
from vaereg.microstructure.volume import as_two_phase, volume_fraction

__all__ = ["Morphology", "Statistics", "describe", "measure"]

_EQUIAXED = 1.5
"""Up to this ratio of the longest to the shortest correlation length all count as equal [-]."""
_MIXED = 2.0
"""Median of the same ratio over single volumes, above which equal means hide different directions [-]."""
_FINE, _COARSE = 1.0 / 12.0, 1.0 / 6.0
"""Shortest correlation length below which a structure is fine, and above which coarse [edge of the cell]."""
_CLEAR = 0.8
"""Share of the volumes that must agree on what the phases are for it to be said [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Morphology:
    """Character of a set of volumes."""

    name: str
    """Such as "plate-like, normal to x, fine, bicontinuous"; see `describe`."""
    volume_fraction: float
    """Mean volume fraction of the stiff phase [-]."""
    correlation_lengths: NDArray[np.float64]
    """Mean correlation lengths along x, y, z, shape (3,) [voxel]."""
    anisotropy: float
    """Ratio of the longest to the shortest of these mean lengths [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Statistics of one volume; pairs are of the soft phase (0) and the stiff phase (1)."""

    volume_fraction: float
    """Volume fraction of the stiff phase [-]."""
    two_point: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    """Probability that two voxels are both stiff, at lags of 0, 1, ... voxels up to half the edge along x, y,
    z [-]."""
    lineal_path: tuple[NDArray[np.float64], NDArray[np.float64]]
    """Probability that a segment lies in the phase, see `statistics.lineal_path`, (3, L) [-]."""
    specific_surface: float
    """Estimated area of the smooth interface per volume [1/voxel]."""
    connectivity: tuple[Connectivity, Connectivity]
    """Connectivity of the soft and of the stiff phase."""


def measure(volume: ArrayLike) -> Statistics:
    """Statistics of a two-phase volume of shape (X, Y, Z), which may be of one phase only.

    Raises:
        InputError: The array is no two-phase volume.
    """
    field = as_two_phase(volume)
    correlation = two_point_correlation(field)
    x, y, z = (length // 2 + 1 for length in field.shape)
    return Statistics(
        volume_fraction=volume_fraction(field),
        two_point=(correlation[:x, 0, 0], correlation[0, :y, 0], correlation[0, 0, :z]),
        lineal_path=(lineal_path(field, 0), lineal_path(field, 1)),
        specific_surface=specific_surface(field),
        connectivity=(connectivity(field, 0), connectivity(field, 1)),
    )


def describe(volumes: ArrayLike) -> Morphology:
    """Character of volumes that belong together, such as the designs of one mixture component.

    The name has up to three parts, of correlation lengths along the axes
    (`vaereg.microstructure.statistics.correlation_lengths`); a >= b >= c are their means over the volumes:

    - shape: "equiaxed" if a / c is at most 1.5, or "mixed directions" if that is so of the means only and the
      ratio of the single volumes is above 2 in the median; else by the place of log b between log c and log
      a: "rod-like along x" in the lowest third, "plate-like, normal to x" in the highest, "orthotropic"
      between;
    - size, by the mean of each volume's shortest length: "fine" below 1/12 of the edge of the cell, "coarse"
      above 1/6, else "medium";
    - phases, if four in five volumes agree: "bicontinuous" if both phases percolate along all axes, "stiff
      matrix" or "soft matrix" if one does and the other percolates along none.

    Args:
        volumes: Phase per voxel, 0 or 1, both present in each volume, shape (N, X, Y, Z).

    Raises:
        InputError: There is no volume, or one that is not two-phase.
    """
    stack = np.asarray(volumes)
    if stack.ndim != 4 or len(stack) == 0:
        raise InputError(f"expected volumes of shape (N, X, Y, Z), got an array of shape {stack.shape}")
    fields = [as_two_phase(volume) for volume in stack]
    lengths = np.array([correlation_lengths(field) for field in fields])
    size = lengths.min(axis=1).mean() / np.mean(stack.shape[1:])
    parts = [_shape(lengths), "fine" if size < _FINE else "coarse" if size > _COARSE else "medium"]
    characters = [_character(field) for field in fields]
    for character in ("bicontinuous", "stiff matrix", "soft matrix"):
        if characters.count(character) >= _CLEAR * len(fields):
            parts.append(character)
    return Morphology(
        name=", ".join(parts),
        volume_fraction=float(np.mean([volume_fraction(field) for field in fields])),
        correlation_lengths=lengths.mean(axis=0),
        anisotropy=_ratio(lengths.mean(axis=0)),
    )


def _shape(lengths: NDArray[np.float64]) -> str:
    mean = lengths.mean(axis=0)
    short, middle, long = np.argsort(mean, kind="stable")
    if _ratio(mean) <= _EQUIAXED:
        mixed = float(np.median([_ratio(triple) for triple in lengths])) > _MIXED
        return "mixed directions" if mixed else "equiaxed"
    place = np.log(mean[middle] / mean[short]) / np.log(mean[long] / mean[short])
    if place < 1.0 / 3.0:
        return f"rod-like along {'xyz'[long]}"
    if place > 2.0 / 3.0:
        return f"plate-like, normal to {'xyz'[short]}"
    return "orthotropic"


def _ratio(lengths: NDArray[np.float64]) -> float:
    return float(lengths.max() / lengths.min())


def _character(field: NDArray[np.uint8]) -> str | None:
    soft, stiff = (connectivity(field, phase).percolates for phase in (0, 1))
    if all(soft) and all(stiff):
        return "bicontinuous"
    if all(stiff) and not any(soft):
        return "stiff matrix"
    if all(soft) and not any(stiff):
        return "soft matrix"
    return None
