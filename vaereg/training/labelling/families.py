"""Labelled data sets: random microstructures and their effective stiffness, made by several processes.

Volume i of a data set depends on the base seed, on i, on the size and on the families alone, so that neither
the number of processes nor an interruption changes a byte, and a longer data set begins with the shorter one.

Until a data set is whole, its batches wait beside it (`vaereg.training.labelling.batch_store`).
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaereg.errors import InputError
from vaereg.executors import Workers, check_workers
from vaereg.generators.families import GENERATOR_VERSION, family_weights, generate
from vaereg.io.datasets import DatasetPlan, LabelledBatch, read_dataset, read_plan, write_dataset
from vaereg.io.files import check_output
from vaereg.io.shards import Shard
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import pack_bits, volume_fraction
from vaereg.solver.homogenization import ConvergenceError, homogenize
from vaereg.training.labelling.batch_store import BatchStore, label_batches, make_in_batches

__all__ = ["FamilyFile", "generate_dataset", "label_batch", "volume_source"]

SOLVER_TOLERANCE = 1e-4
"""Relative residual of the labels [-]; the error of the stiffness is of the order of its square."""
BATCH_SIZE = 32
"""Volumes in one batch: what an interrupted process loses at most."""


def generate_dataset(
    path: Path,
    count: int,
    seed: int,
    size: int = 32,
    families: Mapping[str, float] | Sequence[str] | None = None,
    workers: Workers = 2,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    materials: TwoPhase | None = None,
    batch_size: int = BATCH_SIZE,
    shard: Shard | None = None,
) -> None:
    """Make a labelled data set, go on with one that was interrupted, or extend a shorter one.

    Args:
        path: HDF5 file to write (see `vaereg.io.datasets`).
        count: Number of volumes.
        seed: Base seed.
        size: Voxels per edge.
        families: Weights by name, names that share equally, or None for the default mix.
        workers: Number of processes of one thread each, or an executor.
        on_progress: Called with the number of volumes done and the count, first for volumes of a former run.
        materials: The two phases; the reference pair if left out.
        batch_size: Volumes per batch.
        shard: Part of the data set to make, for `merge_shards`; all of it if left out.

    Raises:
        InputError: An argument is out of range, or `path` holds a data set of other arguments.
        ConvergenceError: The solver failed on a volume.
    """
    check_workers(workers)
    if batch_size < 1:
        raise InputError(f"expected at least one volume per batch, got {batch_size}")
    plan = DatasetPlan(
        count=count,
        seed=seed,
        size=size,
        families=family_weights(families),
        materials=(materials or TwoPhase()).moduli(),
        solver_tolerance=SOLVER_TOLERANCE,
        solver_dtype="float32",
        generator_version=GENERATOR_VERSION,
    )
    store = BatchStore(check_output(path), plan, batch_size, FamilyFile(), shard)
    make_in_batches(store, lambda plan, ranges: _label_all(plan, ranges, workers), on_progress)


def volume_source(plan: DatasetPlan, index: int) -> tuple[str, int]:
    """Family and seed of volume `index` of a data set."""
    words = np.random.SeedSequence(plan.seed, spawn_key=(index,)).generate_state(2, np.uint64)
    names = list(plan.families)
    edges = np.cumsum(list(plan.families.values()))
    family = int(np.searchsorted(edges, int(words[1]) / 2.0**64, side="right"))
    return names[min(family, len(names) - 1)], int(words[0] >> np.uint64(1))


def label_batch(plan: DatasetPlan, indices: range) -> LabelledBatch:
    """Make and label the volumes `indices` of a data set.

    Raises:
        ConvergenceError: The solver failed on a volume.
    """
    materials = TwoPhase.from_dict(plan.materials)
    sources = [volume_source(plan, index) for index in indices]
    volumes, stiffness = [], []
    for index, (family, seed) in zip(indices, sources, strict=True):
        volume = generate(family, plan.size, generator=np.random.default_rng(seed)).volume
        try:
            result = homogenize(volume, materials, rtol=plan.solver_tolerance, dtype=np.float32)
        except ConvergenceError as error:
            raise ConvergenceError(f"volume {index} ({family}, seed {seed}): {error}") from error
        volumes.append(volume)
        stiffness.append(result.stiffness)
    return LabelledBatch(
        microstructures=pack_bits(np.stack(volumes)),
        stiffness=np.stack(stiffness).astype(np.float32),
        volume_fraction=np.array([volume_fraction(volume) for volume in volumes]),
        family=np.array([family for family, _ in sources]),
        seed=np.array([seed for _, seed in sources], dtype=np.int64),
    )


class FamilyFile:
    """Data sets of families, format version 1."""

    batch_type = LabelledBatch

    def read_plan(self, path: Path) -> DatasetPlan:
        """Plan of the data set in a file."""
        return read_plan(path)

    def read_batch(self, path: Path) -> LabelledBatch:
        """All volumes of the data set in a file."""
        return read_dataset(path).samples

    def write(
        self,
        path: Path,
        plan: DatasetPlan,
        batch: LabelledBatch,
        scratch: Path,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a whole data set, its temporary file in the folder `scratch`, with further attributes."""
        write_dataset(path, plan, batch, scratch=scratch, attributes=attributes)


def _label_all(
    plan: DatasetPlan, batches: Sequence[range], workers: Workers
) -> Generator[tuple[range, LabelledBatch], None, None]:
    """Label batches through several workers, in the order in which they are finished."""
    yield from label_batches(label_batch, plan, batches, workers)
