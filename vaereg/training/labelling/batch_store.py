"""Batches of a data set that is being made: kept one by one, joined at the end, safe against any kill.

Until a data set is whole, its batches wait in the folder `<file>.parts`: each a small file that was renamed
into place, beside `plan.json`, which holds the arguments. A process killed at any moment leaves whole
batches, and at most a temporary file that the next run removes.
"""

import json
import shutil
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from vaereg.errors import InputError
from vaereg.executors import Workers, run_tasks
from vaereg.io.columns import ColumnBatch
from vaereg.io.files import lock_file, replace_file
from vaereg.io.shards import Shard, is_shard, read_shard_header, shard_attributes

__all__ = ["BatchStore", "DatasetFile", "Plan", "ShardFile", "label_batches", "make_in_batches"]


class Plan(Protocol):
    """Plan of a data set: a dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def count(self) -> int:
        """Number of volumes asked for."""
        ...


PlanT = TypeVar("PlanT", bound=Plan)
BatchT = TypeVar("BatchT", bound=ColumnBatch)


class DatasetFile(Protocol[PlanT, BatchT]):
    """Reading and writing of one kind of data set."""

    batch_type: type[BatchT]

    def read_plan(self, path: Path) -> PlanT:
        """Plan of the data set in a file."""
        ...

    def read_batch(self, path: Path) -> BatchT:
        """All volumes of the data set in a file."""
        ...

    def write(
        self,
        path: Path,
        plan: PlanT,
        batch: BatchT,
        scratch: Path,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a whole data set, its temporary file in the folder `scratch`, with further attributes."""
        ...


class ShardFile(Generic[PlanT, BatchT]):
    """Reading and writing of one shard of a data set; its plan is that of the whole data set."""

    def __init__(self, whole: DatasetFile[PlanT, BatchT], shard: Shard) -> None:
        self.whole = whole
        self.shard = shard
        self.batch_type = whole.batch_type

    def read_plan(self, path: Path) -> PlanT:
        """Plan of the whole data set.

        Raises:
            InputError: The file holds another shard, or none.
        """
        header = read_shard_header(path)
        if header.shard != self.shard:
            raise InputError(f"expected the shard {self.shard} in {path}, got {header.shard}")
        return replace(self.whole.read_plan(path), count=header.total)

    def read_batch(self, path: Path) -> BatchT:
        """Volumes of the shard."""
        return self.whole.read_batch(path)

    def write(
        self,
        path: Path,
        plan: PlanT,
        batch: BatchT,
        scratch: Path,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the shard, which says what it is."""
        marks = {**shard_attributes(self.shard, plan.count, batch), **(attributes or {})}
        self.whole.write(path, replace(plan, count=len(batch)), batch, scratch, marks)


class BatchStore(Generic[PlanT, BatchT]):
    """The batches of a data set that is not whole yet."""

    def __init__(
        self,
        path: Path,
        plan: PlanT,
        batch_size: int,
        dataset_file: DatasetFile[PlanT, BatchT],
        shard: Shard | None = None,
    ) -> None:
        self.path = path
        self.plan = plan
        self.file = dataset_file if shard is None else ShardFile(dataset_file, shard)
        self.folder = path.with_name(path.name + ".parts")
        self.indices = range(plan.count) if shard is None else shard.indices(plan.count)
        self.extends = shard is None
        self.batches = [
            self.indices[start:][:batch_size] for start in range(0, len(self.indices), batch_size)
        ]
        self.layout = {**asdict(plan), "batch_size": batch_size}
        if shard is not None:
            self.layout["shard"] = str(shard)
        self._lock: IO[str] | None = None

    def begin(self) -> list[range]:
        """Check that existing files belong to this plan, and list the missing batches.

        Raises:
            InputError: The file or its parts were begun with another plan, save for fewer volumes.
        """
        plan_file = self.folder / "plan.json"
        if plan_file.exists():
            former_plan = json.loads(plan_file.read_text(encoding="utf-8"))
            _check_plan(former_plan, self.layout, self.folder, extends=self.extends)
        present = self.file.read_plan(self.path).count if self.path.exists() else 0
        if present and self.extends and is_shard(self.path):
            raise InputError(f"expected a whole data set in {self.path}, got a shard: name another file")
        if present:
            former_plan = asdict(self.file.read_plan(self.path))
            _check_plan(former_plan, asdict(self.plan), self.path, extends=self.extends)
        if present == self.plan.count:
            return []
        self.folder.mkdir(exist_ok=True)
        self._lock = lock_file(self.folder / "lock")
        for leftover in self.folder.glob("*.tmp"):
            leftover.unlink()
        text = json.dumps(self.layout, indent=2)
        replace_file(plan_file, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        missing_ranges = [indices for indices in self.batches if self._load(indices) is None]
        return self._take_over(missing_ranges, present) if present else missing_ranges

    def write(self, indices: range, batch: BatchT) -> None:
        """Keep one batch."""
        arrays: dict[str, Any] = batch.columns()

        def save(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **arrays)

        replace_file(self._part(indices), save)

    def finish(self) -> None:
        """Join the batches into the final file, unless it is there, and remove them."""
        if not self.path.exists() or self.file.read_plan(self.path) != self.plan:
            loaded = [self._load(indices) for indices in self.batches]
            joined = self.file.batch_type.join([batch for batch in loaded if batch is not None])
            self.file.write(self.path, self.plan, joined, self.folder)
        self.close()
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let another run go on from here."""
        if self._lock is not None:
            self._lock.close()

    def _take_over(self, missing_ranges: list[range], present: int) -> list[range]:
        """Turn the first volumes of a shorter data set into batches."""
        samples = self.file.read_batch(self.path)
        covered = [indices for indices in missing_ranges if indices.stop <= present]
        for indices in covered:
            self.write(indices, samples.rows(slice(indices.start, indices.stop)))
        return missing_ranges[len(covered) :]

    def _part(self, indices: range) -> Path:
        return self.folder / f"batch-{indices.start:08d}.npz"

    def _load(self, indices: range) -> BatchT | None:
        """Read one batch; None if it is not there, damaged, or of a shorter data set."""
        kind = self.file.batch_type
        try:
            with self._part(indices).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                batch = kind(**{name: arrays[name] for name in kind.names()})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return batch if batch.is_whole(len(indices)) else None


def make_in_batches(
    store: BatchStore[PlanT, BatchT],
    label_all: Callable[[PlanT, list[range]], Generator[tuple[range, BatchT], None, None]],
    on_progress: Callable[[int, int], None] | None,
) -> None:
    """Make the missing batches of a data set and join all of them.

    Args:
        store: The batches; closed at the end, whatever happens.
        label_all: Function of the plan and the missing ranges that yields ranges with their batches.
        on_progress: Called with the number of volumes done and the count, first for volumes of a former run.
    """
    report = on_progress or (lambda volumes, total: None)
    count = len(store.indices)
    try:
        missing_ranges = store.begin()
        volumes = count - sum(map(len, missing_ranges))
        report(volumes, count)
        batches = label_all(store.plan, missing_ranges)
        try:
            for indices, batch in batches:
                store.write(indices, batch)
                volumes += len(indices)
                report(volumes, count)
        except BrokenExecutor as error:
            raise type(error)(
                f"{error}; {volumes} of {count} volumes are kept: the same command goes on"
            ) from error
        finally:
            batches.close()
        store.finish()
    finally:
        store.close()


def _check_plan(former_plan: dict[str, Any], plan: dict[str, Any], path: Path, *, extends: bool) -> None:
    """Refuse a plan that is not the former one, save for more volumes where it `extends`."""
    for name in dict.fromkeys([*plan, *former_plan]):
        value = plan.get(name)
        longer = (
            extends
            and name == "count"
            and isinstance(former_plan.get(name), int)
            and former_plan[name] <= value
        )
        if former_plan.get(name) != value and not longer:
            raise InputError(
                f"expected the arguments that {path} was begun with ({name} {former_plan.get(name)}), "
                f"got {name} {value}: give the same to go on, or name another file"
            )


def label_batches(
    label: Callable[[PlanT, range], BatchT], plan: PlanT, batches: Sequence[range], workers: Workers
) -> Generator[tuple[range, BatchT], None, None]:
    """Label batches through several workers, in the order in which they are finished.

    Args:
        label: Function of a module that makes and labels the volumes of a range.
        plan: Plan of the data set.
        batches: Ranges of volumes.
        workers: Number of processes of one thread each, or an executor.
    """
    with closing(run_tasks(partial(label, plan), batches, workers)) as finished:
        for number, batch in finished:
            yield batches[number], batch
