"""Sessions of the solver's queue: what each one shows and wants."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pages.parts.solving.tasks import volume_name
from vaereg.materials import TwoPhase
from vaereg.solver.homogenization import HomogenizationResult

__all__ = ["Job", "Outcome", "Pairs", "Session", "jobs_of", "pairs_of"]

Outcome = HomogenizationResult | Exception | None
"""The solver's result for a volume, the error that prevented it, or None while it is outstanding."""

Pairs = TwoPhase | Sequence[TwoPhase | None] | None
"""The two phases of all volumes, or those of each volume; the reference pair if left out."""
Job = tuple[NDArray[np.uint8], TwoPhase | None]
"""Volume of shape (X, Y, Z) and its two phases."""


@dataclass(slots=True)
class Session:
    """Session of a user, as the queue knows it."""

    seen: float
    """Time of its last call [s]."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """Shown volumes by name, the most wanted first."""
    tasks: list[str] = field(default_factory=list)
    """Names of its unfinished tasks, in the order in which they are wanted."""
    owner: str = ""
    """Who its tasks count for."""


def pairs_of(volumes: Sequence[NDArray[np.uint8]], materials: Pairs) -> list[TwoPhase | None]:
    """Phases of each volume."""
    return [*materials] if isinstance(materials, Sequence) else [materials] * len(volumes)


def jobs_of(volumes: Sequence[NDArray[np.uint8]], materials: Pairs) -> dict[str, Job]:
    """Return volumes and their phases by name."""
    pairs = zip(volumes, pairs_of(volumes, materials), strict=True)
    return {volume_name(volume, pair): (volume, pair) for volume, pair in pairs}
