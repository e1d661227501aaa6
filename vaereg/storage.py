"""The HDF5 schemas of labelled data sets and of designs: names, units, version; writing and reading.

Files are written under a temporary name and renamed into place, without time stamps: equal data gives equal
bytes. Files that are read may come from anywhere: names, types, shapes and sizes are checked before the data.

Dimension letters: N volumes, D latent size, X Y Z voxels.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import PROPERTIES, TwoPhase
from vaereg.files import (
    open_hdf5,
    read_array,
    read_float,
    read_int,
    read_json,
    read_strings,
    read_text,
    replace_file,
    write_array,
    write_strings,
)
from vaereg.microstructure.volume import unpack_bits

__all__ = [
    "FORMAT_VERSION",
    "MAX_EDGE",
    "SPLITS",
    "Dataset",
    "DatasetPlan",
    "DesignFile",
    "LabelledBatch",
    "read_dataset",
    "read_designs",
    "read_plan",
    "split_of_seed",
    "write_dataset",
    "write_designs",
]

FORMAT_VERSION = 1
"""Version of both schemas."""
SPLITS = ("train", "validation", "test")
"""Parts of a data set; a volume belongs to the one that its seed is hashed to, 80, 10 and 10 %."""
MAX_EDGE = 512
"""Largest number of voxels per edge; 512³ voxels are also the most that a file of designs may hold."""

Target = float | tuple[float, float]
"""A property that is asked for [GPa]: a value or a range."""

_PHASES = "0 soft, 1 stiff"
_ORDER = "xx yy zz yz xz xy, engineering shear"
_STRING_LENGTH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetPlan:
    """What a data set holds, fixed before its first volume is made and stored as its attributes."""

    count: int
    """Number of volumes asked for, N."""
    seed: int
    """Base seed that the seed of each volume is derived from."""
    size: int
    """Voxels per edge."""
    families: dict[str, float]
    """Share of each family [-], summing to one."""
    materials: dict[str, float]
    """Young's moduli [GPa] and Poisson ratios [-] of both phases, the fields of `TwoPhase`."""
    solver_tolerance: float
    """Relative residual at which the solver stopped [-]."""
    solver_dtype: str
    """Floating point type of the solver."""
    generator_version: int
    """Version of the generators; volumes of different versions may differ for the same seed."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"expected a count of at least one volume, got {self.count}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"expected a seed from 0 to 2^63 - 1, got {self.seed}")
        if not 2 <= self.size <= MAX_EDGE:
            raise ValueError(f"expected a size of 2 to {MAX_EDGE} voxels per edge, got {self.size}")
        for name, values in (("families", self.families), ("materials", self.materials)):
            if not all(isinstance(value, int | float) for value in values.values()):
                raise ValueError(f"expected {name} of one number each, got {values}")
        names = [field.name for field in fields(TwoPhase)]
        if sorted(self.materials) != sorted(names):
            raise ValueError(f"expected materials {', '.join(names)}, got {', '.join(self.materials)}")
        for name in self.families:
            if len(name.encode()) > _STRING_LENGTH:
                raise ValueError(f"expected family names of at most {_STRING_LENGTH} bytes, got {name!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledBatch:
    """Labelled volumes, bit-packed."""

    microstructures: NDArray[np.uint8]
    """Bit-packed phases (see `pack_bits`), shape (N, ceil(X Y Z / 8))."""
    stiffness: NDArray[np.float32]
    """Effective stiffness [GPa], Voigt order with engineering shear, shape (N, 6, 6)."""
    volume_fraction: NDArray[np.float64]
    """Share of stiff voxels [-], shape (N,)."""
    family: NDArray[np.str_]
    """Name of the family, shape (N,)."""
    seed: NDArray[np.int64]
    """Seed of the volume, shape (N,)."""

    def __len__(self) -> int:
        return len(self.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A finished data set, its volumes still bit-packed."""

    plan: DatasetPlan
    """What was asked for."""
    samples: LabelledBatch
    """All volumes and labels."""
    split: NDArray[np.str_]
    """One of `SPLITS` for each volume, shape (N,)."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of one volume, (X, Y, Z)."""
        return (self.plan.size, self.plan.size, self.plan.size)

    def indices(self, split: str) -> NDArray[np.intp]:
        """Indices of the volumes of one split, ascending.

        Raises:
            ValueError: `split` is none of `SPLITS`.
        """
        if split not in SPLITS:
            raise ValueError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
        return np.flatnonzero(self.split == split)

    def volumes(self, indices: Sequence[int] | NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Phases 0 and 1 of the volumes at `indices`, shape (N, X, Y, Z)."""
        return unpack_bits(self.samples.microstructures[indices], self.shape)


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
    """What was asked for by property: a value or a range [GPa]."""
    seed: int
    """Seed of the designs; -1 where it is unknown."""
    checkpoint: str
    """Hash of the checkpoint that made them; empty where none did."""
    predicted: NDArray[np.float64] | None = None
    """Predicted C11, C22, C33, C44, C55, C66 [GPa] where they were predicted, shape (N, 6)."""
    stiffness: NDArray[np.float64] | None = None
    """The solver's stiffness [GPa] where it was computed, shape (N, 6, 6)."""
    solves: NDArray[np.int64] | None = None
    """Solves that each design took where they were counted, shape (N,)."""

    def __len__(self) -> int:
        return len(self.component)


def split_of_seed(seed: int) -> str:
    """Split that a volume belongs to: a hash of its seed, 80 % train, 10 % validation, 10 % test."""
    digest = hashlib.blake2b(int(seed).to_bytes(8, "little"), digest_size=8).digest()
    bucket = int.from_bytes(digest, "little") % 10
    return SPLITS[0] if bucket < 8 else SPLITS[bucket - 7]


def write_dataset(
    path: Path, plan: DatasetPlan, samples: LabelledBatch, *, scratch: Path | None = None
) -> None:
    """Write a data set as a whole.

    Args:
        path: HDF5 file to create or replace.
        plan: Its attributes.
        samples: Its volumes and labels.
        scratch: Folder of the temporary file, on the same file system; that of `path` if left out.

    Raises:
        ValueError: The samples are not as many as the plan says.
    """
    if len(samples) != plan.count:
        raise ValueError(f"expected {plan.count} samples as planned, got {len(samples)}")

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            _write_plan(file, plan)
            write_array(file, "microstructures", samples.microstructures)
            write_array(file, "stiffness", samples.stiffness, units="GPa")
            write_array(file, "volume_fraction", samples.volume_fraction, units="-")
            write_array(file, "seed", samples.seed)
            write_strings(file, "family", samples.family, length=_STRING_LENGTH)
            write_strings(file, "split", map(split_of_seed, samples.seed), length=_STRING_LENGTH)

    replace_file(path, write, folder=scratch)


def read_plan(path: Path) -> DatasetPlan:
    """Read what a data set holds, without its volumes; raises as `read_dataset` does."""
    with open_hdf5(path) as file:
        return _read_plan(file)


def read_dataset(path: Path) -> Dataset:
    """Read a data set.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no data set of this format version, or contradicts itself.
    """
    with open_hdf5(path) as file:
        plan = _read_plan(file)
        count, row = plan.count, -(-(plan.size**3) // 8)
        samples = LabelledBatch(
            microstructures=read_array(file, "microstructures", shape=(count, row), kind="u", dtype=np.uint8),
            stiffness=read_array(file, "stiffness", shape=(count, 6, 6), kind="f", dtype=np.float32),
            volume_fraction=read_array(file, "volume_fraction", shape=(count,), kind="f", dtype=np.float64),
            family=read_strings(file, "family", count=count),
            seed=read_array(file, "seed", shape=(count,), kind="iu", dtype=np.int64),
        )
        split = read_strings(file, "split", count=count)
    if not (np.isfinite(samples.stiffness).all() and np.isfinite(samples.volume_fraction).all()):
        raise ValueError(f"expected finite stiffness and volume_fraction in {path}, got NaN or infinity")
    if unknown := set(split.tolist()) - set(SPLITS):
        raise ValueError(f"expected splits of {', '.join(SPLITS)} in {path}, got {min(unknown)!r}")
    return Dataset(plan=plan, samples=samples, split=split)


def write_designs(
    path: Path,
    *,
    microstructures: ArrayLike,
    component: ArrayLike,
    latent: ArrayLike,
    target: Mapping[str, Target],
    seed: int,
    checkpoint: str,
    predicted: ArrayLike | None = None,
    stiffness: ArrayLike | None = None,
    solves: ArrayLike | None = None,
) -> None:
    """Write designs; the arguments are the fields of `DesignFile`.

    Raises:
        ValueError: The shapes contradict each other.
    """
    volumes = np.asarray(microstructures, dtype=np.uint8)
    if volumes.ndim != 4:
        raise ValueError(f"expected microstructures of shape (N, X, Y, Z), got {volumes.shape}")
    count = len(volumes)
    wanted = {name: np.asarray(value, dtype=np.float64).tolist() for name, value in target.items()}
    given = {
        "component": (component, (count,), np.int64),
        "latent": (latent, (count, None), np.float32),
        "predicted": (predicted, (count, len(PROPERTIES)), np.float64),
        "stiffness": (stiffness, (count, 6, 6), np.float64),
        "solves": (solves, (count,), np.int64),
    }
    arrays = {name: _fitting(name, *rest) for name, rest in given.items() if rest[0] is not None}
    if "predicted" in arrays:
        columns = arrays.pop("predicted").T
        arrays |= {f"predicted/{name}": column for name, column in zip(PROPERTIES, columns, strict=True)}

    def write(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["units"] = "GPa"
            file.attrs["phases"] = _PHASES
            file.attrs["order"] = _ORDER
            file.attrs["target"] = json.dumps(wanted)
            file.attrs["seed"] = np.int64(seed)
            file.attrs["checkpoint"] = checkpoint
            write_array(file, "microstructures", volumes)
            for name, array in arrays.items():
                write_array(file, name, array, units="GPa" if array.dtype == np.float64 else None)

    replace_file(path, write)


def read_designs(path: Path) -> DesignFile:
    """Read designs.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds no designs of this format version, or contradicts itself.
    """
    predicted = stiffness = solves = None
    with open_hdf5(path) as file:
        _check_version(file)
        if file.attrs.get("units", "GPa") != "GPa":
            raise ValueError(f"expected stiffness in GPa in {path}, got units {read_text(file, 'units')!r}")
        volumes = read_array(file, "microstructures", shape=(None,) * 4, kind="bu", dtype=np.uint8)
        if volumes.size == 0 or math.prod(volumes.shape) > MAX_EDGE**3 or volumes.max() > 1:
            raise ValueError(
                f"expected designs of phases 0 and 1 with 1 to {MAX_EDGE}³ voxels in all in {path}, "
                f"got shape {volumes.shape} and largest value {volumes.max(initial=0)}"
            )
        count = len(volumes)
        if "predicted" in list(file):  # even as a link to nothing
            names = [f"predicted/{name}" for name in PROPERTIES]
            columns = [read_array(file, name, shape=(count,), kind="f", dtype=np.float64) for name in names]
            predicted = np.stack(columns, axis=1)
        if "stiffness" in file:
            stiffness = read_array(file, "stiffness", shape=(count, 6, 6), kind="f", dtype=np.float64)
        if "solves" in file:
            solves = read_array(file, "solves", shape=(count,), kind="iu", dtype=np.int64)
        return DesignFile(
            microstructures=volumes,
            component=read_array(file, "component", shape=(count,), kind="iu", dtype=np.int64),
            latent=read_array(file, "latent", shape=(count, None), kind="f", dtype=np.float32),
            predicted=predicted,
            target=_read_target(file),
            seed=read_int(file, "seed"),
            checkpoint=read_text(file, "checkpoint"),
            stiffness=stiffness,
            solves=solves,
        )


def _write_plan(file: h5py.File, plan: DatasetPlan) -> None:
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["shape"] = np.array([plan.size] * 3, dtype=np.int64)
    file.attrs["phases"] = _PHASES
    file.attrs["order"] = _ORDER
    file.attrs["units"] = "GPa"
    for name in ("count", "seed", "generator_version"):
        file.attrs[name] = np.int64(getattr(plan, name))
    file.attrs["solver_tolerance"] = plan.solver_tolerance
    file.attrs["solver_dtype"] = plan.solver_dtype
    for name in ("families", "materials"):
        file.attrs[name] = json.dumps(getattr(plan, name))


def _read_plan(file: h5py.File) -> DatasetPlan:
    _check_version(file)
    shape = np.asarray(file.attrs.get("shape"))
    if shape.shape != (3,) or shape.dtype.kind not in "iu" or len(set(shape.tolist())) != 1:
        raise ValueError(
            f"expected the attribute 'shape' of three equal lengths in {file.filename}, got {shape}"
        )
    return DatasetPlan(
        count=read_int(file, "count"),
        seed=read_int(file, "seed"),
        size=int(shape[0]),
        families=read_json(file, "families"),
        materials=read_json(file, "materials"),
        solver_tolerance=read_float(file, "solver_tolerance"),
        solver_dtype=read_text(file, "solver_dtype"),
        generator_version=read_int(file, "generator_version"),
    )


def _check_version(file: h5py.File) -> None:
    version = read_int(file, "format_version")
    if version != FORMAT_VERSION:
        raise ValueError(f"expected format_version {FORMAT_VERSION} in {file.filename}, got {version}")


def _read_target(file: h5py.File) -> dict[str, Target]:
    target: dict[str, Target] = {}
    for name, value in read_json(file, "target").items():
        numbers = value if isinstance(value, list) else [value]
        valid = len(numbers) in (1, 2) and all(isinstance(number, int | float) for number in numbers)
        if name not in (*PROPERTIES, "volume_fraction") or not valid:
            raise ValueError(
                f"expected targets of one value or range each in {file.filename}, got {name}: {value}"
            )
        target[name] = (float(numbers[0]), float(numbers[1])) if len(numbers) == 2 else float(numbers[0])
    return target


def _fitting(
    name: str, data: ArrayLike, shape: tuple[int | None, ...], dtype: type[np.generic]
) -> NDArray[Any]:
    array = np.asarray(data, dtype=dtype)
    if array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
        raise ValueError(f"expected {name} of shape {shape} beside the microstructures, got {array.shape}")
    return array
