"""Specification of a design: what a manufacturer asks of its geometry, as plain values for JSON.

Letters: X Y Z voxels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter

from vaereg.errors import InputError
from vaereg.microstructure.statistics import connectivity, correlation_lengths, specific_surface
from vaereg.microstructure.volume import as_two_phase

__all__ = ["orientation_tensor", "phase_thickness", "spec_sheet"]

_SMOOTHING = 1.0
"""Standard deviation of the filter before the gradient is taken [voxel]."""
_PHASES = {"stiff": 1, "soft": 0}


def spec_sheet(
    volume: ArrayLike,
    *,
    voxel_size: float = 1.0,
    length_unit: str = "voxel",
    morphology: str = "",
    recipe: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Specification of a two-phase volume; lengths in voxels and, where a unit is given, in it.

    Args:
        volume: Phases 0 and 1, shape (X, Y, Z).
        voxel_size: Edge of a voxel in `length_unit`.
        length_unit: Unit of lengths; with "voxel" and an edge other than 1, lengths are given "as given" too.
        morphology: Name of the mode or class; empty where there is none.
        recipe: What the volume was made of, where that is known: added as it is.

    Raises:
        InputError: `voxel_size` is not positive.
    """
    phases = as_two_phase(volume)
    if not (math.isfinite(voxel_size) and voxel_size > 0.0):
        raise InputError(f"expected a positive voxel size, got {voxel_size}")
    has_both = 0 < phases.mean() < 1
    if length_unit == "voxel" and voxel_size != 1.0:
        length_unit = "as given"  # in any unit of length, as exports have it

    def length(value: float) -> dict[str, float]:
        lengths = {"voxel": float(value)}
        return lengths if length_unit == "voxel" else lengths | {length_unit: float(value * voxel_size)}

    surface = specific_surface(phases) if has_both else 0.0
    sheet: dict[str, Any] = {
        "class": morphology or None,
        "volume_fraction": float(phases.mean()),
        "voxels": list(phases.shape),
        "voxel_size": {"value": float(voxel_size), "unit": length_unit},
        "cell": [length(edge) for edge in phases.shape],
        "specific_surface": {"1/voxel": surface},
        "area": {"voxel²": surface * phases.size},
        "phases": {name: _phase(phases, value, surface, length) for name, value in _PHASES.items()},
    }
    if length_unit != "voxel":
        sheet["specific_surface"][f"1/{length_unit}"] = surface / voxel_size
        sheet["area"][f"{length_unit}²"] = surface * phases.size * voxel_size**2
    if has_both:
        sheet["correlation_lengths"] = {
            axis: length(value) for axis, value in zip("xyz", correlation_lengths(phases), strict=True)
        }
        sheet["orientation_tensor"] = orientation_tensor(phases).tolist()
    if recipe is not None:
        sheet["recipe"] = dict(recipe)
    return sheet


def _phase(phases: NDArray[np.uint8], value: int, surface: float, length: Any) -> dict[str, Any]:  # noqa: ANN401
    clusters = connectivity(phases, value)
    share = float((phases == value).mean())
    percolates = "".join(axis for axis, yes in zip("xyz", clusters.percolates, strict=True) if yes)
    facts: dict[str, Any] = {
        "percolates": percolates or None,
        "clusters": clusters.count,
        "largest_cluster": clusters.largest,
    }
    if surface > 0.0 and share > 0.0:
        mean, least = phase_thickness(phases, value)
        facts |= {
            "mean_chord": length(4.0 * share / surface),
            "mean_thickness": length(mean),
            "least_thickness": length(least),
        }
    return facts


def phase_thickness(volume: ArrayLike, phase: int = 1) -> tuple[float, float]:
    """Mean and least thickness of walls, struts or bodies of a phase [voxel]: diameters of the largest balls
    about the voxels of its middle surfaces, from the distance transform; to about a voxel on either side.

    Args:
        volume: Phases 0 and 1, both present, shape (X, Y, Z).
        phase: Which phase.

    Raises:
        InputError: A phase is absent.
    """
    mask = as_two_phase(volume) == phase
    if mask.all() or not mask.any():
        raise InputError("expected a volume of both phases, got a single one")
    width = max(mask.shape) // 2 + 2  # beyond the furthest voxel of the other phase
    padded = np.pad(mask, width, mode="wrap")
    distance = np.asarray(distance_transform_edt(padded))
    middle = mask & (distance == maximum_filter(distance, 3))[width:-width, width:-width, width:-width]
    inside = distance[width:-width, width:-width, width:-width]
    radii = inside[middle] if middle.any() else inside[mask].max(keepdims=True)
    # digital surfaces have small spurious maxima: balls count by their cross section
    return float(np.average(2.0 * radii - 1.0, weights=radii**2)), float(2.0 * radii.min() - 1.0)


def orientation_tensor(volume: ArrayLike) -> NDArray[np.float64]:
    """Second-order tensor of the normals of the interface, mean of n n over its area, of unit trace, (3, 3)
    [-]: a third of the identity if no direction is preferred, one along an axis for layers normal to it.

    Args:
        volume: Phases 0 and 1, both present, shape (X, Y, Z).

    Raises:
        InputError: A phase is absent.
    """
    phases = as_two_phase(volume)
    if phases.min() == phases.max():
        raise InputError("expected a volume of both phases, got a single one")
    smooth = gaussian_filter(phases.astype(np.float64), _SMOOTHING, mode="wrap")
    slopes = [(np.roll(smooth, -1, axis) - np.roll(smooth, 1, axis)).ravel() for axis in range(3)]
    steepness = np.sqrt(sum(np.square(slope) for slope in slopes))
    weights = np.where(steepness > 0.0, 1.0 / np.where(steepness > 0.0, steepness, 1.0), 0.0)
    tensor = np.array([[np.sum(a * b * weights) for b in slopes] for a in slopes])
    return tensor / np.trace(tensor)
