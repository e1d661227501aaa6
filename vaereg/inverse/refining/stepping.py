"""Flips between two solves, chosen by the sensitivities of the last one: which volume they are made to, and
what is left alone after flips that led away.

Letters: P targeted quantities, X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vaereg.inverse.constraints import meet
from vaereg.inverse.refining.aims import distance, wanted_changes
from vaereg.inverse.refining.effects import effects_of_flips, interface_of
from vaereg.inverse.refining.flips import (
    FEW,
    FEWER,
    MORE,
    Flips,
    Ratios,
    choose_flips,
    expected_change,
    first_ratios,
    learn_ratios,
    neck_cost,
)
from vaereg.inverse.refining.guidance import predicted_cells
from vaereg.inverse.refining.predicting import shifted
from vaereg.inverse.refining.search import FIRST_TRUST, Base, Search
from vaereg.microstructure.symmetry import orbits_of
from vaereg.solver.conduction import ConductionResult
from vaereg.solver.homogenization import HomogenizationResult
from vaereg.targets import CellProperties

__all__ = ["based_on", "flipped"]

_SLACKS = (0.0, 0.7)
"""Shares of the tolerance by which the wanted changes are widened: the second where the first fails [-]."""
_MISSED = 0.25
"""Share of the tolerance by which flips that keep the objectives may lead less near than others [-]."""
_HALF = 0.5
"""Share of the distance that these may leave at most, where others leave less [-]."""
_TRIES = 8
"""Choices of flips that predictions look at before a solve."""


def based_on(
    search: Search,
    solved: HomogenizationResult,
    heat: ConductionResult | None,
    cell: CellProperties,
    *,
    back: bool,
) -> Search:
    """The search with the volume that the next flips are made to: this one, or the one before where this one
    led away for the first time, or by few voxels, and the search may go back.
    """
    base, flips, off = search.base, search.flips, distance(search.targets, cell)
    if search.targets.objectives:  # all within the tolerance is alike to a search that pushes objectives
        off = max(off, search.tolerance)
    if base is not None and flips is None and off > base.distance:
        return search  # predictions led away: flips are made to the volume before
    trust = search.trust
    if base is not None and flips is not None:
        if off < base.distance:
            trust = min(MORE * trust, FIRST_TRUST)
        elif back and off > base.distance:
            return _more_careful(search, base, search)
    gradients = cell.gradients(search.targets.names)
    effects = effects_of_flips(
        search.volume,
        search.materials,
        gradients,
        solved.sensitivity,
        None if heat is None else heat.sensitivity,
    )
    base = Base(volume=search.volume, cell=cell, effects=effects, distance=off)
    ratios = search.ratios or first_ratios(gradients, search.materials)
    return replace(search, base=base, trust=trust, ratios=ratios)


def flipped(search: Search) -> Search | None:
    """The search with the volume that is solved next; None where no flips bring it nearer.

    Predictions, shifted by what they are off at the volume before, look at the flips first: where they should
    lead away, others are chosen by what was learned of them, in turn as many without every second one of
    these, and fewer.
    """
    base, ratios = search.base, search.ratios
    if base is None or ratios is None:
        return None
    unseen = bool(search.targets.objectives) or not search.targets.needs_stiffness
    before = None if unseen else predicted_cells(search, base.volume)
    best, least = None, np.inf
    unit = search.targets.scales(base.cell)[0]
    values = base.cell.values(search.targets.names)[0]
    careful = search
    for number in range(_TRIES):
        following = _with_flips(search, base)
        if following is None or following.flips is None or before is None:
            return best or following
        cells = shifted(predicted_cells(search, following.volume), before, base.cell)
        off = distance(search.targets, cells)
        if off < least:
            best, least = replace(following, ratios=ratios, avoided=careful.avoided), off
        if off < base.distance:
            break
        change = np.nan_to_num(cells.values(search.targets.names)[0] - values)
        learned = learn_ratios(ratios, following.flips, change, unit)
        careful = _more_careful(careful, base, following)
        search = replace(careful, ratios=learned)
        if number % 2 == 0:
            voxels = following.flips.voxels
            trust = max(careful.trust, len(voxels) / base.volume.size)
            search = replace(search, trust=trust, avoided=(*careful.avoided, *voxels[::2].tolist()))
    return best


def _more_careful(search: Search, base: Base, attempt: Search) -> Search:
    """The search that makes fewer flips than were tried, or leaves alone all of a few."""
    if attempt.flips is None:
        return search
    voxels = attempt.flips.voxels
    if len(voxels) <= FEW:
        return replace(search, avoided=(*search.avoided, *voxels.tolist()))
    return replace(search, trust=FEWER * len(voxels) / base.volume.size)


def _with_flips(search: Search, base: Base) -> Search | None:
    """The search with flips of the volume before; None where none bring it nearer."""
    if search.ratios is None:
        return None
    flips = _chosen(search, base, search.ratios)
    if flips is None:
        return None
    volume = flips.applied(base.volume)
    if search.constraints:
        volume = meet(volume, search.constraints)
    if volume.min() == volume.max() or np.array_equal(volume, base.volume):
        return None
    return replace(search, volume=volume, flips=flips)


def _chosen(search: Search, base: Base, ratios: Ratios) -> Flips | None:
    """Flips that push the objectives once all else is within the tolerance; before that, flips by which the
    objectives do not get worse, or flips that leave them free where these lead nearer.
    """
    if base.distance <= search.tolerance and not search.is_restoring:
        return _flips(search, base, ratios, search.gain)
    held = _flips(search, base, ratios, 0.0)
    if not search.targets.objectives:
        return held
    least, most, unit = wanted_changes(search.targets, base.cell, gain=-np.inf)
    free = _flips(search, base, ratios, -np.inf)

    def left(flips: Flips | None) -> float:
        change = np.zeros(len(unit)) if flips is None else expected_change(flips, ratios)
        return float(np.linalg.norm((np.clip(change, least, most) - change) / unit))

    enough = max(left(free), _HALF * left(None))
    return held if left(held) <= enough + _MISSED * search.tolerance else free


def _flips(search: Search, base: Base, ratios: Ratios, gain: float) -> Flips | None:
    """Flips towards the targets, and a gain in the objectives; see `wanted_changes`."""
    symmetry, (x, y, z) = search.constraints.symmetry, base.volume.shape
    least, most, unit = wanted_changes(search.targets, base.cell, gain=gain)
    orbits = None if symmetry == "none" else orbits_of((x, y, z), symmetry)
    allowed = interface_of(base.volume)
    allowed.ravel()[list(search.avoided)] = False
    for slack in _SLACKS:  # single voxels may be too coarse for the middle of what is within the tolerance
        room = slack * search.tolerance * unit
        flips = choose_flips(
            base.volume,
            base.effects,
            ratios,
            least - room,
            most + room,
            unit,
            allowed=allowed,
            orbits=orbits,
            necks=neck_cost(search.targets, search.materials),
            trust=search.trust,
        )
        if flips is not None:
            return flips
    return None
