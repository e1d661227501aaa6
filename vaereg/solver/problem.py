"""What the solvers are given, checked: phase field, edges of a voxel, element, moduli of order one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import VOIGT_ORDER, mandel_to_voigt, voigt_to_mandel
from vaereg.engineering import loaded_directions
from vaereg.errors import InputError
from vaereg.materials import TwoPhase

__all__ = [
    "BBAR_POISSON_RATIO",
    "ELEMENTS",
    "as_displacement",
    "as_phase_field",
    "choose_element",
    "scaled_moduli",
    "tolerance_for",
    "voxel_edges",
    "without_rounding",
]

ELEMENTS = ("auto", "hex8", "bbar")
"""Elements of a voxel: full integration, mean dilatation, or the choice by `BBAR_POISSON_RATIO`."""
BBAR_POISSON_RATIO = 0.45
"""Poisson ratio [-] above which "auto" takes B-bar elements: full integration locks towards 1/2. At 0.49 the
shear stiffness of a cell of spheres is 1.6 times that of a fine grid."""
_UNLOADED = 1e-6
"""Eigenvalue of the stiffness over Young's modulus [-], below which a cell with voids carries no load: what
rounding leaves of a solid that does not percolate is 1e-7."""


def as_phase_field(phase: ArrayLike) -> NDArray[np.float64]:
    """Phase field of shape (X, Y, Z) in float64.

    Raises:
        ValueError: `phase` is not three-dimensional, is empty or no numbers, or leaves 0 to 1.
    """
    field = np.asarray(phase)
    if field.ndim != 3 or field.size == 0:
        raise ValueError(f"expected a phase field of shape (X, Y, Z), got shape {field.shape}")
    if field.dtype.kind not in "buif":
        raise ValueError(f"expected numbers from 0 (soft) to 1 (stiff), got dtype {field.dtype}")
    field = field.astype(np.float64)
    if not (field.min() >= 0.0 and field.max() <= 1.0):
        raise ValueError(
            f"expected phase values from 0 (soft) to 1 (stiff), got {field.min():g} to {field.max():g}"
        )
    return field


def as_displacement(initial: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    """Displacements to start from, shape (6, 3, X, Y, Z).

    Raises:
        ValueError: `initial` has another shape, or is not finite.
    """
    displacement = np.asarray(initial)
    if displacement.shape != (6, 3, *shape):
        raise ValueError(
            f"expected initial displacements of shape {(6, 3, *shape)}, got shape {displacement.shape}"
        )
    if displacement.dtype.kind != "f" or not np.isfinite(displacement).all():
        raise ValueError("expected initial displacements that are finite real numbers")
    return displacement


def voxel_edges(voxel_size: Sequence[float] | None) -> tuple[float, float, float]:
    """Edges of a voxel along x, y, z.

    Raises:
        InputError: They are not three positive numbers.
    """
    edges = (1.0, 1.0, 1.0) if voxel_size is None else tuple(map(float, voxel_size))
    if len(edges) != 3 or not all(np.isfinite(edge) and edge > 0.0 for edge in edges):
        raise InputError(f"expected a voxel size of three positive numbers, got {voxel_size}")
    return edges


def choose_element(element: str, materials: TwoPhase) -> str:
    """Element of a voxel, "hex8" or "bbar".

    Raises:
        InputError: `element` is none of `ELEMENTS`.
    """
    if element not in ELEMENTS:
        raise InputError(f"expected an element of {', '.join(ELEMENTS)}, got {element!r}")
    if element != "auto":
        return element
    solid = [phase for phase in (materials.stiff, materials.soft) if not phase.is_void]
    return "bbar" if max(phase.poisson_ratio for phase in solid) > BBAR_POISSON_RATIO else "hex8"


def scaled_moduli(materials: TwoPhase | None) -> tuple[TwoPhase, float]:
    """Phases with moduli of order one, which neither overflow nor underflow, and the unit of these [GPa]."""
    pair = TwoPhase() if materials is None else materials
    unit = max(pair.e_stiff, pair.e_soft)
    return pair.scaled(1.0 / unit), unit


def tolerance_for(materials: TwoPhase | None = None) -> float:
    """Relative residual [-] in float32 that suffices for a stiffness within 1e-5 of the exact one, by the
    contrast c: 1e-2 / sqrt(c), from 2e-3 at 25 to 1e-4 at 10,000 and for a void.
    """
    pair = (materials or TwoPhase()).ordered()
    return 1e-4 if pair.has_void else float(np.clip(1e-2 / np.sqrt(pair.contrast), 1e-4, 2e-3))


def without_rounding(stiffness: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Stiffness (6, 6) of a cell with voids, whose solid has a Young's modulus of 1, without what rounding
    leaves where it carries no load; and the names of the stresses that it does not carry.
    """
    values, vectors_ = np.linalg.eigh(voigt_to_mandel(stiffness))
    if values.min() >= _UNLOADED:
        return stiffness, ()
    carrying_values = np.where(values < _UNLOADED, 0.0, values)
    cleaned = mandel_to_voigt((vectors_ * carrying_values) @ vectors_.T)
    loaded = loaded_directions(cleaned)
    return cleaned, tuple(name for name, carries in zip(VOIGT_ORDER, loaded, strict=True) if not carries)
