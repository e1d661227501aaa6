"""Designs that carry nothing of what is asked for: pieces of a solid apart in a void.

Such a cell has no Poisson ratio, no expansion and no stiffness in some direction, or in any. It meets no
target of these, however good its other figures are.

Letters: N cells, T quantities that are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vaereg.targets import QUANTITIES, CellProperties, Targets

__all__ = ["Idle", "carries", "idle_of"]

_LEAST = 1e-9
"""Share of the largest value that a phase allows, below which a quantity counts as none [-]."""
_MEANS = ("E", "nu", "K", "G", "specific_E", "specific_sqrt_E", "specific_cbrt_E")
"""Means over orientations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Idle:
    """Candidates that carry nothing of what is asked for."""

    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Their number, and that of all candidates, of each mode that has any."""
    quantities: tuple[str, ...] = ()
    """What they lack of what is asked for: zero, or undefined; none where they carry no load at all."""
    kept: bool = False
    """Whether they are shown all the same: of a mode that was asked for, or where there are no others."""

    def __bool__(self) -> bool:
        return bool(self.counts)

    def joined(self, other: Idle) -> Idle:
        """The same with others of the same candidates, which were found later."""
        counts = {
            mode: (self.counts.get(mode, (0, 0))[0] + few, self.counts.get(mode, (0, many))[1])
            for mode, (few, many) in other.counts.items()
        }
        names = dict.fromkeys((*self.quantities, *other.quantities))
        return replace(self, counts={**self.counts, **counts}, quantities=tuple(names))

    def words(self) -> str:
        """Clause for a person to read, which says whether they are shown."""
        modes = ", ".join(f"{name} ({few} of {many})" for name, (few, many) in self.counts.items())
        what = f"without {' and '.join(self.quantities)}" if self.quantities else "which carry no load at all"
        if self.kept:
            return f"some designs are in pieces apart in the void, {what}: {modes}"
        return f"designs in pieces apart in the void, {what}, are left out: {modes}"


def carries(targets: Targets, cells: CellProperties) -> NDArray[np.bool_]:
    """Whether each cell has all that is asked for, and carries load at all, shape (N,)."""
    return np.logical_not(_missing(targets, cells).any(axis=1))


def idle_of(
    targets: Targets,
    cells: CellProperties,
    component: NDArray[np.integer],
    modes: Sequence[str],
    *,
    kept: bool = False,
) -> Idle:
    """Account of the candidates that carry nothing of what is asked for.

    Args:
        targets: What is wanted.
        cells: Properties of the N candidates.
        component: Index of the mixture component of each, shape (N,).
        modes: Names of the components; none for those of a free mixture, which have numbers.
        kept: Whether such designs are shown all the same.
    """
    missing = _missing(targets, cells)
    idle: NDArray[np.bool_] = np.any(missing, axis=1)
    counts = {
        modes[index] if modes else f"component {index}": (int(idle[own].sum()), int(own.sum()))
        for index in dict.fromkeys(map(int, component))
        for own in [component == index]
        if idle[own].any()
    }
    names = [
        name for name, column in zip(targets.names, missing.T[: len(targets)], strict=True) if column.any()
    ]
    return Idle(counts=counts, quantities=tuple(names), kept=kept)


def _missing(targets: Targets, cells: CellProperties) -> NDArray[np.bool_]:
    """Which quantities each cell lacks, and last whether it carries no load at all, shape (N, T + 1)."""
    pair = cells.materials.ordered()
    if not (pair.has_void or 0.0 in (pair.stiff.conductivity, pair.soft.conductivity)):
        return np.zeros((len(cells), len(targets) + 1), dtype=bool)
    values = cells.values(targets.names)
    missing = np.isnan(values)
    falls_apart = pair.has_void & np.isnan(cells.values(["anisotropy"])[:, 0])
    largest = {
        "GPa": pair.e_stiff,
        "W/(m K)": max(pair.stiff.conductivity or 0.0, pair.soft.conductivity or 0.0),
    }
    for place, item in enumerate(targets):
        quantity = QUANTITIES[item.name]
        if quantity.positive and (item.goal == "max" or item.low > 0.0):
            missing[:, place] |= values[:, place] <= _LEAST * largest.get(quantity.unit, 0.0)
            # a mean over orientations of which some carry nothing
            missing[:, place] |= falls_apart & (item.name in _MEANS)
    is_nothing = (np.abs(cells.stiffness) <= _LEAST * pair.e_stiff).all(axis=(1, 2))
    asks_load = targets.needs_stiffness or not targets.needs_conductivity
    return np.column_stack([missing, is_nothing & pair.has_void & asks_load])
