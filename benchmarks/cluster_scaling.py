"""Labels from one to two workers, by processes and through Dask, and what a task costs: results/scaling.json.

    OMP_NUM_THREADS=1 python benchmarks/cluster_scaling.py [--tasks 16 --volumes 2 --repeats 3]

The same tasks, batches of volumes of 32³ voxels made and solved, go through one worker and through two, in
turn, several times; the Dask scheduler and its workers are those of deploy/compose.yaml on the loopback. A
task says its CPU and its wall time. On a machine that others use as well, the wall time of a run says little,
unless they wait (`chrt -f 10`); so beside it stand two shares that their load hardly changes: how much of the
time the workers were at a task, against one worker, and how much more CPU time the same task takes beside
another worker. Their product is the efficiency by CPU time. Then tasks that do nothing, with the results of
real ones, say what the parent, the scheduler and the way to the file take for each task, and how many bytes
travel; and shards of a synthetic set are merged.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from out_of_core import make_set
from record import write_record

from vaereg.cluster import ClusterExecutor
from vaereg.executors import run_tasks
from vaereg.generators.families import family_weights
from vaereg.io.datasets import DatasetPlan, LabelledBatch
from vaereg.materials import TwoPhase
from vaereg.training.labelling.batch_store import BatchStore
from vaereg.training.labelling.families import SOLVER_TOLERANCE, FamilyFile, label_batch
from vaereg.training.labelling.merging import merge_shards
from vaereg.workers import worker_processes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "deploy"))
from loopback import Loopback  # noqa: E402

SIZE = 32
BATCH = 32
"""Volumes of a task of `generate`."""
SERVICES = ("scheduler", "worker-1", "worker-2")


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A task that was done."""

    cpu: float
    begin: float
    end: float
    worker: int


def label(task: tuple[DatasetPlan, range]) -> Done:
    """A batch of volumes, with the times of the worker [s]."""
    begin, cpu = time.time(), time.process_time()
    label_batch(*task)
    return Done(cpu=time.process_time() - cpu, begin=begin, end=time.time(), worker=os.getpid())


def hand_back(batch: LabelledBatch) -> LabelledBatch:
    """Nothing but the way there and back."""
    return batch


def run(executor: Executor, tasks: Sequence[tuple[DatasetPlan, range]], workers: int) -> dict[str, float]:
    """Times of one run, after every worker has done a task.

    Returns:
        Wall time of the run [s], mean CPU and wall time of a task [s], and the share of the time that the
        workers were at a task, from the begin of the first one to that of the last one: afterwards there is
        none to hand out.
    """
    ready: set[int] = set()
    while len(ready) < workers:
        ready |= {done.worker for _, done in run_tasks(label, tasks[: 2 * workers], executor)}
    begin = time.perf_counter()
    done = [item for _, item in run_tasks(label, tasks, executor)]
    wall = time.perf_counter() - begin
    first, last = min(item.begin for item in done), max(item.begin for item in done)
    busy = sum(min(item.end, last) - item.begin for item in done)
    return {
        "wall_s": wall,
        "task_cpu_s": sum(item.cpu for item in done) / len(done),
        "task_wall_s": sum(item.end - item.begin for item in done) / len(done),
        "at_a_task": busy / (workers * (last - first)),
    }


def efficiency(ones: list[dict[str, float]], twos: list[dict[str, float]]) -> dict[str, Any]:
    """Medians over the repeats of efficiencies from one to two workers."""
    pairs = list(zip(ones, twos, strict=True))
    busy = [two["at_a_task"] / one["at_a_task"] for one, two in pairs]
    cost = [one["task_cpu_s"] / two["task_cpu_s"] for one, two in pairs]
    return {
        "by_cpu": statistics.median(first * second for first, second in zip(busy, cost, strict=True)),
        "by_wall": statistics.median(one["wall_s"] / (2.0 * two["wall_s"]) for one, two in pairs),
        "at_a_task": statistics.median(busy),
        "cpu_of_a_task": statistics.median(cost),
        "runs": {"one": ones, "two": twos},
    }


def scaled(
    executors: dict[int, Executor], tasks: list[tuple[DatasetPlan, range]], repeats: int
) -> dict[str, Any]:
    """Runs with one and with two workers, in turn."""
    results: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for _ in range(repeats):
        for workers, executor in executors.items():
            results[workers].append(run(executor, tasks, workers))
            print(f"{workers} workers: {results[workers][-1]}", file=sys.stderr, flush=True)
    return efficiency(results[1], results[2])


def overhead(executor: Executor, batch: LabelledBatch, count: int, scheduler: int | None) -> dict[str, float]:
    """What a task takes beside its computation [s]: CPU of this process and of the scheduler, wall."""
    list(run_tasks(hand_back, [batch] * 20, executor))
    begin = time.perf_counter(), time.process_time(), _cpu_of(scheduler)
    for _ in run_tasks(hand_back, [batch] * count, executor):
        pass
    wall, cpu = time.perf_counter() - begin[0], time.process_time() - begin[1]
    result = {"wall_s": wall / count, "parent_cpu_s": cpu / count}
    if scheduler is not None:
        result["scheduler_cpu_s"] = (_cpu_of(scheduler) - begin[2]) / count
    return result


def _cpu_of(process: int | None) -> float:
    """CPU time of a process [s]."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written(folder: Path, plan: DatasetPlan, batch: LabelledBatch, count: int = 50) -> float:
    """CPU time to keep the batch of one task [s]."""
    store = BatchStore(folder / "data.h5", plan, BATCH, FamilyFile())
    missing = store.begin()
    begin = time.process_time()
    for indices in missing[:count]:
        store.write(indices, batch)
    cpu = time.process_time() - begin
    store.close()
    return cpu / count


def merged(folder: Path, count: int) -> dict[str, float]:
    """CPU time and bytes of a merge, for each volume."""
    folder.mkdir()
    make_set(folder, count, 4)
    shards = sorted(folder.glob("*.h5"))
    begin = time.process_time()
    merge_shards(shards, folder / "merged.h5")
    cpu = time.process_time() - begin
    return {"cpu_s": cpu / count, "bytes": (folder / "merged.h5").stat().st_size / count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=16)
    parser.add_argument("--volumes", type=int, default=2, help="volumes of a task")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--empty", type=int, default=2000, help="tasks that do nothing")
    parser.add_argument("--out", type=Path, help="another file than results/scaling.json")
    arguments = parser.parse_args()
    plan = DatasetPlan(
        count=10_000,
        seed=0,
        size=SIZE,
        families=family_weights(),
        materials=TwoPhase().moduli(),
        solver_tolerance=SOLVER_TOLERANCE,
        solver_dtype="float32",
        generator_version=1,
    )
    each = arguments.volumes
    tasks = [(plan, range(each * number, each * (number + 1))) for number in range(arguments.tasks)]
    few = label_batch(plan, range(4))
    batch = type(few).join([few] * (BATCH // 4))
    figures: dict[str, Any] = {
        "bytes_out": len(pickle.dumps(tasks[0])),
        "bytes_back": len(pickle.dumps(batch)),
    }
    with worker_processes(1) as one, worker_processes(2) as two:
        figures["processes"] = scaled({1: one, 2: two}, tasks, arguments.repeats)
        figures["processes"]["overhead"] = overhead(one, batch, arguments.empty, None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with Loopback(folder / "one", SERVICES[:2]) as alone, Loopback(folder / "two", SERVICES) as both:
            executors: dict[int, Executor] = {
                1: ClusterExecutor(alone.scheduler),
                2: ClusterExecutor(both.scheduler),
            }
            figures["dask"] = scaled(executors, tasks, arguments.repeats)
            scheduler = alone.processes["scheduler"].pid
            figures["dask"]["overhead"] = overhead(executors[1], batch, arguments.empty, scheduler)
            for executor in executors.values():
                executor.shutdown(wait=False, cancel_futures=True)
        figures["write_cpu_s"] = written(folder, plan, batch)
        figures["merge"] = merged(folder / "shards", 20_000)
    print(json.dumps(figures, indent=1))
    settings: dict[str, object] = {
        "size": SIZE,
        "tasks": arguments.tasks,
        "volumes_of_a_task": each,
        "volumes_of_a_task_of_generate": BATCH,
        "repeats": arguments.repeats,
    }
    print(write_record("scaling", settings, figures, arguments.out))


if __name__ == "__main__":
    main()
