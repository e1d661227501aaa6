"""All properties of a cell that its phases allow, as plain values by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg.engineering import engineering_constants, mixed_density, thermal_expansion
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.solver.conduction import conduct

__all__ = ["PHYSICS", "elastic_properties", "parse_physics", "thermal_properties"]

PHYSICS = ("elastic", "thermal")
"""What can be solved for a cell."""


def parse_physics(text: str) -> tuple[str, ...]:
    """Names of `PHYSICS` with commas between them.

    Raises:
        InputError: A name is none of these.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not names or not set(names) <= set(PHYSICS):
        raise InputError(f"expected physics of {', '.join(PHYSICS)}, got {text!r}")
    return names


def elastic_properties(
    stiffness: NDArray[np.float64], volume_fraction: float, materials: TwoPhase
) -> dict[str, Any]:
    """What follows from the stiffness (6, 6) [GPa] and the phases, as far as these say: `engineering`
    (constants by name, None where no load is carried), `thermal_expansion` (6) [1e-6/K], `density` [g/cm³].
    """
    properties: dict[str, Any] = {"engineering": engineering_constants(stiffness).by_name()}
    solid = [phase for phase in (materials.stiff, materials.soft) if not phase.is_void]
    if all(phase.thermal_expansion is not None for phase in solid):
        expansion = thermal_expansion(stiffness, volume_fraction, materials)
        properties["thermal_expansion"] = [
            float(value) if np.isfinite(value) else None for value in expansion
        ]
    if materials.stiff.density is not None and materials.soft.density is not None:
        properties["density"] = mixed_density(volume_fraction, materials)
    return properties


def thermal_properties(
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    *,
    rtol: float,
    voxel_size: Sequence[float] | None = None,
) -> dict[str, Any]:
    """`conductivity` (3, 3) [W/(m K)] and how it was solved, `conduction`; nothing where a phase has none."""
    if materials.stiff.conductivity is None or materials.soft.conductivity is None:
        return {}
    result = conduct(volume, materials, rtol=rtol, voxel_size=voxel_size, raise_on_failure=False)
    return {
        "conductivity": result.conductivity.tolist(),
        "conduction": {
            "iterations": result.iterations,
            "residual": result.residual,
            "converged": result.converged,
            "blocked": list(result.blocked),
        },
    }
