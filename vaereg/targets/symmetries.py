"""What the symmetry of a cell makes of its properties: quantities that vanish, and those that are equal.

Cells with mirrors normal to x, y and z are orthotropic; tetragonal ones have x and y alike as well, cubic
ones all three axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vaereg.elasticity import AXIS_ORDERS, SYMMETRY_ORDERS, VOIGT_ORDER
from vaereg.errors import InputError
from vaereg.targets.properties import COUPLING_SHARE, CellProperties
from vaereg.targets.quantities import QUANTITIES, canonical_name
from vaereg.targets.wanted import Targets

__all__ = ["check_symmetry", "symmetrised"]

_TOLERANCE = 0.01
"""Deviation up to which a target counts as met [-]."""


def check_symmetry(targets: Targets, symmetry: str, largest: Callable[[str], float]) -> None:
    """Refuse targets that no cell of a symmetry has.

    Args:
        targets: What is wanted.
        symmetry: "none", "orthotropic", "tetragonal" or "cubic".
        largest: Largest value of an entry of the diagonal that the bounds allow, by its name.

    Raises:
        InputError: A quantity vanishes by symmetry, or two are equal, and other values are asked for.
    """
    if symmetry == "none":
        return
    ranges = {item.name: (item.low, item.high) for item in targets if item.is_bounded}
    for name, (low, high) in ranges.items():
        asked = low if low > 0.0 else min(high, 0.0)
        first, second = _diagonal_of(name)
        scale = COUPLING_SHARE * math.sqrt(max(largest(first) * largest(second), 0.0)) if first else 0.0
        if first and abs(asked) > _TOLERANCE * max(scale, abs(asked)):
            raise InputError(f"{name} = {_text(name, asked)} cannot be had: it is 0 in every {symmetry} cell")
    for name, (low, _) in ranges.items():
        for other in _equal_to(name, symmetry):
            if other in ranges and low - ranges[other][1] > _TOLERANCE * (abs(low) + abs(ranges[other][1])):
                values = f"{name} = {_text(name, low)} and {other} = {_text(other, ranges[other][1])}"
                raise InputError(f"{values} exclude each other: they are equal in every {symmetry} cell")


def symmetrised(cells: CellProperties, symmetry: str) -> CellProperties:
    """Cells with the mean stiffness and conductivity over the exchanges and mirrors of a symmetry: about what
    cells have of which the geometry is made symmetric.

    Args:
        cells: N cells.
        symmetry: "none", "orthotropic", "tetragonal" or "cubic".
    """
    if symmetry == "none":
        return cells
    orders = SYMMETRY_ORDERS[symmetry]
    of_voigt = [order for order in AXIS_ORDERS if order[:3] in orders]
    stiffness = np.mean([cells.stiffness[:, order][:, :, order] for order in of_voigt], axis=0)
    stiffness[:, 3:, :3] = stiffness[:, :3, 3:] = 0.0
    stiffness[:, 3:, 3:] *= np.eye(3)
    conductivity = cells.conductivity
    if conductivity is not None:
        conductivity = np.mean([conductivity[:, order][:, :, order] for order in orders], axis=0) * np.eye(3)
    return CellProperties(
        stiffness=stiffness, fraction=cells.fraction, materials=cells.materials, conductivity=conductivity
    )


def _diagonal_of(name: str) -> tuple[str, str]:
    """Entries of the diagonal that a vanishing coupling lies between; empty for other quantities."""
    if not QUANTITIES[name].is_coupling:
        return "", ""
    if name.startswith("k_"):
        return f"k_{name[2]}", f"k_{name[3]}"
    i, j = int(name[1]), int(name[2])
    letters = VOIGT_ORDER[i - 1] + VOIGT_ORDER[j - 1]
    if all(letters.count(axis) % 2 == 0 for axis in "xyz"):  # no mirror changes its sign
        return "", ""
    return f"C{i}{i}", f"C{j}{j}"


def _equal_to(name: str, symmetry: str) -> set[str]:
    """Other quantities that have the same value in every cell of a symmetry."""
    return {_renamed(name, order) for order in SYMMETRY_ORDERS[symmetry]} - {name}


def _renamed(name: str, order: tuple[int, ...]) -> str:
    """The quantity with each axis exchanged for the one at its place in an order."""
    axes = {axis: "xyz"[place] for axis, place in zip("xyz", order, strict=True)}
    if name[0] == "C" and name[1:].isdigit():
        moved = [
            "".join(sorted(axes[letter] for letter in VOIGT_ORDER[int(digit) - 1])) for digit in name[1:]
        ]
        return canonical_name("C" + "".join(str(VOIGT_ORDER.index(pair) + 1) for pair in moved))
    kind, _, suffix = name.rpartition("_")
    if not kind or not set(suffix) <= set("xyz"):
        return name
    return canonical_name(f"{kind}_" + "".join(axes[letter] for letter in suffix))


def _text(name: str, value: float) -> str:
    return f"{value:.4g}{QUANTITIES[name].unit_after}"
