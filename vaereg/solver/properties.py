"""All properties of a cell that its phases allow, as plain values by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg.engineering import (
    EngineeringConstants,
    engineering_constants,
    mixed_density,
    thermal_expansion,
)
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.solver.conduction import conduct

__all__ = [
    "PHYSICS",
    "elastic_properties",
    "parse_physics",
    "specific_moduli",
    "thermal_properties",
    "wave_speeds",
]

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
    (constants by name, None where no load is carried), `thermal_expansion` (6) [1e-6/K], `density` [g/cm³],
    and with it `specific` (see `specific_moduli`) and `wave_speeds`.
    """
    constants = engineering_constants(stiffness)
    properties: dict[str, Any] = {"engineering": constants.by_name()}
    solid = [phase for phase in (materials.stiff, materials.soft) if not phase.is_void]
    if all(phase.thermal_expansion is not None for phase in solid):
        expansion = thermal_expansion(stiffness, volume_fraction, materials)
        properties["thermal_expansion"] = [
            float(value) if np.isfinite(value) else None for value in expansion
        ]
    if materials.stiff.density is not None and materials.soft.density is not None:
        density = mixed_density(volume_fraction, materials)
        properties["density"] = density
        if density > 0.0:
            properties["specific"] = specific_moduli(constants, density)
            properties["wave_speeds"] = wave_speeds(stiffness, density)
    return properties


def specific_moduli(constants: EngineeringConstants, density: float) -> dict[str, float]:
    """Young's moduli over the density [g/cm³], as ties, beams and plates of least mass ask for (Ashby 2011,
    Materials Selection in Mechanical Design, doi:10.1016/C2009-0-25539-5).

    Returns:
        E_a/density [GPa cm³/g], sqrt(E_a)/density [GPa^(1/2) cm³/g], cbrt(E_a)/density [GPa^(1/3) cm³/g].
    """
    young = {f"E_{axis}": float(value) for axis, value in zip("xyz", constants.young, strict=True)}
    return {
        **{f"{name}/density": value / density for name, value in young.items()},
        **{f"sqrt({name})/density": value ** (1.0 / 2.0) / density for name, value in young.items()},
        **{f"cbrt({name})/density": value ** (1.0 / 3.0) / density for name, value in young.items()},
    }


def wave_speeds(stiffness: NDArray[np.float64], density: float) -> dict[str, list[float]]:
    """Speeds of plane waves far longer than the cell along x, y and z [km/s], the fastest first, which is
    nearly longitudinal (Christoffel's equation; Auld 1973, Acoustic Fields and Waves in Solids).

    Args:
        stiffness: Voigt order, shape (6, 6) [GPa].
        density: Mass density [g/cm³].
    """
    pairs = [(0, 5, 4), (5, 1, 3), (4, 3, 2)]  # Voigt index of ij in row i
    speeds = {}
    for axis, rows in zip("xyz", pairs, strict=True):
        values = np.linalg.eigvalsh(np.asarray(stiffness, dtype=np.float64)[np.ix_(rows, rows)])
        speeds[axis] = np.sqrt(np.maximum(values[::-1], 0.0) / density).tolist()
    return speeds


def thermal_properties(
    volume: NDArray[np.uint8],
    materials: TwoPhase,
    *,
    rtol: float,
    voxel_size: Sequence[float] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """`conductivity` (3, 3) [W/(m K)] and how it was solved, `conduction`; nothing where a phase has none."""
    if materials.stiff.conductivity is None or materials.soft.conductivity is None:
        return {}
    if device == "cpu":
        result = conduct(volume, materials, rtol=rtol, voxel_size=voxel_size, raise_on_failure=False)
    else:
        from vaereg.solver.on_torch.conduction import conduct_on

        result = conduct_on(device, volume, materials, rtol=rtol, voxel_size=voxel_size)
    return {
        "conductivity": result.conductivity.tolist(),
        "conduction": {
            "iterations": result.iterations,
            "residual": result.residual,
            "converged": result.converged,
            "blocked": list(result.blocked),
        },
    }
