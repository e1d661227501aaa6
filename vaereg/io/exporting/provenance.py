"""What is known of a volume, in plain values: target, seed, model, versions, units, solver, time."""

from __future__ import annotations

import csv
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg import __version__
from vaereg.elasticity import PROPERTIES, VOIGT_ORDER
from vaereg.engineering import engineering_constants, mixed_density
from vaereg.materials import TwoPhase
from vaereg.microstructure.spec_sheet import spec_sheet
from vaereg.microstructure.volume import volume_fraction, volume_hash
from vaereg.solver.homogenization import choose_element
from vaereg.solver.properties import elastic_properties
from vaereg.targets import Target, Targets

__all__ = [
    "RESULT_VERSION",
    "BundleItem",
    "Provenance",
    "describe_design",
    "describe_run",
    "describe_setting",
    "describe_volume",
    "write_properties",
]

RESULT_VERSION = 2
"""Version of the JSON files of `homogenize` and `predict`; those of vaereg 0.1 carry none."""

_LIBRARIES = ("numpy", "scipy", "h5py", "numba", "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Origin of a volume and what is known of it; all of it may be left out."""

    name: str = ""
    """Name that the user gave."""
    origin: str = ""
    """Its origin in words."""
    target: Targets | Mapping[str, Target] = field(default_factory=dict)
    """Targets of the design: targets, or a value or (low, high) by name in the unit of the quantity."""
    mode: str = ""
    """Name of the mixture component; empty where it has none."""
    seed: int | None = None
    component: int | None = None
    """Mixture component, from 0."""
    latent: NDArray[np.float32] | None = None
    """Latent vector that it was decoded from, shape (D,)."""
    made_by: str = ""
    """Hash of the checkpoint that made it."""
    judged_by: str = ""
    """Hash of the checkpoint that predicted its properties."""
    mean: NDArray[np.float64] | None = None
    """Predicted C11 to C66 [GPa], shape (6,)."""
    quantities: Mapping[str, float] = field(default_factory=dict)
    """All that was predicted by name, each in its unit."""
    std: NDArray[np.float64] | None = None
    """Their standard deviation [GPa], shape (6,)."""
    stiffness: NDArray[np.float64] | None = None
    """The solver's, shape (6, 6) [GPa]."""
    conductivity: NDArray[np.float64] | None = None
    """The solver's, shape (3, 3) [W/(m K)]."""
    mesh_change: NDArray[np.float64] | None = None
    """Relative change of C11 to C66 where each voxel is split into 2 x 2 x 2, shape (6,) [-]; None where
    that was not computed."""
    constraints: Mapping[str, bool] = field(default_factory=dict)
    """Whether it meets each constraint, by what the constraint says in words."""
    solver_tolerance: float | None = None
    """Relative residual at which the solver stopped [-]."""
    solver_dtype: str = ""
    """Its floating point type."""
    solves: int | None = None
    """Solves that refinement took."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Recipe, see `vaereg.inverse.recipes`."""
    spread: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Measured spread of its quantities by kind and name [-], see `vaereg.inverse.robustness`."""
    link: str = ""
    """Address of the page that shows it."""
    command: str = ""
    """Command line that makes it again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleItem:
    """One volume of a bundle or a report."""

    volume: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (X, Y, Z)."""
    provenance: Provenance


def describe_run(
    materials: TwoPhase | Sequence[TwoPhase],
    *,
    tolerance: float | None = None,
    dtype: str | None = None,
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Facts that all results of a run share: format, program, phases, and what computed them.

    Args:
        materials: The two phases, or those of each volume; alike ones are written once.
        tolerance: Relative residual at which the solver stops [-]; None where nothing was solved.
        dtype: Floating point type of the solver.
        checkpoint: Hash of the model that predicted.
    """
    pairs = [materials] if isinstance(materials, TwoPhase) else list(materials)
    alike = all(pair == pairs[0] for pair in pairs)
    return {
        "format_version": RESULT_VERSION,
        "program": "vaereg",
        "version": __version__,
        "materials": pairs[0].to_dict() if alike else [pair.to_dict() for pair in pairs],
        "phases": {"0": "soft", "1": "stiff"},
        "solver": None if tolerance is None else {"tolerance": tolerance, "dtype": dtype},
        "checkpoint": checkpoint,
    }


def describe_setting(
    materials: TwoPhase, *, voxel_size: float = 1.0, length_unit: str = ""
) -> dict[str, Any]:
    """Facts that all volumes of a file share: program, time, versions, units, phases, discretisation."""
    unit = length_unit or ("voxel" if voxel_size == 1.0 else "as given")
    return {
        "program": "vaereg",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"vaereg": __version__, "python": platform.python_version(), **_versions()},
        "units": {
            "moduli": "GPa",
            "poisson": "-",
            "lengths": unit,
        },
        "order": list(VOIGT_ORDER),
        "axes": ["x", "y", "z"],
        "phases": {"0": "soft", "1": "stiff"},
        "boundary": "periodic",
        "voxel_size": voxel_size,
        "materials": materials.to_dict(),
        "contrast": materials.contrast if not materials.has_void else None,
        "element": choose_element("auto", materials),
        "discretisation": (
            "One trilinear hexahedron per voxel, fully integrated (hex8); B-bar where a Poisson ratio is "
            "above 0.45. At a contrast of 50, splitting each voxel into 2 x 2 x 2 lowers the stiffness by "
            "1.5 to 5.5 % (10 % for the finest structures), "
            "B-bar elements (the C3D8 of Abaqus) differ by 0.5 to 1.2 %, one-point integration by 2.5 to "
            "6.5 %."
        ),
    }


def describe_volume(
    volume: NDArray[np.uint8], provenance: Provenance, materials: TwoPhase | None = None
) -> dict[str, Any]:
    """One volume and what is known of it; None where something is not.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        provenance: What is known of it.
        materials: Phases, for the density and the thermal expansion, where they are known.
    """
    pair = materials or TwoPhase()
    fraction = volume_fraction(volume)
    has_density = pair.stiff.density is not None and pair.soft.density is not None
    density = mixed_density(fraction, pair) if has_density else None
    predicted = solver = None
    if provenance.mean is not None:
        predicted = {name: {"mean": float(provenance.mean[i])} for i, name in enumerate(PROPERTIES)}
        if provenance.std is not None:
            for i, name in enumerate(PROPERTIES):
                predicted[name]["std"] = float(provenance.std[i])
    if provenance.stiffness is not None:
        constants = engineering_constants(provenance.stiffness)
        derived = elastic_properties(provenance.stiffness, fraction, pair)
        solver = {
            "stiffness": np.asarray(provenance.stiffness, dtype=np.float64).tolist(),
            "tolerance": provenance.solver_tolerance,
            "dtype": provenance.solver_dtype or None,
            "solves": provenance.solves,
            "engineering_constants": {
                "young": dict(zip("xyz", constants.young.tolist(), strict=True)),
                "shear": dict(zip(("yz", "xz", "xy"), constants.shear.tolist(), strict=True)),
                "poisson": [[_finite(value) for value in row] for row in constants.poisson],
            },
            "universal_anisotropy": _finite(constants.anisotropy),
            "thermal_expansion": derived.get("thermal_expansion"),
            "specific": derived.get("specific"),
            "wave_speeds": derived.get("wave_speeds"),
        }
    return {
        "name": provenance.name,
        "origin": provenance.origin,
        "shape": list(volume.shape),
        "volume_fraction": fraction,
        "density": density,
        "volume_sha256": volume_hash(volume),
        "target": Targets.of(provenance.target).to_json() if provenance.target else {},
        "seed": provenance.seed,
        "component": provenance.component,
        "latent": None
        if provenance.latent is None
        else np.asarray(provenance.latent, dtype=np.float64).tolist(),
        "made_by": provenance.made_by or None,
        "judged_by": provenance.judged_by or None,
        "predicted": predicted,
        "solver": solver,
    }


def describe_design(
    volume: NDArray[np.uint8],
    provenance: Provenance,
    materials: TwoPhase,
    voxel_size: float,
    length_unit: str = "",
) -> dict[str, Any]:
    """One volume and what is known of it, with its specification sheet; arguments as in `describe_volume`.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        provenance: What is known of it.
        materials: The two phases.
        voxel_size: Edge of a voxel, in any unit of length.
        length_unit: That unit, where it is known.
    """
    sheet = spec_sheet(
        volume,
        voxel_size=voxel_size,
        length_unit=length_unit or "voxel",
        morphology=provenance.mode,
        recipe=provenance.recipe or None,
    )
    if provenance.spread:
        sheet["robustness"] = {
            kind: {name: _finite(value) for name, value in values.items()}
            for kind, values in provenance.spread.items()
        }
    return describe_volume(volume, provenance, materials) | {"spec_sheet": sheet}


def _finite(value: float | NDArray[np.float64]) -> float | None:
    return float(value) if np.isfinite(value) else None


def _versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # installed by other means
            versions[name] = "unknown"
    return versions


def write_properties(path: Path, designs: Sequence[Mapping[str, Any]]) -> None:
    """Write the figures of volumes, as `describe_volume` gives them, as a table (CSV), a line for each."""
    rows = [_row(design) for design in designs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        # a name that begins like a formula would be run by a spreadsheet
        writer.writerows({**row, "name": re.sub(r"^([=+\-@\t\r])", r"'\1", row["name"])} for row in rows)


def _row(design: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one volume, by a heading with its unit."""

    def target(name: str) -> object:
        content = design["target"].get(name)
        if content is None:
            return ""
        item = Targets.from_json({name: content}).wanted[0]
        return item.low if item.is_value else item.text().partition("=")[2].replace(":", " to ")

    row: dict[str, Any] = {
        "name": design["name"],
        "volume fraction target [-]": target("volume_fraction"),
        "volume fraction [-]": design["volume_fraction"],
    }
    if design["density"] is not None:
        row["density [g/cm3]"] = design["density"]
    for i, name in enumerate(PROPERTIES):
        row[f"{name} target [GPa]"] = target(name)
        predicted = (design["predicted"] or {}).get(name, {})
        row[f"{name} predicted [GPa]"] = predicted.get("mean", "")
        row[f"{name} std [GPa]"] = predicted.get("std", "")
        row[f"{name} solver [GPa]"] = design["solver"]["stiffness"][i][i] if design["solver"] else ""
    if design["solver"]:
        constants = design["solver"]["engineering_constants"]
        row |= {f"E_{axis} [GPa]": value for axis, value in constants["young"].items()}
        row |= {f"G_{plane} [GPa]": value for plane, value in constants["shear"].items()}
        row["universal anisotropy [-]"] = design["solver"]["universal_anisotropy"]
    return row
