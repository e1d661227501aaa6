"""Training on shards that stay on the disk: memory, time of the loader, results/out_of_core.json.

    OMP_NUM_THREADS=1 python benchmarks/out_of_core.py [--count 1200000 --shards 100 --processes 2]

Makes a synthetic set of 32³ voxels whose files are whole in length and nearly empty on the disk: one volume
in a hundred is written, the others are holes that read as zeros. Each process of a training run then reads
the set, draws batches and makes steps of the regressor with the default preset, as `torchrun` would have it.
Recorded are the largest memory of a process, the time of reading and checking the set, and the time that a
step spends on its batch, with the files in the memory of the system and after they were dropped from it.
Other ways to read the same volumes are timed on one shard: the HDF5 library, one virtual data set over all
shards, and zarr where it is installed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from record import gaussian_cell, write_record

from vaereg.elasticity import reuss_bound, voigt_bound
from vaereg.generators.families import family_weights
from vaereg.io.datasets import DatasetPlan, LabelledBatch, write_dataset
from vaereg.io.files import array_place
from vaereg.io.shards import Shard, shard_attributes
from vaereg.io.stored_volumes import StoredVolumes
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import pack_bits
from vaereg.training.labelling.families import volume_source

SIZE, BATCH = 32, 64
PACKED = SIZE**3 // 8
WRITTEN = 100
"""One volume of so many is written."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_200_000)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--folder", type=Path, help="where the set is kept; a temporary folder if left out")
    parser.add_argument("--out", type=Path, help="another file than results/out_of_core.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(trained(arguments.folder, arguments.steps)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        begin = time.perf_counter()
        make_set(folder, arguments.count, arguments.shards)
        made = time.perf_counter() - begin
        files = sorted(folder.glob("*.h5"))
        figures: dict[str, object] = {
            "made_s": made,
            "bytes_declared": sum(path.stat().st_size for path in files),
            "bytes_on_disk": sum(path.stat().st_blocks * 512 for path in files),
            "readers": readers(files[0], files, arguments.count // arguments.shards),
            "training": in_processes(folder, arguments.processes, arguments.steps),
        }
    print(json.dumps(figures, indent=1))
    settings = {
        name: value for name, value in vars(arguments).items() if name in ("count", "shards", "processes")
    }
    print(write_record("out_of_core", {"size": SIZE, "batch": BATCH, **settings}, figures, arguments.out))


def make_set(folder: Path, count: int, shards: int) -> None:
    """Shards of a data set whose labels are places between the bounds, as `generate --shard` writes them."""
    plan = DatasetPlan(
        count=count,
        seed=0,
        size=SIZE,
        families=family_weights(["gaussian-equiaxed"]),
        materials=TwoPhase().moduli(),
        solver_tolerance=1e-4,
        solver_dtype="float32",
        generator_version=1,
    )
    filled = pack_bits(np.stack([gaussian_cell(SIZE, seed) for seed in range(16)]))
    lower, upper = reuss_bound(np.array([0.5])), voigt_bound(np.array([0.5]))
    for index in range(1, shards + 1):
        shard = Shard(index=index, of=shards)
        seeds = np.array([volume_source(plan, number)[1] for number in shard.indices(count)], dtype=np.int64)
        own = len(seeds)
        packed = np.zeros((own, PACKED), dtype=np.uint8)
        chosen = np.arange(0, own, WRITTEN)
        packed[chosen] = filled[np.arange(len(chosen)) % len(filled)]
        place = np.linspace(0.2, 0.8, own)[:, None, None]
        batch = LabelledBatch(
            microstructures=packed,
            stiffness=(lower + place * (upper - lower)).astype(np.float32),
            volume_fraction=np.full(own, 0.5),
            family=np.full(own, "gaussian-equiaxed"),
            seed=seeds,
        )
        path = folder / f"{index:04d}.h5"
        marks = shard_attributes(shard, count, batch)
        write_dataset(path, dataclasses.replace(plan, count=own), batch, attributes=marks)
        make_holes(path, chosen)


def make_holes(path: Path, written: NDArray[np.intp]) -> None:
    """Copy a file, but for its volumes that hold zeros alone: they take no room on the disk."""
    place, length = array_place(path, "microstructures")
    sparse = path.with_suffix(".sparse")
    with path.open("rb") as whole, sparse.open("wb") as file:
        file.write(whole.read(place))
        for row in written:
            whole.seek(place + row * PACKED)
            file.seek(place + row * PACKED)
            file.write(whole.read(PACKED))
        whole.seek(place + length)
        file.seek(place + length)
        file.write(whole.read())
        file.truncate(path.stat().st_size)
    sparse.replace(path)


def in_processes(folder: Path, processes: int, steps: int) -> list[dict[str, Any]]:
    """Figures of each process of one training run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "WORLD_SIZE": str(processes),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, "--child", "--folder", str(folder), "--steps", str(steps)]
    children = [
        subprocess.Popen(
            command,
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    outputs = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError("expected every process to end well")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def trained(folder: Path, steps: int) -> dict[str, Any]:
    """Steps of one process: medians of the times of a batch and of a whole step [s], and its memory."""
    import torch

    from vaereg.model.config import preset
    from vaereg.training.loop import _Loop
    from vaereg.training.replicas import join_replicas
    from vaereg.training.training_set import read_training_set

    torch.set_num_threads(1)
    begin = time.perf_counter()
    data = read_training_set(folder)
    read = time.perf_counter() - begin
    config = preset("default")
    settings = dataclasses.replace(
        config.training, forward_share=1.0, steps=10 * steps, batch_size=BATCH, held_out=()
    )
    config = dataclasses.replace(config, training=settings)
    batches: dict[str, list[float]] = {"wall": [], "cpu": []}
    times: dict[str, list[float]] = {"wall": [], "cpu": []}
    with join_replicas() as replicas, tempfile.TemporaryDirectory() as out:
        loop = _Loop(data, Path(out), config, torch.device("cpu"), None, replicas)
        draw = loop._batch

        def timed(kept: dict[str, list[float]], call: Callable[[], Any]) -> Any:  # noqa: ANN401
            start = time.perf_counter(), time.thread_time()
            result = call()
            kept["wall"].append(time.perf_counter() - start[0])
            kept["cpu"].append(time.thread_time() - start[1])
            return result

        loop._batch = lambda: timed(batches, draw)  # type: ignore[method-assign]
        for _ in range(steps):
            timed(times, loop._train_step)
            loop.step += 1
        warm = {"wall": [], "cpu": []}
        for _ in range(10):
            timed(warm, draw)
        cold: dict[str, list[float]] = {"wall": [], "cpu": []}
        rows = np.random.default_rng(replicas.rank).permutation(np.arange(0, len(data), WRITTEN))
        for part in np.resize(rows, (5, BATCH)):
            drop_from_memory(folder)
            timed(cold, lambda part=part: data.volumes(part))
    return {
        "read_and_checked_s": read,
        "largest_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "step_s": medians(times),
        "batch_s": medians(batches),
        "batch_alone_s": medians(warm),
        "read_from_disk_s": medians(cold),
    }


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in times.items()}


def drop_from_memory(folder: Path) -> None:
    """Have the system forget the content of the files."""
    for path in folder.glob("*.h5"):
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def readers(first: Path, files: list[Path], rows_each: int) -> dict[str, float]:
    """Median CPU time of a batch of random volumes, packed, by way of reading [s]."""
    generator = np.random.default_rng(0)
    batches = [generator.integers(0, rows_each, BATCH) for _ in range(20)]
    everywhere = [generator.integers(0, rows_each * len(files), BATCH) for _ in range(20)]
    result: dict[str, float] = {}

    def measure(
        name: str, read: Callable[[NDArray[np.intp]], object], chosen: list[NDArray[np.intp]]
    ) -> None:
        read(chosen[0])
        times = []
        for rows in chosen:
            begin = time.process_time()
            read(rows)
            times.append(time.process_time() - begin)
        result[name] = statistics.median(times)

    stored = StoredVolumes([(first, rows_each)], np.full(rows_each, SIZE))
    measure("bytes at their place, unpacked", stored.read, batches)
    all_files = StoredVolumes([(path, rows_each) for path in files], np.full(rows_each * len(files), SIZE))
    measure("bytes at their place, unpacked, all shards", all_files.read, everywhere)
    with h5py.File(first) as file:
        dataset = file["microstructures"]
        measure("HDF5, row by row", lambda rows: [dataset[row] for row in rows], batches)  # type: ignore[index]
        measure("HDF5, sorted rows at once", lambda rows: dataset[np.unique(rows)], batches)  # type: ignore[index]
    with tempfile.TemporaryDirectory() as folder:
        layout = h5py.VirtualLayout((rows_each * len(files), PACKED), np.uint8)
        for index, path in enumerate(files):
            source = h5py.VirtualSource(path, "microstructures", (rows_each, PACKED))
            layout[index * rows_each : (index + 1) * rows_each] = source
        with h5py.File(Path(folder) / "virtual.h5", "w") as file:
            file.create_virtual_dataset("microstructures", layout)
        with h5py.File(Path(folder) / "virtual.h5") as file:
            dataset = file["microstructures"]
            measure("virtual data set, row by row", lambda rows: [dataset[row] for row in rows], everywhere)  # type: ignore[index]
        try:
            import zarr
        except ImportError:
            return result
        with h5py.File(first) as file:
            content = file["microstructures"][()]  # type: ignore[index]
        for chunk in (1, 64):
            array = zarr.create_array(
                store=Path(folder) / f"{chunk}.zarr",
                shape=content.shape,
                chunks=(chunk, PACKED),
                shards=(-(-len(content) // chunk) * chunk, PACKED),
                dtype=np.uint8,
            )
            array[:] = content
            measure(
                f"zarr, {chunk} volumes a chunk",
                lambda rows, array=array: array.oindex[np.unique(rows)],
                batches,
            )
    return result


if __name__ == "__main__":
    main()
