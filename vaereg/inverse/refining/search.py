"""A refinement under way and its outcome, as plain data.

Letters: P targeted quantities, X Y Z voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.constraints import Constraints
from vaereg.inverse.refining.effects import Effects
from vaereg.inverse.refining.flips import Flips, Ratios
from vaereg.materials import TwoPhase
from vaereg.targets import CellProperties, Targets

__all__ = [
    "DRAWN",
    "FIRST_GAIN",
    "FIRST_TRUST",
    "LEAST_GAIN",
    "SHAKEN",
    "STALLED",
    "Base",
    "Best",
    "Drawn",
    "Origin",
    "Refinement",
    "Search",
    "Step",
]

FIRST_GAIN = 0.05
"""Relative gain in each objective that a search aims at first [-]."""
LEAST_GAIN = 0.005
"""Relative gain in each objective that is aimed at, below which no more is asked for [-]."""
FIRST_TRUST = 0.03
"""Largest share of the voxels that are flipped between two solves, unless flips led away [-]."""
STALLED = "more solves bring it hardly nearer; another mode, a larger cell or a looser tolerance may help"
"""Words on a refinement that stalled."""
SHAKEN = "flips brought it no nearer, so it went on with its interface moved at random"
"""Words on a refined volume that a search which stalled has shaken."""
DRAWN = "flips brought it no nearer, so another volume of its mode was drawn in its place"
"""Words on a refined volume that was drawn where a search stalled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What the volume at the start was drawn from, and others may be: a component of the prior."""

    component: int
    """Index of the mixture component."""
    lengths: Literal["voxels", "relative"] = "voxels"
    """Whether lengths are those of cells of 32 voxels, or grow with the cell, as in `design`."""
    checkpoint: str | None = None
    """File of the trained model; the shipped one if None."""
    made_by: str
    """Hash of the trained model: none are drawn where the file has another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What a volume was decoded from that took the place of the one at the start."""

    latent: NDArray[np.float32]
    """Latent vector, shape (D,)."""
    realisation: int
    """Seed of the noise, or of the positions."""
    cut_fraction: float
    """Volume fraction at which the field was cut [-]."""
    recipe: dict[str, Any]
    """What it was made of, see `vaereg.inverse.recipes`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One solve of a search."""

    solves: int
    """Solves so far, with this one."""
    largest_distance: float
    """Largest relative distance of a targeted property from its target [-], by this solve."""
    properties: NDArray[np.float64]
    """C11, C22, ... C66 by this solve, shape (6,) [GPa]."""
    quantities: NDArray[np.float64]
    """Targeted quantities by this solve, each in its unit, shape (P,)."""
    flipped: int
    """Voxels that changed since the former solve."""
    iterations: int
    """Conjugate-gradient iterations: the fewer, the better the former displacements served as a start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refinement:
    """Outcome of a search."""

    volume: NDArray[np.uint8]
    """The best volume that was found, 0 or 1, shape (X, Y, Z)."""
    stiffness: NDArray[np.float64]
    """Its stiffness by a solve in float64 at 1e-6, shape (6, 6) [GPa]."""
    properties: CellProperties
    """The same with the conductivity, where a target needs it: the properties of one cell."""
    largest_distance: float
    """Largest relative distance of a targeted property from its target [-], by that stiffness."""
    converged: bool
    """True if every quantity is within the tolerance, and every constraint is met."""
    stalled: bool
    """True if it is not, and more solves are no use: the last ones came hardly nearer, or no flips do."""
    solves: int
    """All solves, the last one in float64 among them."""
    history: tuple[Step, ...]
    """Every solve, in order."""
    changed: float
    """Share of voxels that differ from the volume at the start [-]."""
    moved: float
    """Distance of the two-point statistics from those at the start; see `statistics_distance` [-]."""
    shaken: bool = False
    """True if the search stalled, and went on to this volume from one with its interface shaken."""
    drawn: Drawn | None = None
    """What this volume was decoded from, if the search stalled and went on to it from another one of the
    component; None if it comes from the volume at the start."""

    @property
    def begun_words(self) -> str:
        """Words on where this volume comes from; none where flips alone led to it from the start."""
        return DRAWN if self.drawn is not None else SHAKEN if self.shaken else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """Best volume of a search so far."""

    volume: NDArray[np.uint8]
    """Phases 0 and 1, shape (X, Y, Z)."""
    largest_distance: float = np.inf
    """Largest relative distance of a targeted quantity [-]."""
    beyond: float = np.inf
    """How far it is beyond ranges and one-sided bounds; see `aims.beyond_bounds` [-]."""
    quantities: NDArray[np.float64] | None = None
    """Its quantities, shape (P,)."""
    shaken: bool = False
    """Whether the search went on to it from a volume with its interface shaken."""
    drawn: Drawn | None = None
    """What it was decoded from, where the search went on from a volume that was drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """Volume that the next flips are made to, with what its solve says of them."""

    volume: NDArray[np.uint8]
    """Phases 0 and 1, shape (X, Y, Z)."""
    cell: CellProperties
    """Its properties."""
    effects: Effects
    """What flips of it would do."""
    distance: float
    """Distance from the targets, by which steps are judged; see `aims.distance` [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A refinement under way: plain data that can be sent to another process between two solves."""

    start: NDArray[np.uint8]
    """Volume at the start, shape (X, Y, Z)."""
    targets: Targets
    """Wanted quantities."""
    materials: TwoPhase
    """The two phases."""
    tolerance: float
    """Relative distance that counts as reached [-]."""
    max_solves: int
    """Largest number of solves, that of the verification among them."""
    volume: NDArray[np.uint8]
    """Volume to be solved next."""
    history: tuple[Step, ...]
    """Solves so far."""
    best: Best
    """Best volume so far."""
    constraints: Constraints = field(default_factory=Constraints)
    """What every volume has to meet."""
    ratios: Ratios | None = None
    """Actual by estimated changes of the quantities; None before the first solve."""
    gain: float = FIRST_GAIN
    """Relative gain in each objective that is aimed at [-]."""
    flips: Flips | None = None
    """Flips that made `volume` from the volume before it."""
    base: Base | None = None
    """Volume that these flips were made to."""
    trust: float = FIRST_TRUST
    """Largest share of the voxels that are flipped between two solves, less after flips that led away [-]."""
    avoided: tuple[int, ...] = ()
    """Voxels that are left alone: few flips that led away, as those that open a neck; indices in C order."""
    solve_first: bool = False
    """True if the volume at the start is solved before it is changed."""
    by_prediction: bool = True
    """True if predictions, shifted onto the last solve, choose the next volume; False if the solve's own
    sensitivities do."""
    restarts: int = 0
    """Other volumes that were looked at in place of the best one, where the search stalled."""
    draws: int = 0
    """Times that volumes were drawn from the component, after these."""
    begun: int = 0
    """Solves before the search began from the last of all these volumes."""
    shaken: bool = False
    """Whether that is one with its interface shaken."""
    drawn: Drawn | None = None
    """What it was decoded from, if it was drawn."""
    origin: Origin | None = None
    """What others may be drawn from; None where that is not known."""
    displacement: NDArray | None = None
    """Displacements of the last solve, where the next solve starts, shape (6, 3, X, Y, Z) [voxel]."""
    verify: bool = False
    """True if the next solve is the last: the verification of the best volume in float64."""
    result: Refinement | None = None
    """Outcome, once the search is over."""

    @property
    def is_restoring(self) -> bool:
        """Whether objectives are free for the best volume to come within its bounds: it is beyond one, and no
        more of the objectives is asked for.
        """
        is_last = len(self.history) >= self.max_solves - 2
        return 0.0 < self.best.beyond < np.inf and (self.gain < LEAST_GAIN or is_last)
