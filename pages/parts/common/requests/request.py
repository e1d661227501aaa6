"""The request of the Design page: phases, targets, constraints, modes, number, size and seed of the designs.

A request is plain data and free of any user interface. Its link has the words of the command line, such as
`stiff=E-glass&soft=epoxy&target=E_x=20&target=density=:1.9&target=E_z=max@2&connected=stiff`; `request_link`
reads it.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from pages.parts.common.requests.modes import mode_title
from vaereg.errors import InputError
from vaereg.inverse.constraints import Constraints
from vaereg.materials import VOID, Phase, TwoPhase, library
from vaereg.model.checkpoint import Checkpoint
from vaereg.targets import Targets, Wanted, parse

__all__ = [
    "DEFAULT_TARGET",
    "LARGEST",
    "LENGTH_UNITS",
    "MAX_SEED",
    "MAX_TARGETS",
    "PHASE_NUMBERS",
    "SIZES",
    "Request",
    "VoxelLength",
    "default_request",
    "phase_text",
]

SIZES = {32: 48, 64: 16, 96: 6}
"""Voxels per edge, and the largest number of designs of that size: about ten seconds of work."""
MAX_SEED = 2**31 - 1
MAX_TARGETS = 24
"""Largest number of targets of a request."""
LENGTH_UNITS = {"µm": 1.0, "mm": 1000.0}
"""Units of the edge of a voxel, in micrometres."""

LARGEST = 1e12
"""Size of a number beyond which a link is not to be trusted."""
DEFAULT_TARGET = ("C11=60", "C22=40", "C33=40")
"""Target of a new session, and of version 0.1, without modes [GPa]."""
_DEFAULT_MODES_TARGET = ("E_x=40", "E_y=25", "E_z=25")
"""Target of a new session with modes [GPa]."""
PHASE_NUMBERS = {"conductivity": "k", "density": "rho", "thermal_expansion": "alpha"}
"""Numbers of a phase besides Young's modulus and Poisson's ratio, and their names in a link."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VoxelLength:
    """Edge of a voxel."""

    value: float
    """Edge in its unit."""
    unit: str
    """Unit, one of `LENGTH_UNITS`."""

    def __post_init__(self) -> None:
        if self.unit not in LENGTH_UNITS or not 0.0 < self.value < LARGEST:
            raise InputError(f"expected a voxel of some µm or mm, got {self.value:g} {self.unit[:20]}")

    @property
    def millimetres(self) -> float:
        """Edge of a voxel [mm]."""
        return self.value * LENGTH_UNITS[self.unit] / LENGTH_UNITS["mm"]

    def text(self, voxels: float) -> str:
        """Length of a number of voxels, such as "30 µm"."""
        return f"{voxels * self.value:.4g} {self.unit}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """All that the user asks of the designs."""

    pair: TwoPhase = field(default_factory=TwoPhase)
    """The two phases, the stiffer one first."""
    wanted: tuple[Wanted, ...] = ()
    """What is wanted, one entry a quantity."""
    constraints: Constraints = field(default_factory=Constraints)
    """What every design has to meet besides; lengths in voxels."""
    modes: tuple[str, ...] = ()
    """Names of the modes that make designs; none for all that reach the target."""
    component: int | None = None
    """Mixture component of a model without modes, from 0; None for all."""
    count: int = 12
    """Number of designs that is asked for; `made` of them are made."""
    size: int = 32
    """Voxels per edge."""
    seed: int = 0
    """Seed of all random numbers."""
    voxel: VoxelLength | None = None
    """Edge of a voxel; None where lengths are in voxels."""

    @property
    def targets(self) -> Targets | None:
        """Targets of the request; None where it has none."""
        return Targets(self.wanted) if self.wanted else None

    @property
    def made(self) -> int:
        """Number of designs that are made: of large cells fewer."""
        return min(self.count, SIZES[self.size])

    def components(self, checkpoint: Checkpoint) -> tuple[int, ...]:
        """Indices of the modes or of the component that make designs; none for all."""
        if self.component is not None:
            return (self.component,)
        names = () if checkpoint.modes is None else checkpoint.modes.names
        return tuple(index for index, name in enumerate(names) if name in self.modes)

    @property
    def key(self) -> str:
        """Text that is equal for requests of the same designs: the length of a voxel changes none."""
        return replace(self, voxel=None, count=self.made).text()

    def link(self) -> list[tuple[str, str]]:
        """Names and values of what is not that of a new session, as the address has them."""
        new, link = Request(), []
        for name, phase, own in (
            ("stiff", self.pair.stiff, new.pair.stiff),
            ("soft", self.pair.soft, new.pair.soft),
        ):
            link += [(name, phase_text(phase))] if phase != own else []
        link += [("target", text) for item in self.wanted for text in _texts(item)] or [("target", "none")]
        link += _constraints_link(self.constraints)
        link += [("modes", mode_title(name)) for name in self.modes]
        link += [] if self.component is None else [("component", str(self.component + 1))]
        for name in ("count", "seed", "size"):
            link += [] if getattr(self, name) == getattr(new, name) else [(name, str(getattr(self, name)))]
        return link + ([] if self.voxel is None else [("voxel", f"{self.voxel.value:g}{self.voxel.unit}")])

    def text(self) -> str:
        """The link as one text."""
        return urlencode(self.link())

    def stored(self) -> dict[str, Any]:
        """Plain values for a session file; `request_link.read_stored` reads them."""
        return {"link": self.text()}


def default_request(checkpoint: Checkpoint) -> Request:
    """Request of a new session."""
    texts = DEFAULT_TARGET if checkpoint.modes is None else _DEFAULT_MODES_TARGET
    return Request(pair=checkpoint.model.materials, wanted=parse(texts).wanted)


def phase_text(phase: Phase) -> str:
    """Phase in a link: a name of the library, or name and numbers, such as "alloy;E=70;nu=0.3;rho=2.7"."""
    if {**library(), VOID.name: VOID}.get(phase.name) == phase:
        return phase.name
    numbers = [f"E={phase.young_modulus:.10g}", f"nu={phase.poisson_ratio:.10g}"]
    numbers += [
        f"{short}={getattr(phase, name):.10g}"
        for name, short in PHASE_NUMBERS.items()
        if getattr(phase, name) is not None
    ]
    return ";".join([phase.name.replace(";", ",").strip(), *numbers])


def _constraints_link(constraints: Constraints) -> list[tuple[str, str]]:
    link = []
    sizes = constraints.min_feature_stiff, constraints.min_feature_soft
    if any(sizes):
        link.append(("feature", ",".join(f"{size:g}" for size in sizes[: 1 + (sizes[0] != sizes[1])])))
    for phase, axes in constraints.connected.items():
        link.append(("connected", phase if axes == "xyz" else f"{phase}:{axes}"))
    if constraints.symmetry != "none":
        link.append(("symmetry", constraints.symmetry))
    for name in ("no_islands", "no_closed_pores"):
        link += [(name, "1")] if getattr(constraints, name) else []
    return link


def _texts(item: Wanted) -> list[str]:
    """Target as `parse` reads it; one with a range and an objective is two, which `_wanted` joins."""
    if item.goal and item.is_bounded:
        return [replace(item, goal="").text(), replace(item, low=-math.inf, high=math.inf).text()]
    return [item.text()]
