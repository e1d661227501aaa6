"""Merging of shards: files that several processes made apart become the file that one would have made."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from vaereg.errors import InputError
from vaereg.io.files import check_output, lock_file
from vaereg.io.labelled_sets import LABELLED_SET_VERSION, format_of
from vaereg.io.shards import ShardHeader, checksum, read_shard_header
from vaereg.training.labelling.batch_store import DatasetFile, Plan, ShardFile
from vaereg.training.labelling.families import FamilyFile, volume_source
from vaereg.training.labelling.morphologies import MorphologyFile, morphology_source

__all__ = ["FoundShard", "merge_shards", "ordered_shards", "read_checked"]

_NAMED = 8
"""Largest number of missing shards that an error names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundShard:
    """A shard that was looked at."""

    path: Path
    """Its file."""
    header: ShardHeader
    """What it says of itself."""
    version: int
    """Format version."""
    plan: Plan
    """Plan of the whole data set."""


def merge_shards(
    paths: Sequence[Path], out: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> int:
    """Join all shards of a data set: byte for byte what one process would have written.

    Args:
        paths: Files of all shards, in any order.
        out: HDF5 file to write.
        on_progress: Called with the number of shards that are read, and of all.

    Returns:
        Number of volumes.

    Raises:
        FileNotFoundError: A file is missing.
        InputError: A shard is missing, given twice, damaged, or of another data set or version; or another
            process merges into the same file.
    """
    check_output(out, *paths)
    shards = ordered_shards(paths)
    folder = out.with_name(out.name + ".merge")
    with _locked(folder):
        for leftover in folder.glob("*.tmp"):
            leftover.unlink()
        try:
            return _join(shards, out, folder, on_progress or (lambda count, total: None))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def ordered_shards(paths: Sequence[Path]) -> list[FoundShard]:
    """All shards of one data set, in the order of its volumes; errors as in `merge_shards`."""
    return _in_order([_look_at(path) for path in paths])


def read_checked(shard: FoundShard) -> Any:  # noqa: ANN401 (of either format)
    """Volumes of a shard, whose number, seeds and checksum are what they must be.

    Raises:
        InputError: They are not.
    """
    batch = _file_of(shard.version).read_batch(shard.path)
    _check(shard, batch)
    return batch


def _locked(folder: Path) -> IO[str]:
    """Make a folder and its lock, which is held; a merge that ends at this moment removes both."""
    while True:
        folder.mkdir(exist_ok=True)
        path = folder / "lock"
        try:
            lock = lock_file(path)
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
            lock.close()
        except FileNotFoundError:
            continue


def _look_at(path: Path) -> FoundShard:
    header, version = read_shard_header(path), format_of(path)
    file = ShardFile(_file_of(version), header.shard)
    return FoundShard(path=path, header=header, version=version, plan=file.read_plan(path))


def _file_of(version: int) -> DatasetFile[Any, Any]:
    return MorphologyFile() if version == LABELLED_SET_VERSION else FamilyFile()


def _in_order(shards: Sequence[FoundShard]) -> list[FoundShard]:
    """All shards of one data set, in the order of its volumes."""
    first, *others = shards
    for candidate in others:
        for name, value in _facts(candidate).items():
            if value != _facts(first).get(name):
                raise InputError(
                    f"expected shards of one data set, got {name} {_facts(first).get(name)} in {first.path} "
                    f"and {value} in {candidate.path}"
                )
    by_index: dict[int, FoundShard] = {}
    for shard in shards:
        twin = by_index.setdefault(shard.header.shard.index, shard)
        if twin is not shard:
            raise InputError(
                f"expected every shard once, got {shard.header.shard} in {twin.path} and in {shard.path}"
            )
    of = first.header.shard.of
    missing_indices = [index for index in range(1, of + 1) if index not in by_index]
    if missing_indices:
        named = ", ".join(f"{index}/{of}" for index in missing_indices[:_NAMED])
        suffix = f" and {len(missing_indices) - _NAMED} more" if len(missing_indices) > _NAMED else ""
        raise InputError(f"expected {of} shards, got {len(shards)}: {named}{suffix} missing")
    return [by_index[index] for index in range(1, of + 1)]


def _facts(shard: FoundShard) -> dict[str, object]:
    """What shards of one data set have in common."""
    return {
        "format_version": shard.version,
        "shards": shard.header.shard.of,
        **asdict(shard.plan),
        **{f"version of {name}": value for name, value in shard.header.made_by.items()},
    }


def _join(
    shards: Sequence[FoundShard], out: Path, folder: Path, on_progress: Callable[[int, int], None]
) -> int:
    file, plan = _file_of(shards[0].version), shards[0].plan
    batches: list[Any] = []
    on_progress(0, len(shards))
    for shard in shards:
        batches.append(read_checked(shard))
        on_progress(len(batches), len(shards))
    file.write(out, plan, file.batch_type.join(batches), folder)
    return plan.count


def _check(shard: FoundShard, batch: Any) -> None:  # noqa: ANN401
    """Compare the number of volumes, their seeds and the checksum of a shard with what they must be."""
    indices = shard.header.shard.indices(shard.plan.count)
    if len(batch) != len(indices):
        raise InputError(f"expected {len(indices)} volumes in {shard.path}, got {len(batch)}")
    seeds = [_seed(shard, index) for index in indices]
    if batch.seed.tolist() != seeds:
        wrong = next(i for i, seed in enumerate(seeds) if seed != batch.seed[i])
        raise InputError(
            f"expected the seed {seeds[wrong]} of volume {indices[wrong]} in {shard.path}, got "
            f"{batch.seed[wrong]}"
        )
    if checksum(batch) != shard.header.checksum:
        raise InputError(f"expected the content that {shard.path} was written with, got another checksum")


def _seed(shard: FoundShard, index: int) -> int:
    if shard.version == LABELLED_SET_VERSION:
        return morphology_source(shard.plan, index).seed  # type: ignore[arg-type]
    return volume_source(shard.plan, index)[1]  # type: ignore[arg-type]
