"""Which modes reach a target with which phases, how likely each is, and the nearest that it has.

Letters: K modes, B rows of the library.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.sampling.scoring import COARSE, best_scale, scaled
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.library import ModeLibrary, Rows
from vaereg.model.modes.materials import REFERENCE_PAIR
from vaereg.model.modes.release import Modes
from vaereg.targets import QUANTITIES, CellProperties, Target, Targets, percent_off
from vaereg.targets.bounds import quantity_bounds
from vaereg.targets.quantities import canonical_name
from vaereg.targets.symmetries import symmetrised

__all__ = [
    "REACHED",
    "ModeReach",
    "NearestTargets",
    "Reach",
    "ends_of_modes",
    "library_cells",
    "mode_reach",
    "nearest_targets",
    "out_of_reach",
    "unreachable",
]

REACHED = 0.12
"""Largest deviation of the nearest volume of a mode, its volume fraction changed to fit, that counts as
reached [-]."""
_BESIDE = 1.3
"""Deviation of the other modes that make designs then, in units of that of the nearest [-]."""
_WIDTH = 0.12
"""Width of the kernel of p(c | k): largest relative deviation [-]."""
_TRIED = 192
"""Nearest rows of a mode whose volume fraction is changed to fit."""
_NEAR = 48
"""Rows of a mode that the prior is asked at."""
_NEAR_ENOUGH = 0.05
"""Deviation of the nearest volume of a mode up to which the nearest target is the one that is asked for: its
designs, corrected, reach that [-]."""
_GIVEN_UP = 0.01
"""Deviation of the nearest volume up to which a target stays as it is [-]."""
_HELD = 10.0
"""Factor of the weight of targets that stay as they are."""
_kept: deque[tuple[ModeLibrary, TwoPhase, str, Rows, CellProperties]] = deque(maxlen=4)
"""Libraries with their properties for the last pairs of phases and symmetries, 10 MB each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeReach:
    """The rows of one mode that come nearest to a target."""

    rows: Rows
    """Rows from the nearest on, B of them."""
    scale: NDArray[np.float64]
    """Logarithm of the factor of the stiffness that a change of their volume fraction gives, shape (B,)."""
    deviation: NDArray[np.float64]
    """Largest deviation with that factor, shape (B,) [-]."""
    nearest: CellProperties
    """Expected properties of the first row, with that factor."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """How near the modes come to a target."""

    names: tuple[str, ...]
    """Names of the modes, K of them."""
    modes: tuple[ModeReach | None, ...]
    """Nearest rows of each mode, K of them; None where it has no row, or cannot have the symmetry."""
    weights: NDArray[np.float64]
    """Probability of each mode at the target, summing to one, shape (K,); 0 where it has nothing near."""
    symmetry: str = "none"
    """Symmetry of the cells."""

    @property
    def distance(self) -> NDArray[np.float64]:
        """Deviation of the nearest row of each mode, shape (K,) [-]; infinite where the mode has no row."""
        return np.array([np.inf if mode is None else mode.deviation[0] for mode in self.modes])

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Whether each mode reaches the target, shape (K,)."""
        return self.distance <= REACHED

    def makers(self, components: Sequence[int]) -> NDArray[np.intp]:
        """Modes that make designs: of those that are asked for the ones that reach the target, or where none
        does, the nearest ones; none where no mode has a volume.
        """
        indices = np.asarray(components, dtype=np.intp)
        distance = self.distance[indices]
        limit = REACHED if (distance <= REACHED).any() else _BESIDE * float(distance.min())
        return indices[np.isfinite(distance) & (distance <= limit)]

    def without(self, components: Sequence[int]) -> Reach:
        """The same where some modes have nothing near."""
        modes = tuple(None if index in components else mode for index, mode in enumerate(self.modes))
        return replace(self, modes=modes)

    def words(self) -> str:
        """Modes that reach the target, and the nearest of the others, for a person to read."""
        distance = self.distance
        others = np.where(self.reached, np.inf, distance)
        reaching = [name for name, is_reached in zip(self.names, self.reached, strict=True) if is_reached]
        text = f"reached by {', '.join(reaching)}" if reaching else "no mode reaches what is asked for"
        if np.isfinite(others).any():
            nearest = int(others.argmin())
            of_others = "of the others " if reaching else ""
            text += f"; the nearest {of_others}is {self.names[nearest]}, {percent_off(distance[nearest])}"
        return text

    def nearest(self, mode: int, names: tuple[str, ...]) -> dict[str, float]:
        """Quantities that a mode can have nearest to the target, each in its unit; empty without a row."""
        found = self.modes[mode]
        if found is None:
            return {}
        cell = found.nearest
        values = dict(zip(names, cell.values(names)[0].tolist(), strict=True))
        for name in names:  # a prediction may be beyond what the phases allow
            ends = quantity_bounds(name, cell.fraction, cell.materials)
            values[name] = float(np.clip(values[name], ends.low[0], ends.high[0]))
        return values


def library_cells(modes: Modes, pair: TwoPhase, symmetry: str = "none") -> tuple[Rows, CellProperties]:
    """Every training volume of the modes with its axes in any order, mode by mode, and its expected
    properties with a pair of phases. Those of the last few pairs are kept.

    Args:
        modes: Trained modes.
        pair: Phases.
        symmetry: Symmetry that is made of the volumes.
    """
    for library, phases, own_symmetry, rows, cells in _kept:
        if library is modes.library and phases == pair and own_symmetry == symmetry:
            return rows, cells
    if symmetry != "none":
        rows, cells = library_cells(modes, pair)
        cells = symmetrised(cells, symmetry)
        _kept.append((modes.library, pair, symmetry, rows, cells))
        return rows, cells
    every = [modes.library.rows_of(index) for index in range(len(modes.names))]
    rows = Rows(
        order=np.concatenate([part.order for part in every]), row=np.concatenate([part.row for part in every])
    )
    cells = modes.cells(rows, pair)
    _kept.append((modes.library, pair, symmetry, rows, cells))
    return rows, cells


def ends_of_modes(modes: Modes, rows: Rows) -> NDArray[np.intp]:
    """Places where the rows of each mode begin, and the end of the last, shape (K + 1,).

    Args:
        modes: Trained modes.
        rows: Rows mode by mode, as of `library_cells`.
    """
    return np.searchsorted(modes.library.mode[rows.row], np.arange(len(modes.names) + 1))


def mode_reach(
    modes: Modes,
    wanted: Targets | Mapping[str, Target],
    pair: TwoPhase | None = None,
    *,
    symmetry: str = "none",
) -> Reach:
    """How near the training volumes of each mode come to a target.

    Args:
        modes: Trained modes.
        wanted: What is wanted.
        pair: Phases; the reference pair if left out.
        symmetry: Symmetry that is made of the volumes.
    """
    targets = Targets.of(wanted)
    phases = REFERENCE_PAIR if pair is None else pair
    together, cells = library_cells(modes, phases, symmetry)
    deviation = np.nan_to_num(targets.largest_deviation(cells), nan=np.inf)
    ends = ends_of_modes(modes, together)
    weights, candidates = np.zeros(len(modes.names)), [np.empty(0, dtype=np.intp)] * len(modes.names)
    for index in range(len(modes.names)):
        places = np.arange(ends[index], ends[index + 1])
        if len(places) and modes.can_have(index, symmetry):
            weights[index] = np.exp(-0.5 * np.square(deviation[places] / _WIDTH)).mean()
            order = targets.order(cells.rows(places), tolerance=0.5 * REACHED)
            candidates[index] = places[order[:_TRIED]]
    chosen = np.concatenate(candidates)
    scales, _ = best_scale(targets, cells.rows(chosen), levels=COARSE)
    low, high = modes.library.fraction_ranges(len(modes.names))
    own_mode = modes.library.mode[together.row[chosen]]
    within = (low[own_mode], high[own_mode])
    all_moved = scaled(cells.rows(chosen), scales, limits=within)
    reach_of_modes: list[ModeReach | None] = []
    for index, end in enumerate(np.cumsum([len(places) for places in candidates])):
        places_of_mode = np.arange(end - len(candidates[index]), end)
        if not len(places_of_mode):
            reach_of_modes.append(None)
            continue
        moved, scale = all_moved.rows(places_of_mode), scales[places_of_mode]
        best = targets.order(moved, tolerance=0.5 * REACHED)[:_NEAR]
        off = np.nan_to_num(targets.largest_deviation(moved)[best], nan=np.inf)
        reach_of_modes.append(
            ModeReach(
                rows=together[candidates[index][best]],
                scale=scale[best],
                deviation=off,
                nearest=moved.rows(best[:1]),
            )
        )
    total = weights.sum()
    return Reach(
        names=modes.names,
        modes=tuple(reach_of_modes),
        weights=weights / total if total > 0.0 else weights,
        symmetry=symmetry,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class NearestTargets:
    """Targets that a mode can have, in place of those that were asked for."""

    targets: Targets
    """What can be had; as asked for where that is within reach."""
    mode: str
    """Mode that comes nearest to what was asked for."""
    changed: tuple[str, ...]
    """Quantities whose targets are others now; empty where what was asked for is within reach."""


def nearest_targets(
    checkpoint: Checkpoint,
    wanted: Targets,
    pair: TwoPhase | None = None,
    *,
    component: int | Sequence[int] | None = None,
    fixed: Sequence[str] = (),
    symmetry: str = "none",
) -> NearestTargets:
    """Targets within reach that are nearest to those that are asked for; `design` takes them in their place.

    Args:
        checkpoint: Trained model with modes.
        wanted: What is asked for.
        pair: Phases; those of the checkpoint if left out.
        component: Mode, or modes, that the designs are to be of: indices; all if left out.
        fixed: Quantities whose targets stay as they are; the others give way to them.
        symmetry: Symmetry that the designs are to have.

    Raises:
        InputError: The checkpoint has no modes, a fixed quantity is not asked for.
        UnreachableTargetError: The fixed targets alone are out of reach.
    """
    if checkpoint.modes is None:
        raise InputError("expected a checkpoint with modes for the nearest targets, got a free mixture")
    held = [canonical_name(name) for name in fixed]
    for name in held:
        if name not in wanted.names:
            raise InputError(f"expected a target of {name}, which is to stay as it is, got none")
    weighed = Targets(
        tuple(replace(item, weight=item.weight * (_HELD if item.name in held else 1.0)) for item in wanted)
    )
    phases = checkpoint.model.materials if pair is None else pair
    reach = mode_reach(checkpoint.modes, weighed, phases, symmetry=symmetry)
    components = (
        list(range(checkpoint.components)) if component is None else np.atleast_1d(component).tolist()
    )
    best = min(components, key=lambda index: float(reach.distance[index]))
    nearest = reach.modes[best]
    if nearest is None:
        raise unreachable(reach, wanted, best)
    deviation = dict(zip(wanted.names, wanted.deviations(nearest.nearest)[0], strict=True))
    off = {item.name: item.weight * float(deviation[item.name]) for item in wanted}
    if held and max(off[name] for name in held) > REACHED:
        held_targets = wanted.only(held)
        own_reach = mode_reach(checkpoint.modes, held_targets, phases, symmetry=symmetry)
        raise unreachable(own_reach, held_targets, best)
    if wanted.largest_deviation(nearest.nearest)[0] <= _NEAR_ENOUGH:
        return NearestTargets(targets=wanted, mode=reach.names[best], changed=())
    values = dict(zip(wanted.names, nearest.nearest.values(wanted.names)[0].tolist(), strict=True))
    targets, changed = [], []
    for item in wanted:
        if item.name in held or off[item.name] <= _GIVEN_UP or not np.isfinite(values[item.name]):
            targets.append(item)
            continue
        changed.append(item.name)
        low, high = values[item.name], values[item.name]
        if not math.isfinite(item.low):
            low = -math.inf
        if not math.isfinite(item.high):
            high = math.inf
        targets.append(replace(item, low=low, high=high))
    return NearestTargets(targets=Targets(tuple(targets)), mode=reach.names[best], changed=tuple(changed))


def out_of_reach(
    checkpoint: Checkpoint,
    wanted: Targets,
    pair: TwoPhase | None = None,
    *,
    component: int | Sequence[int] | None = None,
    symmetry: str = "none",
) -> UnreachableTargetError | None:
    """Words on a target that no mode reaches, to be told beside the designs for it; None where one does.

    Args:
        checkpoint: Trained model; nothing is said of a free mixture.
        wanted: What is asked for.
        pair: Phases; those of the checkpoint if left out.
        component: Mode, or modes, that the designs are of: indices; all if left out.
        symmetry: Symmetry that the designs have.
    """
    if checkpoint.modes is None:
        return None
    phases = checkpoint.model.materials if pair is None else pair
    reach = mode_reach(checkpoint.modes, wanted, phases, symmetry=symmetry)
    components = np.arange(len(reach.names)) if component is None else np.atleast_1d(component)
    nearest = int(components[np.argmin(reach.distance[components])])
    if reach.distance[nearest] <= REACHED:
        return None
    return unreachable(reach, wanted, None if component is None else nearest)


def unreachable(reach: Reach, targets: Targets, mode: int | None) -> UnreachableTargetError:
    """Refusal that says what comes nearest.

    Args:
        reach: How near the modes come.
        targets: What is wanted.
        mode: Index of the mode that was asked for; None for all.
    """
    index = int(np.argmin(reach.distance)) if mode is None else mode
    nearest = reach.nearest(index, targets.names)
    words = "no mode reaches" if mode is None else f"the mode {reach.names[index]} does not reach"
    if not nearest:
        kind = "training volume" if reach.symmetry == "none" else f"{reach.symmetry} volume"
        return UnreachableTargetError(f"{words} {targets.words()}: it has no {kind}", {}, np.inf)
    offer = ", ".join(f"{name} = {value:.4g}{QUANTITIES[name].unit_after}" for name, value in nearest.items())
    distance = float(reach.distance[index])
    message = f"{words} {targets.words()}: the nearest is {reach.names[index]} with {offer}"
    return UnreachableTargetError(f"{message}, {percent_off(distance)}", nearest, float(np.log1p(distance)))
