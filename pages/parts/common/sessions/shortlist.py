"""Volumes that a user has put aside, free of any user interface."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vaereg.inverse.constraints import Constraints
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import volume_hash
from vaereg.targets import CellProperties, Target, Targets

__all__ = ["MAX_ITEMS", "MAX_NAME", "MAX_VOXELS", "ShortlistItem", "add_item", "free_name"]

MAX_ITEMS = 24
"""Largest number of volumes in a shortlist."""
MAX_VOXELS = 2**24
"""Largest number of voxels of a shortlist: sixteen cells of 96³ or eight of 128³."""
MAX_NAME = 80
"""Largest number of characters of a name."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ShortlistItem:
    """Volume that was put aside, with its prediction and stiffness as far as they were computed by then."""

    name: str
    """Name that the user gave it."""
    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (X, Y, Z)."""
    origin: str
    """Origin of the volume in words."""
    targets: Targets | Mapping[str, Target] | None = None
    """Target of the design, or values and ranges by name; None of a volume that was not designed."""
    materials: TwoPhase = field(default_factory=TwoPhase)
    """The two phases of all figures."""
    constraints: Constraints = field(default_factory=Constraints)
    """What the design has to meet besides."""
    mean: NDArray[np.float64] | None = None
    """Predicted C11 to C66 [GPa], shape (6,)."""
    std: NDArray[np.float64] | None = None
    """Their standard deviation [GPa], shape (6,)."""
    predicted: NDArray[np.float64] | None = None
    """Predicted stiffness, shape (6, 6) [GPa]; None where C11 to C66 alone are predicted."""
    conductivity: NDArray[np.float64] | None = None
    """Conductivity by the solver, shape (3, 3) [W/(m K)]; None where no target needs it."""
    stiffness: NDArray[np.float64] | None = None
    """Stiffness by the solver, shape (6, 6) [GPa]; None until it is computed or read."""
    from_file: bool = False
    """Whether the stiffness was read from a session file, so that nothing here has verified it."""
    tolerance: float | None = None
    """Relative residual at which the solver stopped [-]; None where it is unknown."""
    solves: int | None = None
    """Solves that refinement took; None where it was not refined."""
    latent: NDArray[np.float64] | None = None
    """Latent vector that the volume was decoded from, shape (D,)."""
    component: int | None = None
    """Mode or mixture component, from 0."""
    mode: str = ""
    """Name of the mode; empty of a volume that no mode made."""
    seed: int | None = None
    """Seed of the random numbers that made the volume."""
    checkpoint: str = ""
    """Hash of the checkpoint that made or judged it."""

    def __post_init__(self) -> None:
        if isinstance(self.targets, Mapping):
            wanted = Targets.of(self.targets) if self.targets else None
            object.__setattr__(self, "targets", wanted)

    @property
    def wanted(self) -> Targets | None:
        """Target of the design."""
        return self.targets if isinstance(self.targets, Targets) else None

    def cells(self, stiffness: NDArray[np.float64] | None) -> CellProperties:
        """Properties of the volume with a stiffness (6, 6), or its diagonal (6,), [GPa], as one cell."""
        if stiffness is None:
            stiffness = np.full(6, np.nan)
        whole = stiffness if stiffness.ndim == 2 else np.full((6, 6), np.nan)
        if stiffness.ndim == 1:
            whole[range(6), range(6)] = stiffness
        return CellProperties(
            stiffness=whole[None],
            fraction=np.array([self.volume.mean(dtype=np.float64)]),
            materials=self.materials,
            conductivity=None if self.conductivity is None else self.conductivity[None],
        )

    @property
    def predicted_cells(self) -> CellProperties:
        """Properties by prediction, as one cell."""
        return self.cells(self.mean if self.predicted is None else self.predicted)

    @property
    def solved_cells(self) -> CellProperties:
        """Properties by the solver or from a file, as one cell."""
        return self.cells(self.stiffness)

    @property
    def verified(self) -> bool:
        """Whether the solver has computed the stiffness in this program."""
        return self.stiffness is not None and not self.from_file

    @property
    def hash(self) -> str:
        """Hash of the volume."""
        return volume_hash(self.volume)


def add_item(items: Sequence[ShortlistItem], item: ShortlistItem) -> list[ShortlistItem]:
    """A shortlist with one more item, under a name of its own; the same one if its volume is there already.

    Raises:
        ValueError: The shortlist is full.
    """
    if item.hash in {other.hash for other in items}:
        return list(items)
    if len(items) >= MAX_ITEMS:
        raise ValueError(f"the shortlist is full: it holds {MAX_ITEMS} designs")
    if sum(other.volume.size for other in items) + item.volume.size > MAX_VOXELS:
        raise ValueError(f"the shortlist is full: it holds {MAX_VOXELS / 1e6:.1f} million voxels")
    name = free_name(item.name, {other.name for other in items})
    return [*items, replace(item, name=name, volume=np.array(item.volume, dtype=np.uint8))]


def free_name(name: str, taken: set[str]) -> str:
    """A name on one line, not too long, with a number behind it where it is taken."""
    name = " ".join(name.split()) or "unnamed"
    if len(name) > MAX_NAME:
        name = f"{name[: MAX_NAME - 1].rstrip()}…"
    result, number = name, 2
    while result in taken:
        result, number = f"{name[: MAX_NAME - 6]} ({number})", number + 1
    return result
