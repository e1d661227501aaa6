"""The HDF5 schema of labelled data sets: names, units, version; writing and reading.

Files are written under a temporary name and renamed into place, without time stamps: equal data gives equal
bytes. Files that are read may come from anywhere: names, types, shapes and sizes are checked before the data.

Dimension letters: N volumes, X Y Z voxels.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.columns import ColumnBatch
from vaereg.io.files import (
    hdf5_bytes,
    is_number,
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
from vaereg.materials import MODULI
from vaereg.microstructure.volume import unpack_bits

__all__ = [
    "FORMAT_VERSION",
    "MAX_EDGE",
    "SPLITS",
    "Dataset",
    "DatasetPlan",
    "LabelledBatch",
    "known_indices",
    "read_dataset",
    "read_plan",
    "split_of_seed",
    "write_dataset",
]

FORMAT_VERSION = 1
"""Version of the schemas of data sets and of designs."""
SPLITS = ("train", "validation", "test")
"""Parts of a data set; a volume belongs to the one that its seed is hashed to, 80, 10 and 10 %."""
MAX_EDGE = 512
"""Largest number of voxels per edge; 512³ voxels are also the most that a file of designs may hold."""

PHASES = "0 soft, 1 stiff"
ORDER = "xx yy zz yz xz xy, engineering shear"
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
    """Young's moduli [GPa] and Poisson ratios [-] of both phases, by the names in `materials.MODULI`."""
    solver_tolerance: float
    """Relative residual at which the solver stopped [-]."""
    solver_dtype: str
    """Floating point type of the solver."""
    generator_version: int
    """Version of the generators; volumes of different versions may differ for the same seed."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"expected a count of at least one volume, got {self.count}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"expected a seed from 0 to 2^63 - 1, got {self.seed}")
        if not 2 <= self.size <= MAX_EDGE:
            raise InputError(f"expected a size of 2 to {MAX_EDGE} voxels per edge, got {self.size}")
        for name, values in (("families", self.families), ("materials", self.materials)):
            if not all(map(is_number, values.values())):
                raise InputError(f"expected {name} of one number each, got {values}")
        if set(self.materials) != set(MODULI):
            raise InputError(f"expected materials {', '.join(MODULI)}, got {', '.join(self.materials)}")
        for name in self.families:
            if len(name.encode()) > _STRING_LENGTH:
                raise InputError(f"expected family names of at most {_STRING_LENGTH} bytes, got {name!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledBatch(ColumnBatch):
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A finished data set, its volumes still bit-packed."""

    plan: DatasetPlan
    """Plan that the volumes were made by."""
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
            InputError: `split` is none of `SPLITS`.
        """
        if split not in SPLITS:
            raise InputError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
        return np.flatnonzero(self.split == split)

    def volumes(self, indices: Sequence[int] | NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Phases 0 and 1 of the volumes at `indices`, shape (N, X, Y, Z)."""
        return unpack_bits(self.samples.microstructures[indices], self.shape)


def split_of_seed(seed: int) -> str:
    """Split that a volume belongs to: a hash of its seed, 80 % train, 10 % validation, 10 % test."""
    digest = hashlib.blake2b(int(seed).to_bytes(8, "little"), digest_size=8).digest()
    bucket = int.from_bytes(digest, "little") % 10
    return SPLITS[0] if bucket < 8 else SPLITS[bucket - 7]


def write_dataset(
    path: Path,
    plan: DatasetPlan,
    samples: LabelledBatch,
    *,
    scratch: Path | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write a data set as a whole.

    Args:
        path: HDF5 file to create or replace.
        plan: Its attributes.
        samples: Its volumes and labels.
        scratch: Folder of the temporary file, on the same file system; that of `path` if left out.
        attributes: Further attributes of the file, such as those of a shard.

    Raises:
        InputError: The samples are not as many as the plan says.
    """
    if len(samples) != plan.count:
        raise InputError(f"expected {plan.count} samples as planned, got {len(samples)}")

    def fill(file: h5py.File) -> None:
        _write_plan(file, plan)
        file.attrs.update(attributes or {})
        write_array(file, "microstructures", samples.microstructures)
        write_array(file, "stiffness", samples.stiffness, units="GPa")
        write_array(file, "volume_fraction", samples.volume_fraction, units="-")
        write_array(file, "seed", samples.seed)
        write_strings(file, "family", samples.family, length=_STRING_LENGTH)
        write_strings(file, "split", map(split_of_seed, samples.seed), length=_STRING_LENGTH)

    content = hdf5_bytes(fill)
    replace_file(path, lambda temporary: temporary.write_bytes(content), folder=scratch)


def read_plan(path: Path) -> DatasetPlan:
    """Read what a data set holds, without its volumes; raises as `read_dataset` does."""
    with open_hdf5(path) as file:
        return _read_plan(file)


def read_dataset(path: Path) -> Dataset:
    """Read a data set.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no data set of this format version, or contradicts itself.
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
        raise InputError(f"expected finite stiffness and volume_fraction in {path}, got NaN or infinity")
    if unknown := set(split.tolist()) - set(SPLITS):
        raise InputError(f"expected splits of {', '.join(SPLITS)} in {path}, got {min(unknown)!r}")
    return Dataset(plan=plan, samples=samples, split=split)


def _write_plan(file: h5py.File, plan: DatasetPlan) -> None:
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["shape"] = np.array([plan.size] * 3, dtype=np.int64)
    file.attrs["phases"] = PHASES
    file.attrs["order"] = ORDER
    file.attrs["units"] = "GPa"
    for name in ("count", "seed", "generator_version"):
        file.attrs[name] = np.int64(getattr(plan, name))
    file.attrs["solver_tolerance"] = plan.solver_tolerance
    file.attrs["solver_dtype"] = plan.solver_dtype
    for name in ("families", "materials"):
        file.attrs[name] = json.dumps(getattr(plan, name))


def _read_plan(file: h5py.File) -> DatasetPlan:
    check_version(file)
    shape = np.asarray(file.attrs.get("shape"))
    if shape.shape != (3,) or shape.dtype.kind not in "iu" or len(set(shape.tolist())) != 1:
        raise InputError(
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


def check_version(file: h5py.File) -> None:
    """Refuse a file of another version of the schema."""
    version = read_int(file, "format_version")
    if version != FORMAT_VERSION:
        raise InputError(f"expected format_version {FORMAT_VERSION} in {file.filename}, got {version}")


def known_indices(dataset: Dataset, split: str, left_out: Sequence[str]) -> NDArray[np.intp]:
    """Volumes of a split whose families training did not leave out, ascending."""
    indices = dataset.indices(split)
    return indices[~np.isin(dataset.samples.family[indices], tuple(left_out))]
