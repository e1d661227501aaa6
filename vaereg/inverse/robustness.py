"""Robustness of designs: how much properties change as an interface moves by half a voxel, and over
realisations.

A manufacturer makes walls a little too thin or too thick, and never the same pores twice. Both are predicted
by the regressor for any pair of phases; conductivities are solved.

Letters: N designs, T quantities, R realisations, X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from vaereg.errors import InputError
from vaereg.inverse.refining.corrections import predicted_properties
from vaereg.inverse.refining.flips import interface_of
from vaereg.materials import TwoPhase
from vaereg.microstructure.statistics import specific_surface
from vaereg.microstructure.volume import as_two_phase
from vaereg.model.pairs.regressor import PairModel
from vaereg.targets import CellProperties, Targets

__all__ = [
    "HALF_VOXEL",
    "InterfaceSpread",
    "RealisationSpread",
    "interface_spread",
    "moved",
    "realisation_spread",
]

HALF_VOXEL = 0.5
"""Distance by which interfaces are moved [voxel]."""
_LEVEL = 1.0
"""Standard deviation of the filter that says which voxels of the interface go first [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InterfaceSpread:
    """Relative changes of quantities as the stiff phase is eroded and dilated by half a voxel."""

    eroded: NDArray[np.float64]
    """Change over what deviations are relative to, shape (N, T) [-]; NaN where a quantity is lost."""
    dilated: NDArray[np.float64]
    """The same for dilation."""

    @property
    def largest(self) -> NDArray[np.float64]:
        """Largest size of both over the quantities, shape (N,) [-]; infinite where a quantity is lost."""
        changes = np.abs(np.concatenate([self.eroded, self.dilated], axis=1))
        return np.nan_to_num(changes, nan=np.inf).max(axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RealisationSpread:
    """Quantities over realisations of one design."""

    mean: NDArray[np.float64]
    """Shape (T,), each in its unit."""
    std: NDArray[np.float64]
    """Standard deviation over what deviations are relative to, shape (T,) [-]."""
    largest: float
    """Largest of these [-]."""


def moved(volume: ArrayLike, distance: float) -> NDArray[np.uint8]:
    """Volume whose interface is moved outwards from the stiff phase, or inwards.

    As many voxels of the interface change as the area of the smooth interface times the distance has; those
    that lie deepest in a notch, or furthest out on a ridge, change first.

    Args:
        volume: Phases 0 and 1, both present, shape (X, Y, Z).
        distance: From -1 to 1 [voxel]; negative for an erosion of the stiff phase.

    Raises:
        InputError: The distance is larger.
    """
    if not -1.0 <= distance <= 1.0:
        raise InputError(f"expected a distance of -1 to 1 voxel, got {distance}")
    phases = as_two_phase(volume)
    value = 0 if distance > 0.0 else 1  # what changes
    places = np.flatnonzero(interface_of(phases) & (phases == value))
    count = min(round(abs(distance) * specific_surface(phases) * phases.size), len(places))
    level = gaussian_filter(phases.astype(np.float64), _LEVEL, mode="wrap").ravel()[places]
    order = np.argsort(level if value else -level, kind="stable")
    result = phases.copy()
    result.ravel()[places[order[:count]]] = 1 - value
    return result


def interface_spread(
    volumes: NDArray[np.uint8],
    targets: Targets,
    materials: TwoPhase,
    *,
    properties: CellProperties | None = None,
    model: PairModel | None = None,
) -> InterfaceSpread:
    """Changes of the targeted quantities as the interfaces move by half a voxel either way.

    Args:
        volumes: Phases 0 and 1, both present, shape (N, X, Y, Z).
        targets: Whose quantities are looked at.
        materials: The two phases.
        properties: Predicted properties of the volumes; predicted here if left out.
        model: Regressor for any pair of phases; the shipped one if left out.
    """
    before = properties or predicted_properties(volumes, targets, materials, model=model)
    own, scales = before.values(targets.names), targets.scales(before)
    changes = []
    for distance in (-HALF_VOXEL, HALF_VOXEL):
        other = np.stack([moved(volume, distance) for volume in volumes])
        after = predicted_properties(other, targets, materials, model=model).values(targets.names)
        changes.append((after - own) / scales)
    return InterfaceSpread(eroded=changes[0], dilated=changes[1])


def realisation_spread(
    volumes: NDArray[np.uint8], targets: Targets, materials: TwoPhase, *, model: PairModel | None = None
) -> RealisationSpread:
    """Spread of the targeted quantities over realisations of one design, shape (R, X, Y, Z).

    Raises:
        InputError: There are fewer than two realisations.
    """
    if len(volumes) < 2:
        raise InputError(f"expected at least two realisations, got {len(volumes)}")
    cells = predicted_properties(volumes, targets, materials, model=model)
    values, scales = cells.values(targets.names), targets.scales(cells).mean(axis=0)
    std = values.std(axis=0, ddof=1) / scales
    return RealisationSpread(mean=values.mean(axis=0), std=std, largest=float(std.max()))
