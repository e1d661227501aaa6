"""Volumes with labels for one pair of phases, of one size or of several: what training and fitting read.

Both formats of data sets are read alike: families of one size (`vaereg.io.datasets`), and classes of several
sizes (`vaereg.io.labelled_sets`), of which the labels for the reference pair are taken. A file is held in
memory; of a folder of shards the labels alone are, and volumes are read when they are asked for.

Dimension letters: N volumes, T properties, n voxels per edge.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vaereg.elasticity import diagonal_properties
from vaereg.errors import InputError
from vaereg.generators.families import mix_name
from vaereg.generators.morphologies import component_of
from vaereg.io.datasets import SPLITS, Dataset, read_dataset, split_of_seed
from vaereg.io.labelled_sets import (
    LABELLED_SET_VERSION,
    PAIR_COLUMNS,
    LabelledSet,
    format_of,
    read_labelled_set,
)
from vaereg.io.stored_volumes import StoredVolumes
from vaereg.materials import MODULI, TwoPhase
from vaereg.training.labelling.merging import FoundShard, ordered_shards, read_checked

__all__ = ["TrainingSet", "read_training_set"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingSet:
    """Labelled volumes of either format."""

    name: NDArray[np.str_]
    """Name of the family or of the class of each volume, shape (N,)."""
    mode: NDArray[np.str_] | None
    """Name of the mode of each volume, shape (N,); empty for families beside classes, None for
    families alone."""
    seed: NDArray[np.int64]
    """Seed of each volume, shape (N,)."""
    split: NDArray[np.str_]
    """Split of each volume, shape (N,)."""
    size: NDArray[np.int64]
    """Voxels per edge, shape (N,)."""
    properties: NDArray[np.float64]
    """Properties by the solver, shape (N, T) [GPa]."""
    labelled: NDArray[np.bool_]
    """Whether a volume of format 2 has a label for this pair of phases, shape (N,)."""
    volume_fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase [-], shape (N,)."""
    materials: TwoPhase
    """Phases of the labels."""
    identity: str
    """Plan of the data set, as JSON."""
    facts: dict[str, str]
    """Facts for the model card: cells, classes, the command, labels."""
    unpack: Callable[[NDArray[np.intp]], NDArray[np.uint8]]
    """Function that gives the phases of volumes of one size, shape (N, n, n, n)."""

    @classmethod
    def of(cls, data: Dataset | LabelledSet | Self) -> Self:
        """Training set of a data set of either format; a training set stays as it is."""
        if isinstance(data, Dataset):
            return cls._of_families(data)
        return cls._of_classes(data) if isinstance(data, LabelledSet) else data

    @classmethod
    def _of_families(cls, data: Dataset) -> Self:
        plan, samples = data.plan, data.samples
        families = mix_name(plan.families) or dict(plan.families)
        return cls(
            name=samples.family,
            mode=None,
            seed=samples.seed,
            split=data.split,
            size=np.full(len(data), plan.size, dtype=np.int64),
            properties=diagonal_properties(samples.stiffness),
            labelled=np.ones(len(data), dtype=bool),
            volume_fraction=samples.volume_fraction,
            materials=TwoPhase.from_dict(plan.materials),
            identity=_identity(plan),
            facts={
                "cell": f"{plan.size}³ voxels, periodic",
                "families": ", ".join(sorted(plan.families)),
                "data": f"python -m vaereg generate --count {plan.count} --seed {plan.seed} "
                f"--size {plan.size} --families {families}",
                "labels": f"solver in {plan.solver_dtype}, residual {plan.solver_tolerance:g}",
            },
            unpack=data.volumes,
        )

    @classmethod
    def _of_classes(cls, data: LabelledSet) -> Self:
        plan, samples, materials = data.plan, data.samples, TwoPhase()
        properties = _labels_of(data, materials)
        sizes = [int(text) for text in plan.sizes]
        modes = [
            component_of(str(name), json.loads(str(recipe)))
            for name, recipe in zip(samples.morphology, samples.recipe, strict=True)
        ]
        return cls(
            name=samples.morphology,
            mode=np.array(modes),
            seed=samples.seed,
            split=data.split,
            size=samples.size,
            properties=properties,
            labelled=np.asarray(np.isfinite(properties).all(1)),
            volume_fraction=samples.volume_fraction,
            materials=materials,
            identity=_identity(plan),
            facts={
                "cell": f"{min(sizes)}³ to {max(sizes)}³ voxels, periodic",
                "classes": ", ".join(plan.morphologies),
                "data": f"python -m vaereg generate --count {plan.count} --seed {plan.seed} "
                f"--morphologies {','.join(plan.morphologies)}",
                "labels": f"solver in {plan.solver_dtype}, residual {plan.tolerance_rule}",
            },
            unpack=data.volumes,
        )

    @classmethod
    def joined(cls, sets: Sequence[Self]) -> Self:
        """Training set of several, in order, each volume in the split that it has in its own.

        Raises:
            InputError: There is none, or their labels are for different phases.
        """
        if not sets:
            raise InputError("expected at least one data set, got none")
        if len(sets) == 1:
            return sets[0]
        first = sets[0]
        if any(data.materials != first.materials for data in sets):
            raise InputError(
                "expected labels for the same phases in all data sets, got "
                + ", ".join(str(data.materials.moduli()) for data in sets)
            )
        ends = np.cumsum([len(data) for data in sets])
        modes = [np.full(len(data), "") if data.mode is None else data.mode for data in sets]
        names = dict.fromkeys(name for data in sets for name in data.facts)
        sizes = np.concatenate([data.size for data in sets])

        def unpack(indices: NDArray[np.intp]) -> NDArray[np.uint8]:
            set_index = np.searchsorted(ends, indices, side="right")
            edge = int(sizes[indices[0]])
            volumes = np.empty((len(indices), edge, edge, edge), dtype=np.uint8)
            for number in np.unique(set_index):
                places = set_index == number
                begin = ends[number] - len(sets[number])
                volumes[places] = sets[number].volumes(indices[places] - begin)
            return volumes

        return cls(
            name=np.concatenate([data.name for data in sets]),
            mode=None if all(data.mode is None for data in sets) else np.concatenate(modes),
            seed=np.concatenate([data.seed for data in sets]),
            split=np.concatenate([data.split for data in sets]),
            size=sizes,
            properties=np.concatenate([data.properties for data in sets]),
            labelled=np.concatenate([data.labelled for data in sets]),
            volume_fraction=np.concatenate([data.volume_fraction for data in sets]),
            materials=first.materials,
            identity=json.dumps([data.identity for data in sets]),
            facts={
                name: "; ".join(dict.fromkeys(data.facts[name] for data in sets if name in data.facts))
                for name in names
            },
            unpack=unpack,
        )

    def __len__(self) -> int:
        return len(self.seed)

    @property
    def edge(self) -> int:
        """Voxels per edge of most volumes."""
        sizes, counts = np.unique(self.size, return_counts=True)
        return int(sizes[counts.argmax()])

    def labelled_rows(self, split: str, left_out: Sequence[str] = ()) -> NDArray[np.intp]:
        """Labelled volumes of a split whose families or classes training did not leave out, ascending."""
        if split not in SPLITS:
            raise InputError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
        in_split = (self.split == split) & self.labelled
        return np.flatnonzero(in_split & ~np.isin(self.name, tuple(left_out)))

    def volumes(self, indices: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Phases 0 and 1 of volumes of one size, shape (N, n, n, n)."""
        return self.unpack(indices)

    def by_size(
        self, indices: NDArray[np.intp], max_voxels: int = 64 * 32**3
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
        """Places in `indices` and phases of volumes, size by size, at most `max_voxels` at once."""
        sizes = self.size[indices]
        for size in np.unique(sizes):
            places = np.flatnonzero(sizes == size)
            parts = -(-len(places) * int(size) ** 3 // max_voxels)
            for part in np.array_split(places, parts):
                yield part, self.volumes(indices[part])


def read_training_set(path: Path) -> TrainingSet:
    """Read a data set of either format.

    Args:
        path: File of the data set, or folder of all its shards (`generate --shard`), which are compared and
            checked as `merge_shards` does it, one after the other.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file is no data set, or contradicts itself; a shard is missing, given twice, damaged
            or foreign.
    """
    if path.is_dir():
        return _read_shards(path)
    if format_of(path) == LABELLED_SET_VERSION:
        return TrainingSet.of(read_labelled_set(path))
    return TrainingSet.of(read_dataset(path))


def _read_shards(folder: Path) -> TrainingSet:
    """Training set of all shards in a folder, whose volumes stay in their files."""
    paths = sorted(folder.glob("*.h5"))
    if not paths:
        raise InputError(f"expected shards (*.h5) in {folder}, got none")
    shards = ordered_shards(paths)
    parts = [_without_volumes(shard) for shard in shards]
    whole = TrainingSet.joined(parts)
    counts = [(shard.path, len(part)) for shard, part in zip(shards, parts, strict=True)]
    stored_volumes = StoredVolumes(counts, whole.size)
    return replace(whole, identity=parts[0].identity, facts=parts[0].facts, unpack=stored_volumes.read)


def _without_volumes(shard: FoundShard) -> TrainingSet:
    """Labels of a shard, which says that it is the whole data set."""
    samples = read_checked(shard)
    split = np.array([split_of_seed(seed) for seed in samples.seed.tolist()])
    kind: Any = LabelledSet if shard.version == LABELLED_SET_VERSION else Dataset
    part = TrainingSet.of(kind(plan=shard.plan, samples=samples, split=split))
    return replace(part, unpack=_no_volumes)  # in place of one that would keep the volumes in memory


def _no_volumes(rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    raise ValueError(f"expected no volumes to be asked of a part, got {len(rows)}")


def _labels_of(data: LabelledSet, materials: TwoPhase) -> NDArray[np.float64]:
    """Properties for one pair of phases; NaN where a volume has no label for it, shape (N, T) [GPa].

    Raises:
        InputError: No volume has a label for this pair.
    """
    moduli = materials.moduli()
    columns = [PAIR_COLUMNS.index(name) for name in MODULI]
    numbers = np.array([moduli[name] for name in MODULI])
    matches = (data.samples.phases[:, :, columns] == numbers).all(2)
    place = matches.argmax(1)
    rows = np.arange(len(data))
    properties = diagonal_properties(data.samples.stiffness[rows, place])
    properties[~matches[rows, place]] = np.nan
    if not np.isfinite(properties).all(1).any():
        raise InputError(f"expected labels for the reference pair {moduli}, got none")
    return properties


def _identity(plan: object) -> str:
    return json.dumps(dataclasses.asdict(plan), sort_keys=True)  # pyright: ignore[reportArgumentType]
