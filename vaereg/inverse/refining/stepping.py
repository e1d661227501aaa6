"""Flips between two solves, chosen by the sensitivities of the last one: which volume they are made to, and
what is left alone after flips that led away.

Letters: P targeted quantities, X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vaereg.inverse.constraints import meet
from vaereg.inverse.refining.aims import wanted_changes
from vaereg.inverse.refining.effects import effects_of_flips, interface_of
from vaereg.inverse.refining.flips import (
    choose_flips,
    first_ratios,
    neck_cost,
)
from vaereg.inverse.refining.guidance import predicted_cells, shifted_deviation
from vaereg.inverse.refining.necks import necks_at
from vaereg.inverse.refining.search import Base, Search
from vaereg.microstructure.symmetry import orbits_of
from vaereg.solver.conduction import ConductionResult
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import CellProperties

__all__ = ["based_on", "flipped"]

_SLACKS = (0.0, 0.7)
"""Shares of the tolerance by which the wanted changes are widened: the second where the first fails [-]."""
_LESS = 0.5
"""Share of the wanted change that is tried after a step that led away [-]."""
_LEAST_FACTOR = 0.2
"""Share of the wanted change below which a search goes on from a volume that led away [-]."""
_FEW = 5
"""Voxels of a step that led away, up to which they are left alone from then on."""
_TRIES = 5
"""Choices of flips that predictions look at before a solve."""


def based_on(
    search: Search,
    solved: HomogenizationResult,
    heat: ConductionResult | None,
    cell: CellProperties,
    deviation: float,
    *,
    back: bool,
) -> Search:
    """The search with the volume that the next flips are made to: this one, or the one before where this one
    led away for the first time, or by few voxels, and the search may go back.
    """
    base, flips = search.base, search.flips
    if base is not None and flips is None and deviation > base.largest_distance:
        return search  # predictions led away: flips are made to the volume before
    if back and base is not None and flips is not None and deviation > base.largest_distance:
        careful = _more_careful(search, base, search)
        if len(careful.avoided) > len(search.avoided) or search.factor > _LEAST_FACTOR:
            return careful
    gradients = cell.gradients(search.targets.names)
    effects = effects_of_flips(
        search.volume,
        search.materials,
        gradients,
        solved.sensitivity,
        None if heat is None else heat.sensitivity,
    )
    base = Base(volume=search.volume, cell=cell, effects=effects, largest_distance=deviation)
    ratios = search.ratios or first_ratios(gradients, search.materials)
    return replace(search, base=base, factor=1.0, ratios=ratios)


def flipped(search: Search, reached: bool) -> Search | None:
    """The search with the volume that is solved next; None where no flips bring it nearer.

    A prediction, shifted by what it is off at the volume before, looks at the flips first: where they should
    lead away, those at necks are left alone, or less is asked for.
    """
    base = search.base
    if base is None or search.ratios is None:
        return None
    unseen = bool(search.targets.objectives) or not search.targets.needs_stiffness
    before = None if unseen else predicted_cells(search, base.volume)
    best, least = None, np.inf
    for _ in range(_TRIES):
        following = _with_flips(search, base, reached)
        if following is None or before is None:
            return best or following
        off = shifted_deviation(search, following.volume, before, base.cell)
        if best is None or off < least:
            best, least = following, off
        if off < base.largest_distance:
            break
        search = _more_careful(search, base, following)
    return best


def _more_careful(search: Search, base: Base, attempt: Search) -> Search:
    """The search that leaves alone the flips at necks that were tried, or all of a few, or asks for less."""
    if attempt.flips is None:
        return search
    voxels = attempt.flips.voxels
    risky = voxels if len(voxels) <= _FEW else voxels[necks_at(base.volume, voxels) > 0.0]
    if len(risky):
        return replace(search, avoided=(*search.avoided, *risky.tolist()))
    return replace(search, factor=_LESS * search.factor)


def _with_flips(search: Search, base: Base, reached: bool) -> Search | None:
    """The search with flips of the volume before; None where none bring it nearer."""
    if search.ratios is None:
        return None
    symmetry, (x, y, z) = search.constraints.symmetry, base.volume.shape
    least, most, unit = wanted_changes(
        search.targets, base.cell, gain=search.gain if reached else 0.0, share=search.factor
    )
    orbits = None if symmetry == "none" else orbits_of((x, y, z), symmetry)
    allowed = interface_of(base.volume)
    allowed.ravel()[list(search.avoided)] = False
    flips = None
    for slack in _SLACKS:  # single voxels may be too coarse for the middle of what is within the tolerance
        room = slack * search.tolerance * unit
        flips = choose_flips(
            base.volume,
            base.effects,
            search.ratios,
            least - room,
            most + room,
            unit,
            allowed=allowed,
            orbits=orbits,
            necks=neck_cost(search.targets, search.materials),
        )
        if flips is not None:
            break
    if flips is None:
        return None
    volume = flips.applied(base.volume)
    if search.constraints:
        volume = meet(volume, search.constraints)
    if volume.min() == volume.max() or np.array_equal(volume, base.volume):
        return None
    return replace(search, volume=volume, flips=flips)
