"""Input files of solvers beside the volumes that they solve: FANS and DAMASK."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from vaereg.elasticity import VOIGT_ORDER, lame_parameters
from vaereg.materials import TwoPhase

__all__ = ["FANS_DATASET", "damask_input", "fans_input"]

FANS_DATASET = "/microstructure"
"""Name of the volume in the file of FANS."""
_TOLERANCE = 1e-6
_PASCAL = 1e9
"""Pascal in a GPa."""
_DAMASK_STRAIN = 1e-5
"""Strain of DAMASK's load cases [-]: its strains are finite, and the error of the stiffness is of this
order."""


def fans_input(shape: Sequence[int], materials: TwoPhase, voxel_size: float, name: str) -> dict[str, str]:
    """Input of FANS (github.com/DataAnalyticsEngineering/FANS): the six unit strains, in Mandel notation.

    Args:
        shape: Voxels along x, y, z.
        materials: The two phases.
        voxel_size: Edge of a voxel.
        name: Name of the HDF5 file of the volume.

    Returns:
        Text by the end of the name of its file.
    """
    pair = materials
    phases = ((pair.e_soft, pair.nu_soft), (pair.e_stiff, pair.nu_stiff))
    moduli = [lame_parameters(young, poisson) for young, poisson in phases]
    settings = {
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
    return {".json": json.dumps(settings, indent=2, allow_nan=False) + "\n"}


def damask_input(materials: TwoPhase) -> dict[str, str]:
    """Material and load files of DAMASK 3 (doi:10.1016/j.commatsci.2018.04.030): moduli in Pa, a load case
    for every component of strain.

    Returns:
        Texts by the ends of the names of their files.
    """
    lines = [
        "homogenization:",
        "  direct:",
        "    N_constituents: 1",
        "    mechanical: {type: pass}",
        "phase:",
    ]
    names = ("soft", "stiff")
    for name, phase in zip(names, (materials.soft, materials.stiff), strict=True):
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
