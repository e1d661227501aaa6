"""Labelled data sets: random microstructures and their effective stiffness, made by several processes.

Volume i of a data set depends on the base seed, on i, on the size and on the families alone, so that neither
the number of processes nor an interruption changes a byte, and a longer data set begins with the shorter one.

Until a data set is whole, its batches wait in the folder `<file>.parts`: each one a small file that was
renamed into place, beside `plan.json`, which says what was asked for. A process killed at any moment leaves
whole batches, and at most a temporary file that the next run removes.
"""

import json
import shutil
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from vaereg.elasticity import TwoPhase
from vaereg.generators.families import GENERATOR_VERSION, family_weights, generate
from vaereg.io.datasets import DatasetPlan, LabelledBatch, read_dataset, read_plan, write_dataset
from vaereg.io.files import check_output, lock_file, replace_file
from vaereg.microstructure.volume import pack_bits, volume_fraction
from vaereg.solver.homogenization import ConvergenceError, homogenize
from vaereg.workers import worker_processes

__all__ = ["generate_dataset", "label_batch", "volume_source"]

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
    workers: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    materials: TwoPhase | None = None,
    batch_size: int = BATCH_SIZE,
) -> None:
    """Make a labelled data set, go on with one that was interrupted, or extend a shorter one.

    Args:
        path: HDF5 file to write (see `vaereg.io.datasets`).
        count: Number of volumes.
        seed: Base seed.
        size: Voxels per edge.
        families: Weights by name, names that share equally, or None for the default mix.
        workers: Number of processes, of one thread each.
        on_progress: Called with the number of volumes done and the count, first for volumes of a former run.
        materials: The two phases; the reference pair if left out.
        batch_size: Volumes per batch.

    Raises:
        ValueError: An argument is out of range, or `path` holds a data set of other arguments.
        ConvergenceError: The solver failed on a volume.
    """
    if workers < 1:
        raise ValueError(f"expected at least one worker, got {workers}")
    if batch_size < 1:
        raise ValueError(f"expected at least one volume per batch, got {batch_size}")
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
    report = on_progress or (lambda done, total: None)
    with closing(_Parts(check_output(path), plan, batch_size)) as parts:
        missing = parts.begin()
        done = count - sum(map(len, missing))
        report(done, count)
        with closing(_label_all(plan, missing, workers)) as labelled:
            for indices, batch in labelled:
                parts.write(indices, batch)
                done += len(indices)
                report(done, count)
        parts.finish()


def volume_source(plan: DatasetPlan, index: int) -> tuple[str, int]:
    """Family and seed of volume `index` of a data set."""
    words = np.random.SeedSequence(plan.seed, spawn_key=(index,)).generate_state(2, np.uint64)
    names = list(plan.families)
    edges = np.cumsum(list(plan.families.values()))
    chosen = int(np.searchsorted(edges, int(words[1]) / 2.0**64, side="right"))
    return names[min(chosen, len(names) - 1)], int(words[0] >> np.uint64(1))


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


class _Parts:
    """The batches of a data set that is not whole yet."""

    def __init__(self, path: Path, plan: DatasetPlan, batch_size: int) -> None:
        self.path = path
        self.plan = plan
        self.folder = path.with_name(path.name + ".parts")
        starts = range(0, plan.count, batch_size)
        self.batches = [range(start, min(start + batch_size, plan.count)) for start in starts]
        self.layout = {**asdict(plan), "batch_size": batch_size}
        self._lock: IO[str] | None = None

    def begin(self) -> list[range]:
        """Check that existing files belong to this plan, and list the missing batches.

        Raises:
            ValueError: The file or its parts were begun with another plan, save for fewer volumes.
        """
        plan_file = self.folder / "plan.json"
        if plan_file.exists():
            _check_plan(json.loads(plan_file.read_text(encoding="utf-8")), self.layout, self.folder)
        present = read_plan(self.path).count if self.path.exists() else 0
        if present:
            _check_plan(asdict(read_plan(self.path)), asdict(self.plan), self.path)
        if present == self.plan.count:
            return []
        self.folder.mkdir(exist_ok=True)
        self._lock = lock_file(self.folder / "lock")
        for leftover in self.folder.glob("*.tmp"):
            leftover.unlink()
        text = json.dumps(self.layout, indent=2)
        replace_file(plan_file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        missing = [indices for indices in self.batches if self._load(indices) is None]
        return self._take_over(missing, present) if present else missing

    def write(self, indices: range, batch: LabelledBatch) -> None:
        """Keep one batch."""
        arrays = _columns(batch)

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)

        replace_file(self._part(indices), save)

    def finish(self) -> None:
        """Join the batches into the final file, unless it is there, and remove them."""
        if not self.path.exists() or read_plan(self.path) != self.plan:
            loaded = [self._load(indices) for indices in self.batches]
            columns = [_columns(batch) for batch in loaded if batch is not None]
            joined = {name: np.concatenate([column[name] for column in columns]) for name in columns[0]}
            write_dataset(self.path, self.plan, LabelledBatch(**joined), scratch=self.folder)
        self.close()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let another run go on from here."""
        if self._lock is not None:
            self._lock.close()

    def _take_over(self, missing: list[range], present: int) -> list[range]:
        """Turn the first volumes of a shorter data set into batches."""
        columns = _columns(read_dataset(self.path).samples)
        covered = [indices for indices in missing if indices.stop <= present]
        for indices in covered:
            rows = slice(indices.start, indices.stop)
            self.write(indices, LabelledBatch(**{name: column[rows] for name, column in columns.items()}))
        return missing[len(covered) :]

    def _part(self, indices: range) -> Path:
        return self.folder / f"batch-{indices.start:08d}.npz"

    def _load(self, indices: range) -> LabelledBatch | None:
        """Read one batch; None if it is not there, damaged, or of a shorter data set."""
        try:
            with self._part(indices).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                batch = LabelledBatch(**{field.name: arrays[field.name] for field in fields(LabelledBatch)})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        complete = all(len(column) == len(indices) for column in _columns(batch).values())
        return batch if complete else None


def _columns(batch: LabelledBatch) -> dict[str, Any]:
    return {field.name: getattr(batch, field.name) for field in fields(batch)}


def _check_plan(stored: dict[str, Any], asked: dict[str, Any], path: Path) -> None:
    for name, value in asked.items():
        extends = name == "count" and isinstance(stored.get(name), int) and stored[name] <= value
        if stored.get(name) != value and not extends:
            raise ValueError(
                f"expected the arguments that {path} was begun with ({name} {stored.get(name)}), "
                f"got {name} {value}: give the same to go on, or name another file"
            )


def _label_all(
    plan: DatasetPlan, batches: Sequence[range], workers: int
) -> Generator[tuple[range, LabelledBatch], None, None]:
    """Label batches in several processes, in the order in which they are finished."""
    if not batches:
        return
    with worker_processes(min(workers, len(batches))) as executor:
        tasks = {executor.submit(label_batch, plan, indices): indices for indices in batches}
        for task in as_completed(tasks):
            yield tasks[task], task.result()
