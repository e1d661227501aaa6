"""The HDF5 schema of data sets of morphologies, format version 2: classes, sizes, recipes, pairs, labels.

Volumes may differ in size and each is labelled for several pairs of phases. Files of version 1
(`vaereg.io.datasets`) hold volumes of one size, labelled for one pair. Both are written under a temporary
name and renamed into place, without time stamps: equal data gives equal bytes.

Dimension letters: N volumes, P pairs per volume at most, M pairs in the table, X Y Z voxels.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.columns import ColumnBatch
from vaereg.io.datasets import MAX_EDGE, ORDER, PHASES, SPLITS, split_of_seed
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
from vaereg.microstructure.volume import unpack_bits

__all__ = [
    "LABELLED_SET_VERSION",
    "PAIR_COLUMNS",
    "LabelledSet",
    "LabelledVolumes",
    "MorphologyPlan",
    "format_of",
    "packed_length",
    "read_labelled_set",
    "read_morphology_plan",
    "write_labelled_set",
]

LABELLED_SET_VERSION = 2
"""Value of the attribute `format_version`."""
PAIR_COLUMNS = ("e_stiff", "e_soft", "nu_stiff", "nu_soft", "k_stiff", "k_soft")
"""Columns of the table of pairs: Young's moduli [GPa], Poisson ratios [-], conductivities [W/(m K)]."""
MAX_PAIRS = 16
"""Largest number of pairs per volume."""
_NAME_LENGTH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class MorphologyPlan:
    """What a data set of morphologies holds, fixed before its first volume is made."""

    count: int
    """Number of volumes asked for, N."""
    seed: int
    """Base seed from which the seed of each volume is derived."""
    sizes: dict[str, float]
    """Share of each number of voxels per edge [-], summing to one; keys are texts, as in JSON."""
    morphologies: dict[str, float]
    """Share of each morphology [-], summing to one."""
    pairs: int
    """Largest number of pairs per volume, P."""
    physics: str
    """Labels that were solved, separated by commas: elastic, thermal."""
    tolerance_rule: str
    """Rule of the relative residual at which the solver stopped, in words."""
    solver_dtype: str
    """Floating point type of the solver."""
    generator_version: int
    """Version of the generators; volumes of different versions may differ for the same seed."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"expected a count of at least one volume, got {self.count}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"expected a seed from 0 to 2^63 - 1, got {self.seed}")
        if not 1 <= self.pairs <= MAX_PAIRS:
            raise InputError(f"expected 1 to {MAX_PAIRS} pairs per volume, got {self.pairs}")
        for name, shares in (("sizes", self.sizes), ("morphologies", self.morphologies)):
            values = list(shares.values())
            if not values or not all(isinstance(value, int | float) and value > 0.0 for value in values):
                raise InputError(f"expected {name} with positive shares, got {shares}")
        for text in self.sizes:
            if not (text.isdecimal() and 2 <= int(text) <= MAX_EDGE):
                raise InputError(f"expected sizes of 2 to {MAX_EDGE} voxels per edge, got {text!r}")
        for name in self.morphologies:
            if len(name.encode()) > _NAME_LENGTH:
                raise InputError(f"expected morphology names of at most {_NAME_LENGTH} bytes, got {name!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledVolumes(ColumnBatch):
    """Volumes of different sizes, bit-packed, with recipes and labels for several pairs."""

    seed: NDArray[np.int64]
    """Seed of the volume, shape (N,)."""
    morphology: NDArray[np.str_]
    """Name of the morphology (`/class` in the file), shape (N,)."""
    size: NDArray[np.int64]
    """Voxels per edge, shape (N,)."""
    relative: NDArray[np.bool_]
    """Whether lengths were scaled with the cell, shape (N,)."""
    recipe: NDArray[np.str_]
    """Recipe as JSON (`/parameters` in the file), shape (N,)."""
    volume_fraction: NDArray[np.float64]
    """Share of stiff voxels [-], shape (N,)."""
    microstructures: NDArray[np.uint8]
    """Bit-packed phases of all volumes one after the other, shape (total bytes,); see `packed_length`."""
    phases: NDArray[np.float64]
    """Numbers of both phases of each pair, by `PAIR_COLUMNS`; NaN where there is no pair, (N, P, 6)."""
    stiffness: NDArray[np.float32]
    """Effective stiffness [GPa], Voigt order with engineering shear; NaN without a label, (N, P, 6, 6)."""
    conductivity: NDArray[np.float32]
    """Effective conductivity [W/(m K)]; NaN where there is no label, shape (N, P, 3, 3)."""

    def offsets(self) -> NDArray[np.int64]:
        """First byte of each volume in `microstructures`, and the end of the last one, shape (N + 1,)."""
        return np.concatenate([[0], np.cumsum(packed_length(self.size))]).astype(np.int64)

    def rows(self, rows: slice) -> Self:
        """Batch of some of the volumes, in steps of one."""
        begin, end, step = rows.indices(len(self))
        if step != 1:
            raise InputError(f"expected rows in steps of one, got {rows}")
        offsets = self.offsets()
        columns = {name: column[begin:end] for name, column in self.columns().items()}
        columns["microstructures"] = self.microstructures[offsets[begin] : offsets[max(begin, end)]]
        return type(self)(**columns)

    def is_whole(self, count: int) -> bool:
        """Whether every column holds `count` volumes."""
        columns = self.columns()
        packed = columns.pop("microstructures")
        whole = all(len(column) == count for column in columns.values())
        return whole and len(packed) == int(packed_length(self.size).sum())

    def volume(self, index: int) -> NDArray[np.uint8]:
        """Phases 0 and 1 of one volume, shape (n, n, n)."""
        offsets, edge = self.offsets(), int(self.size[index])
        packed = self.microstructures[offsets[index] : offsets[index + 1]]
        return unpack_bits(packed[None], (edge, edge, edge))[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledSet:
    """A finished data set of morphologies, its volumes still bit-packed."""

    plan: MorphologyPlan
    """Plan that the volumes were made by."""
    samples: LabelledVolumes
    """All volumes, recipes and labels."""
    split: NDArray[np.str_]
    """One of `vaereg.io.datasets.SPLITS` for each volume, shape (N,)."""

    def __len__(self) -> int:
        return len(self.samples)

    def indices(self, split: str, *, size: int | None = None) -> NDArray[np.intp]:
        """Indices of the volumes of one split, ascending.

        Args:
            split: One of `vaereg.io.datasets.SPLITS`.
            size: Voxels per edge, if only volumes of one size are wanted.

        Raises:
            InputError: `split` is no split.
        """
        if split not in SPLITS:
            raise InputError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
        in_split = self.split == split
        return np.flatnonzero(in_split if size is None else in_split & (self.samples.size == size))

    def volumes(self, indices: NDArray[np.intp] | list[int]) -> NDArray[np.uint8]:
        """Phases 0 and 1 of volumes of one size, shape (N, n, n, n).

        Raises:
            InputError: The volumes differ in size, or there is none.
        """
        sizes = np.unique(self.samples.size[indices])
        if len(sizes) != 1:
            raise InputError(f"expected volumes of one size, got {sizes.tolist()}")
        offsets, edge = self.samples.offsets(), int(sizes[0])
        length = packed_length(edge)
        packed = np.stack([self.samples.microstructures[offsets[i] : offsets[i] + length] for i in indices])
        return unpack_bits(packed, (edge, edge, edge))

    def recipe(self, index: int) -> dict[str, Any]:
        """Recipe of one volume."""
        return json.loads(str(self.samples.recipe[index]))


def packed_length(size: Any) -> Any:  # noqa: ANN401
    """Bytes of a bit-packed volume of `size` voxels per edge, for one size or an array of sizes."""
    return -(-(size**3) // 8)


def format_of(path: Path) -> int:
    """Format version of a data set.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no HDF5 file with a format version.
    """
    with open_hdf5(path) as file:
        return read_int(file, "format_version")


def write_labelled_set(
    path: Path,
    plan: MorphologyPlan,
    samples: LabelledVolumes,
    *,
    scratch: Path | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Write a data set as a whole.

    Args:
        path: HDF5 file to create or replace.
        plan: Its attributes.
        samples: Its volumes, recipes and labels.
        scratch: Folder of the temporary file, on the same file system; that of `path` if left out.
        attributes: Further attributes of the file, such as those of a shard.

    Raises:
        InputError: The samples are not as many as the plan says.
    """
    if not samples.is_whole(plan.count):
        raise InputError(f"expected {plan.count} samples as planned, got {len(samples)}")
    pairs, index = _table_of_pairs(samples.phases)
    length = max(len(text.encode()) for text in samples.recipe.tolist())
    packed = samples.microstructures
    if len(plan.sizes) == 1:
        packed = packed.reshape(plan.count, -1)

    def fill(file: h5py.File) -> None:
        _write_plan(file, plan)
        file.attrs.update(attributes or {})
        write_array(file, "microstructures", packed)
        write_array(file, "size", samples.size, units="voxel")
        write_array(file, "relative", samples.relative.astype(np.uint8))
        write_strings(file, "class", samples.morphology, length=_NAME_LENGTH)
        write_strings(file, "parameters", samples.recipe, length=length)
        write_array(file, "volume_fraction", samples.volume_fraction, units="-")
        write_array(file, "seed", samples.seed)
        write_strings(file, "split", map(split_of_seed, samples.seed), length=_NAME_LENGTH)
        write_array(file, "pairs", pairs)
        file["pairs"].attrs["columns"] = ", ".join(PAIR_COLUMNS)
        file["pairs"].attrs["units"] = "GPa, GPa, -, -, W/(m K), W/(m K)"
        write_array(file, "pair", index)
        write_array(file, "stiffness", samples.stiffness, units="GPa")
        write_array(file, "conductivity", samples.conductivity, units="W/(m K)")

    content = hdf5_bytes(fill)
    replace_file(path, lambda temporary: temporary.write_bytes(content), folder=scratch)


def read_morphology_plan(path: Path) -> MorphologyPlan:
    """Read what a data set holds, without its volumes; raises as `read_labelled_set` does."""
    with open_hdf5(path) as file:
        return _read_plan(file)


def read_labelled_set(path: Path) -> LabelledSet:
    """Read a data set of morphologies.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no data set of format version 2, or contradicts itself.
    """
    with open_hdf5(path) as file:
        plan = _read_plan(file)
        count, most_pairs = plan.count, plan.pairs
        size = read_array(file, "size", shape=(count,), kind="iu", dtype=np.int64)
        if not np.isin(size, [int(text) for text in plan.sizes]).all():
            raise InputError(f"expected sizes of {', '.join(plan.sizes)} in {path}, got others")
        total = int(packed_length(size).sum())
        shape = (count, total // count) if len(plan.sizes) == 1 else (total,)
        packed = read_array(file, "microstructures", shape=shape, kind="u", dtype=np.uint8)
        pairs = read_array(file, "pairs", shape=(None, len(PAIR_COLUMNS)), kind="f", dtype=np.float64)
        index = read_array(file, "pair", shape=(count, most_pairs), kind="i", dtype=np.int64)
        if index.size and not (-1 <= index.min() and index.max() < len(pairs)):
            raise InputError(f"expected indices of {len(pairs)} pairs in {path}, got {index.max()}")
        rows = np.concatenate([pairs, np.full((1, len(PAIR_COLUMNS)), np.nan)])
        stiffness = read_array(file, "stiffness", shape=(count, most_pairs, 6, 6), kind="f", dtype=np.float32)
        conductivity = read_array(
            file, "conductivity", shape=(count, most_pairs, 3, 3), kind="f", dtype=np.float32
        )
        samples = LabelledVolumes(
            seed=read_array(file, "seed", shape=(count,), kind="iu", dtype=np.int64),
            morphology=read_strings(file, "class", count=count),
            size=size,
            relative=read_array(file, "relative", shape=(count,), kind="u", dtype=np.uint8).astype(bool),
            recipe=read_strings(file, "parameters", count=count),
            volume_fraction=read_array(file, "volume_fraction", shape=(count,), kind="f", dtype=np.float64),
            microstructures=packed.reshape(-1),
            phases=rows[index],
            stiffness=stiffness,
            conductivity=conductivity,
        )
        split = read_strings(file, "split", count=count)
    if unknown := set(split.tolist()) - set(SPLITS):
        raise InputError(f"expected splits of {', '.join(SPLITS)} in {path}, got {min(unknown)!r}")
    return LabelledSet(plan=plan, samples=samples, split=split)


def _table_of_pairs(phases: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Different pairs in their order of appearance, (M, 6), and indices into them, -1 for none, (N, P)."""
    table: dict[bytes, int] = {}
    rows = phases.reshape(-1, len(PAIR_COLUMNS))
    index = np.full(len(rows), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        if np.isfinite(row).all():
            index[place] = table.setdefault(row.tobytes(), len(table))
    pairs = np.frombuffer(b"".join(table), dtype=np.float64).reshape(-1, len(PAIR_COLUMNS))
    return pairs, index.reshape(phases.shape[:2])


def _write_plan(file: h5py.File, plan: MorphologyPlan) -> None:
    file.attrs["format_version"] = LABELLED_SET_VERSION
    file.attrs["phases"] = PHASES
    file.attrs["order"] = ORDER
    for name, value in asdict(plan).items():
        if isinstance(value, dict):
            file.attrs[name] = json.dumps(value)
        else:
            file.attrs[name] = np.int64(value) if isinstance(value, int) else value


def _read_plan(file: h5py.File) -> MorphologyPlan:
    version = read_int(file, "format_version")
    if version != LABELLED_SET_VERSION:
        raise InputError(f"expected format_version {LABELLED_SET_VERSION} in {file.filename}, got {version}")
    return MorphologyPlan(
        count=read_int(file, "count"),
        seed=read_int(file, "seed"),
        sizes=read_json(file, "sizes"),
        morphologies=read_json(file, "morphologies"),
        pairs=read_int(file, "pairs"),
        physics=read_text(file, "physics"),
        tolerance_rule=read_text(file, "tolerance_rule"),
        solver_dtype=read_text(file, "solver_dtype"),
        generator_version=read_int(file, "generator_version"),
    )
