"""Input files of solvers beside the volumes that they solve: FANS and DAMASK."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vaereg.elasticity import VOIGT_ORDER, lame_parameters
from vaereg.materials import Phase, TwoPhase

__all__ = ["FANS_DATASET", "VOID_RATIO", "damask_input", "describe_phase", "fans_input", "solid_phases"]

FANS_DATASET = "/microstructure"
"""Name of the volume in the file of FANS."""
VOID_RATIO = 1e-9
"""Young's modulus and conductivity of a void in other programs, relative to the solid [-]: far below what
direct solvers resolve."""
_TOLERANCE = 1e-6
_PASCAL = 1e9
"""Pascal in a GPa."""
_DAMASK_STRAIN = 1e-5
"""Strain of DAMASK's load cases [-]: its strains are finite, and the error of the stiffness is of this
order."""


def solid_phases(materials: TwoPhase) -> tuple[Phase, Phase]:
    """Soft and stiff phase, a void as a solid of next to no stiffness: other programs divide by it."""
    floor = VOID_RATIO * max(materials.e_soft, materials.e_stiff)
    soft, stiff = (
        replace(phase, young_modulus=max(phase.young_modulus, floor))
        for phase in (materials.soft, materials.stiff)
    )
    return soft, stiff


def describe_phase(phase: Phase) -> str:
    """A phase with all its numbers, in one line of ASCII."""
    numbers = [f"Young's modulus {phase.young_modulus:g} GPa, Poisson ratio {phase.poisson_ratio:g}"]
    for name, unit in (
        ("conductivity", "W/(m K)"),
        ("density", "g/cm3"),
        ("thermal_expansion", "1e-6/K"),
    ):
        if (value := getattr(phase, name)) is not None:
            numbers.append(f"{name.replace('_', ' ')} {value:g} {unit}")
    name = phase.name.encode("ascii", "replace").decode()
    return f"{name + ': ' if name else ''}{', '.join(numbers)}"


def fans_input(shape: Sequence[int], materials: TwoPhase, voxel_size: float, name: str) -> dict[str, str]:
    """Input of FANS (github.com/DataAnalyticsEngineering/FANS): the six unit strains, in Mandel notation, and
    the three unit gradients of temperature where both phases have a conductivity.

    Args:
        shape: Voxels along x, y, z.
        materials: The two phases.
        voxel_size: Edge of a voxel.
        name: Name of the HDF5 file of the volume.

    Returns:
        Text by the end of the name of its file.
    """
    phases = solid_phases(materials)
    moduli = [lame_parameters(phase.young_modulus, phase.poisson_ratio) for phase in phases]
    settings: dict[str, Any] = {
        "microstructure": {
            "filepath": name,
            "datasetname": FANS_DATASET,
            "L": [length * voxel_size for length in shape],
        },
        "problem_type": "mechanical",
        "strain_type": "small",
        "FE_type": "HEX8",
        "matmodel": "LinearElasticIsotropic",
        "material_properties": {
            "bulk_modulus": [first + 2.0 * shear / 3.0 for first, shear in moduli],
            "shear_modulus": [shear for _, shear in moduli],
        },
        "method": "cg",
        "error_parameters": {"measure": "Linfinity", "type": "relative", "tolerance": _TOLERANCE},
        "n_it": 1000,
        "macroscale_loading": [[row] for row in np.eye(6).tolist()],
        "results": ["homogenized_tangent", "stress_average", "strain_average", "absolute_error"],
    }
    files = {".json": settings}
    conductivities = [phase.conductivity for phase in phases]
    largest = max(value or 0.0 for value in conductivities)
    if largest > 0.0 and None not in conductivities:
        files["-thermal.json"] = settings | {
            "problem_type": "thermal",
            "matmodel": "LinearThermalIsotropic",
            "material_properties": {
                "conductivity": [max(value or 0.0, VOID_RATIO * largest) for value in conductivities]
            },
            "macroscale_loading": [[row] for row in np.eye(3).tolist()],
        }
    return {ending: json.dumps(file, indent=2, allow_nan=False) + "\n" for ending, file in files.items()}


def damask_input(materials: TwoPhase) -> dict[str, str]:
    """Material and load files of DAMASK 3 (doi:10.1016/j.commatsci.2018.04.030): moduli in Pa, a load case
    for every component of strain.

    Returns:
        Texts by the ends of the names of their files.
    """
    names, pair = ("soft", "stiff"), (materials.soft, materials.stiff)
    lines = [
        *(f"# {name}: {describe_phase(phase)}" for name, phase in zip(names, pair, strict=True)),
        "homogenization:",
        "  direct:",
        "    N_constituents: 1",
        "    mechanical: {type: pass}",
        "phase:",
    ]
    for name, phase in zip(names, solid_phases(materials), strict=True):
        first, shear = lame_parameters(phase.young_modulus, phase.poisson_ratio)
        elastic = {"C_11": first + 2.0 * shear, "C_12": first, "C_44": shear}
        listed = ", ".join(f"{key}: {_PASCAL * value:.9e}" for key, value in elastic.items())
        lines += [
            f"  {name}:",
            "    lattice: cI",
            "    mechanical:",
            "      output: [F, P]",
            f"      elastic: {{type: Hooke, {listed}}}",
        ]
    lines.append("material:")
    for name in names:  # materials are counted from 0, as the numbers of the grid are
        lines += [
            "  - homogenization: direct",
            f"    constituents: [{{phase: {name}, v: 1.0, O: [1.0, 0.0, 0.0, 0.0]}}]",
        ]
    files = {"-material.yaml": "\n".join([*lines, ""])}
    for name in VOIGT_ORDER:
        rate = np.zeros((3, 3))
        i, j = ("xyz".index(letter) for letter in name)
        rate[i, j] += 0.5 * _DAMASK_STRAIN
        rate[j, i] += 0.5 * _DAMASK_STRAIN
        rows = ", ".join(f"[{', '.join(f'{value:.1e}' for value in row)}]" for row in rate)
        files[f"-load-{name}.yaml"] = "\n".join(
            [
                "solver: {mechanical: spectral_Galerkin}",
                "loadstep:",
                "  - boundary_conditions:",
                f"      mechanical: {{dot_F: [{rows}]}}",
                "    discretization: {t: 1.0, N: 1}",
                "    f_out: 1",
                "",
            ]
        )
    return files
