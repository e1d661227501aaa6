"""The HDF5 schema of designs: names, units, version; writing and reading.

Files are written and read as those of `vaereg.io.datasets`.

Dimension letters: N designs, D latent size, X Y Z voxels.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import PROPERTIES
from vaereg.errors import InputError
from vaereg.io.datasets import FORMAT_VERSION, MAX_EDGE, ORDER, PHASES, check_version
from vaereg.io.files import (
    hdf5_bytes,
    open_hdf5,
    read_array,
    read_int,
    read_json,
    read_strings,
    read_text,
    replace_file,
    write_array,
    write_strings,
)
from vaereg.materials import TwoPhase
from vaereg.targets import QUANTITIES, Target, Targets

__all__ = [
    "SPREADS",
    "DesignFile",
    "read_designs",
    "write_designs",
]


_UNITS = {"stiffness": "GPa", "solver_tolerance": "-", "conductivity": "W/(m K)", "weights": "-"}
_DTYPE_LENGTH = 16
SPREADS = ("eroded", "dilated", "realisations")
"""Kinds of measured spread: with the interface half a voxel in and out, and over realisations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DesignFile:
    """Designs as they are stored."""

    microstructures: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (N, X, Y, Z)."""
    component: NDArray[np.int64]
    """Mixture component that each design was drawn from, shape (N,); -1 where it was drawn from none."""
    latent: NDArray[np.float32]
    """Latent vector of each design, shape (N, D); D is 0 where there are none."""
    target: dict[str, Target]
    """Targets by quantity: a value or a range, whose ends may be infinite; without objectives."""
    wanted: Targets | None
    """All that was asked for; None where nothing was."""
    seed: int
    """Seed of the designs; -1 where it is unknown."""
    made_by: str
    """Hash of the checkpoint that made them; empty where none did."""
    judged_by: str = ""
    """Hash of the checkpoint that predicted `predicted`; empty where it is unknown, as in files of version
    0.1."""
    materials: TwoPhase | None = None
    """The two phases of all figures; None where they are unknown, as in files of version 0.1."""
    predicted: NDArray[np.float64] | None = None
    """Predicted C11, C22, C33, C44, C55, C66 [GPa] where they were predicted, shape (N, 6)."""
    quantities: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """All that was predicted by name, each in its unit, shape (N,)."""
    stiffness: NDArray[np.float64] | None = None
    """The solver's stiffness [GPa] where it was computed, shape (N, 6, 6)."""
    conductivity: NDArray[np.float64] | None = None
    """The solver's conductivity [W/(m K)] where it was computed, shape (N, 3, 3)."""
    solver_tolerance: NDArray[np.float64] | None = None
    """Relative residual at which the solver stopped for each stiffness, where it is known, shape (N,) [-]."""
    solver_dtype: NDArray[np.str_] | None = None
    """Floating point type of the solver for each stiffness, where it is known, shape (N,)."""
    solves: NDArray[np.int64] | None = None
    """Solves that each design took where they were counted, shape (N,)."""
    stalled: NDArray[np.bool_] | None = None
    """Whether the refinement of each design ended short of its target because more solves were no use, where
    that is known, shape (N,)."""
    modes: tuple[str, ...] = ()
    """Names of the mixture components by index; empty where they have none."""
    weights: NDArray[np.float64] | None = None
    """Weight of every mixture component at the target where it is known, shape (K,) [-]."""
    constraints: dict[str, Any] = field(default_factory=dict)
    """Constraints of the designs, as `vaereg.inverse.constraints.Constraints.to_json` has it."""
    met: NDArray[np.bool_] | None = None
    """Whether each design meets each constraint where that was checked, shape (N, constraints)."""
    front: dict[str, Any] = field(default_factory=dict)
    """Facts of the Pareto front that the designs are; empty where they are none."""
    recipes: tuple[dict[str, Any], ...] = ()
    """Recipe of each design where it is known, N of them, see `vaereg.inverse.recipes`."""
    spread: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    """Relative changes of the quantities with the interface and over realisations where they were measured,
    by kind and quantity, as `eroded/E_x`, `dilated/E_x`, `realisations/E_x`, shape (N,) [-]; NaN where that
    of a design was not."""
    lengths: Literal["voxels", "relative"] = "voxels"
    """Whether lengths were those of cells of 32 voxels, or grew with the cell, as in `design`."""

    def __len__(self) -> int:
        return len(self.component)

    def spread_of(self, place: int) -> dict[str, dict[str, float]]:
        """Spread of one design by kind and quantity, where it was measured [-]."""
        changes: dict[str, dict[str, float]] = {}
        for key, column in self.spread.items():
            kind, _, name = key.partition("/")
            if np.isfinite(column[place]):
                changes.setdefault(kind, {})[name] = float(column[place])
        return changes

    def mode(self, place: int) -> str:
        """Name of the mixture component of one design; empty where it has none."""
        component = int(self.component[place])
        return self.modes[component] if 0 <= component < len(self.modes) else ""


def write_designs(
    path: Path,
    *,
    microstructures: ArrayLike,
    component: ArrayLike,
    latent: ArrayLike,
    target: Targets | Mapping[str, Target],
    seed: int,
    made_by: str,
    judged_by: str = "",
    materials: TwoPhase | None = None,
    predicted: ArrayLike | None = None,
    quantities: Mapping[str, ArrayLike] | None = None,
    stiffness: ArrayLike | None = None,
    conductivity: ArrayLike | None = None,
    solver_tolerance: ArrayLike | None = None,
    solver_dtype: Sequence[str] | NDArray[np.str_] | None = None,
    solves: ArrayLike | None = None,
    stalled: ArrayLike | None = None,
    modes: Sequence[str] = (),
    weights: ArrayLike | None = None,
    constraints: Mapping[str, Any] | None = None,
    met: ArrayLike | None = None,
    front: Mapping[str, Any] | None = None,
    recipes: Sequence[Mapping[str, Any]] = (),
    spread: Mapping[str, ArrayLike] | None = None,
    lengths: str = "voxels",
) -> None:
    """Write designs; the arguments are the fields of `DesignFile`, and `target` may be all that was wanted.

    Raises:
        ValueError: The shapes contradict each other.
    """
    volumes = np.asarray(microstructures, dtype=np.uint8)
    if volumes.ndim != 4:
        raise InputError(f"expected microstructures of shape (N, X, Y, Z), got {volumes.shape}")
    count = len(volumes)
    target_json = Targets.of(target).to_json() if target else {}
    columns_of: dict[str, tuple[Any, tuple[int | None, ...], type[np.generic]]] = {
        "component": (component, (count,), np.int64),
        "latent": (latent, (count, None), np.float32),
        "predicted": (predicted, (count, len(PROPERTIES)), np.float64),
        "stiffness": (stiffness, (count, 6, 6), np.float64),
        "solver_tolerance": (solver_tolerance, (count,), np.float64),
        "solves": (solves, (count,), np.int64),
        "stalled": (stalled, (count,), np.uint8),
        "conductivity": (conductivity, (count, 3, 3), np.float64),
        "weights": (weights, (None,), np.float64),
        "met": (met, (count, None), np.uint8),
    }
    if solver_dtype is not None and len(solver_dtype) != count:
        raise InputError(f"expected solver_dtype of {count} designs, got {len(solver_dtype)}")
    arrays = {
        name: _fitting(name, *description)
        for name, description in columns_of.items()
        if description[0] is not None
    }
    if "predicted" in arrays:
        columns = arrays.pop("predicted").T
        arrays |= {f"predicted/{name}": column for name, column in zip(PROPERTIES, columns, strict=True)}
    for name, column in (quantities or {}).items():
        arrays[f"predicted/{name}"] = _fitting(f"predicted {name}", column, (count,), np.float64)

    for name, column in (spread or {}).items():
        arrays[f"spread/{name}"] = _fitting(f"spread {name}", column, (count,), np.float64)
    texts = [json.dumps(dict(recipe)) for recipe in recipes]
    if texts and len(texts) != count:
        raise InputError(f"expected recipes of {count} designs, got {len(texts)}")

    def fill(file: h5py.File) -> None:
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["units"] = "GPa"
        file.attrs["phases"] = PHASES
        file.attrs["order"] = ORDER
        file.attrs["target"] = json.dumps(target_json)
        file.attrs["seed"] = np.int64(seed)
        file.attrs["checkpoint"] = made_by  # its name in version 0.1
        file.attrs["made_by"] = made_by
        file.attrs["judged_by"] = judged_by
        if materials is not None:
            file.attrs["materials"] = json.dumps(materials.to_dict())
        if modes:
            file.attrs["modes"] = json.dumps(list(modes))
        if constraints:
            file.attrs["constraints"] = json.dumps(dict(constraints))
        if lengths != "voxels":
            file.attrs["lengths"] = lengths
        if front:
            file.attrs["front"] = json.dumps(dict(front))
        write_array(file, "microstructures", volumes)
        for name, array in arrays.items():
            write_array(file, name, array, units=_unit_of(name))
        if solver_dtype is not None:
            write_strings(file, "solver_dtype", solver_dtype, length=_DTYPE_LENGTH)
        if texts:
            write_strings(file, "recipe", texts, length=max(len(text.encode()) for text in texts))

    content = hdf5_bytes(fill)
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def read_designs(path: Path) -> DesignFile:
    """Read designs.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds no designs of this format version, or contradicts itself.
    """
    predicted = stiffness = solves = solver_tolerance = solver_dtype = None
    conductivity = weights = met = stalled = None
    with open_hdf5(path) as file:
        check_version(file)
        if file.attrs.get("units", "GPa") != "GPa":
            raise InputError(f"expected stiffness in GPa in {path}, got units {read_text(file, 'units')!r}")
        volumes = read_array(file, "microstructures", shape=(None,) * 4, kind="bu", dtype=np.uint8)
        if volumes.size == 0 or math.prod(volumes.shape) > MAX_EDGE**3 or volumes.max() > 1:
            raise InputError(
                f"expected designs of phases 0 and 1 with 1 to {MAX_EDGE}³ voxels in all in {path}, "
                f"got shape {volumes.shape} and largest value {volumes.max(initial=0)}"
            )
        count = len(volumes)
        targets = _read_target(file)
        quantities = _read_quantities(file, count, targets)
        if set(PROPERTIES) <= set(quantities):
            predicted = np.stack([quantities[name] for name in PROPERTIES], axis=1)
        if "stiffness" in file:
            stiffness = read_array(file, "stiffness", shape=(count, 6, 6), kind="f", dtype=np.float64)
        if "solver_tolerance" in file:
            solver_tolerance = read_array(
                file, "solver_tolerance", shape=(count,), kind="f", dtype=np.float64
            )
        if "solver_dtype" in file:
            solver_dtype = read_strings(file, "solver_dtype", count=count)
        if file.attrs.get("phases", PHASES) != PHASES:
            raise InputError(f"expected phases {PHASES!r} in {path}, got {str(file.attrs['phases'])[:60]!r}")
        if "solves" in file:
            solves = read_array(file, "solves", shape=(count,), kind="iu", dtype=np.int64)
        if "stalled" in file:
            stalled = read_array(file, "stalled", shape=(count,), kind="bu", dtype=np.bool_)
        if "conductivity" in file:
            conductivity = read_array(file, "conductivity", shape=(count, 3, 3), kind="f", dtype=np.float64)
        if "weights" in file:
            weights = read_array(file, "weights", shape=(None,), kind="f", dtype=np.float64)
        if "met" in file:
            met = read_array(file, "met", shape=(count, None), kind="bu", dtype=np.bool_)
        return DesignFile(
            microstructures=volumes,
            component=read_array(file, "component", shape=(count,), kind="iu", dtype=np.int64),
            latent=read_array(file, "latent", shape=(count, None), kind="f", dtype=np.float32),
            predicted=predicted,
            target={} if targets is None else targets.plain(),
            wanted=targets,
            quantities=quantities,
            conductivity=conductivity,
            modes=_read_modes(file),
            weights=weights,
            constraints=read_json(file, "constraints") if "constraints" in file.attrs else {},
            met=met,
            front=read_json(file, "front") if "front" in file.attrs else {},
            recipes=_read_recipes(file, count) if "recipe" in file else (),
            spread=_read_spread(file, count),
            lengths="relative"
            if "lengths" in file.attrs and read_text(file, "lengths") == "relative"
            else "voxels",
            seed=read_int(file, "seed"),
            made_by=read_text(file, "made_by" if "made_by" in file.attrs else "checkpoint"),
            judged_by=read_text(file, "judged_by") if "judged_by" in file.attrs else "",
            materials=_read_materials(file),
            stiffness=stiffness,
            solver_tolerance=solver_tolerance,
            solver_dtype=solver_dtype,
            solves=solves,
            stalled=stalled,
        )


def _read_materials(file: h5py.File) -> TwoPhase | None:
    if "materials" not in file.attrs:
        return None
    try:
        return TwoPhase.from_dict(read_json(file, "materials"))
    except InputError as error:
        raise InputError(f"{file.filename}: {error}") from error


def _read_target(file: h5py.File) -> Targets | None:
    content = read_json(file, "target")
    if not content:
        return None
    try:
        return Targets.from_json(content)
    except ValueError as error:
        raise InputError(f"expected targets that can be met in {file.filename}: {error}") from error


def _read_quantities(file: h5py.File, count: int, targets: Targets | None) -> dict[str, NDArray[np.float64]]:
    if "predicted" not in list(file):  # a link to nothing is in the list
        return {}
    names = []
    if isinstance(file.get("predicted", getlink=True), h5py.HardLink):
        group = file["predicted"]
        names = [name for name in QUANTITIES if isinstance(group, h5py.Group) and name in list(group)]
    target_names = () if targets is None else targets.names
    if not names or (set(names) & set(PROPERTIES)) - set(target_names):
        names = list(dict.fromkeys([*PROPERTIES, *names]))  # the diagonal is stored in full, if at all
    return {
        name: read_array(file, f"predicted/{name}", shape=(count,), kind="f", dtype=np.float64)
        for name in names
    }


def _read_modes(file: h5py.File) -> tuple[str, ...]:
    if "modes" not in file.attrs:
        return ()
    try:
        modes = json.loads(read_text(file, "modes"))
    except json.JSONDecodeError:
        modes = None
    if not isinstance(modes, list) or not all(isinstance(name, str) for name in modes):
        raise InputError(f"expected names of modes in {file.filename}, got {str(modes)[:40]}")
    return tuple(modes)


def _read_recipes(file: h5py.File, count: int) -> tuple[dict[str, Any], ...]:
    recipes: list[dict[str, Any]] = []
    for text in read_strings(file, "recipe", count=count):
        try:
            recipe = json.loads(str(text))
        except (json.JSONDecodeError, RecursionError):
            recipe = None
        if not isinstance(recipe, dict):
            raise InputError(f"expected recipes in JSON in {file.filename}, got {str(text)[:40]!r}")
        recipes.append(recipe)
    return tuple(recipes)


def _read_spread(file: h5py.File, count: int) -> dict[str, NDArray[np.float64]]:
    spreads = {}
    for kind in SPREADS:
        for name in QUANTITIES:
            if f"spread/{kind}/{name}" in file:
                spreads[f"{kind}/{name}"] = read_array(
                    file, f"spread/{kind}/{name}", shape=(count,), kind="f", dtype=np.float64
                )
    return spreads


def _unit_of(name: str) -> str | None:
    """Unit of a data set."""
    group, _, quantity = name.partition("/")
    if group == "spread":
        return "-"
    return QUANTITIES[quantity].unit if group == "predicted" else _UNITS.get(name)


def _fitting(
    name: str, data: ArrayLike, shape: tuple[int | None, ...], dtype: type[np.generic]
) -> NDArray[Any]:
    array = np.asarray(data, dtype=dtype)
    if array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
        raise InputError(f"expected {name} of shape {shape} beside the microstructures, got {array.shape}")
    return array
