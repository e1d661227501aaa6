"""Figures and model of docs/scaling.md, from results/scaling.json and the records beside it.

    python benchmarks/scaling_report.py [--out docs/scaling.md]

Rewrites the part of the page between its two marks. The model: T tasks of t seconds on n workers, of which
each costs the parent (which also keeps the batch in a file) and the scheduler time that nobody shares, take

    W(n) = max(T t' / n, T s) + t' / 2,    t' = t + o,

where t is the CPU time of a task beside other workers, o what a worker waits between two tasks, and s the
larger of the two serial times. The last term is the wait for the last task.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from record import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- figures: made by benchmarks/scaling_report.py -->", "<!-- end of the figures -->"
VOLUMES = 1_200_000
"""Volumes of the data set of the projections."""
LARGER = 8
"""Factor by which a task is made larger, to move the limit."""


def median(runs: list[dict[str, float]], name: str) -> float:
    return statistics.median(run[name] for run in runs)


def quiet(run: dict[str, float]) -> float:
    """Wall time of a run without what other programs took of it [s]."""
    return run["wall_s"] * run["task_cpu_s"] / run["task_wall_s"]


class Model:
    """Times of a way to the workers.

    Args:
        figures: Those of the way in the record.
        write: CPU time to keep the batch of a task [s].
        scale: Tasks of `generate` over those of the record, by their volumes.
    """

    def __init__(self, figures: dict[str, Any], write: float, scale: float) -> None:
        ones, overhead = figures["runs"]["one"], figures["overhead"]
        # beside another worker a task takes longer, if anything
        self.small = median(ones, "task_cpu_s") / min(1.0, figures["cpu_of_a_task"])
        at_a_task = median(ones, "at_a_task")
        self.wait = self.small * (1.0 / at_a_task - 1.0)
        self.task = self.small * scale
        self.parent = overhead["parent_cpu_s"] + write
        self.scheduler = overhead.get("scheduler_cpu_s", 0.0)

    @property
    def serial(self) -> float:
        """Time of a task that nobody shares, s [s]."""
        return max(self.parent, self.scheduler)

    @property
    def limit(self) -> float:
        """Number of workers from which more do not help."""
        return (self.task + self.wait) / self.serial

    def wall(self, tasks: float, workers: int, task: float | None = None) -> float:
        """Time of a run, W(n) [s]."""
        each = (self.task if task is None else task) + self.wait
        return max(tasks * each / workers, tasks * self.serial) + each / 2.0


def percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def spent(seconds: float) -> str:
    if seconds < 5400.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h" if seconds < 360_000.0 else f"{seconds / 86_400.0:.0f} days"


def section() -> str:
    """The part of the page."""
    record = json.loads((RESULTS / "scaling.json").read_text(encoding="utf-8"))
    disk = json.loads((RESULTS / "out_of_core.json").read_text(encoding="utf-8"))
    batch = json.loads((RESULTS / "two_servers.json").read_text(encoding="utf-8"))
    cells = json.loads((RESULTS / "large_cells.json").read_text(encoding="utf-8"))
    settings, figures = record["settings"], record["figures"]
    of_generate = settings["volumes_of_a_task_of_generate"]
    scale = of_generate / settings["volumes_of_a_task"]
    ways = {"processes": "processes of one machine", "dask": "Dask"}
    models = {name: Model(figures[name], figures["write_cpu_s"], scale) for name in ways}
    hardware = record["hardware"]
    lines = [
        BEGIN,
        "",
        "## What was measured, and what it predicts",
        "",
        f"On {hardware['cores']} cores ({hardware['processor']}), "
        f"{'before which others waited' if hardware['real_time'] else 'which others used as well'} (load "
        f"{hardware['load_average'][0]:g}); medians of {settings['repeats']} runs of "
        f"{settings['tasks']} tasks of {settings['volumes_of_a_task']} volumes of {settings['size']}³ voxels "
        "(`benchmarks/cluster_scaling.py`).",
        "",
        "| from one to two workers | processes | Dask |",
        "| --- | --- | --- |",
        *_rows(figures, models, settings),
        "",
        "The efficiency by CPU time is the share of the time that workers are at a task, against one "
        "worker, times "
        "the CPU time of a task alone over that beside another worker. Above 100 %, the machine was slower "
        "for the "
        "runs with one worker.",
        "",
        f"**The model.** T tasks of t seconds on n workers take W(n) = max(T (t + o) / n, T s) + (t + o) / "
        f"2: o is "
        "what a worker waits between two tasks, s what one task costs the parent, which also keeps the "
        "batch, or the "
        "scheduler, whichever is more; the last term is the wait for the last task. What it says of two "
        "workers, from "
        f"runs with one: {_prediction(figures, models)}",
        "",
        f"**Further.** {VOLUMES:,} volumes in tasks of {of_generate} "
        f"({VOLUMES // of_generate:,} tasks), as `generate` makes them:",
        "",
        "| workers | processes | Dask | efficiency through Dask |",
        "| --- | --- | --- | --- |",
    ]
    tasks = VOLUMES / of_generate
    for workers in (1, 2, 64, 1024):
        local, dask = (models[name].wall(tasks, workers) for name in ways)
        ideal = tasks * models["dask"].task / workers
        lines.append(f"| {workers:,} | {spent(local)} | {spent(dask)} | {percent(ideal / dask)} |")
    dask, merge = models["dask"], figures["merge"]
    lines += [
        "",
        f"- **The scheduler and the parent.** Through Dask the {_larger(dask)} is the limit, at "
        f"{dask.limit:,.0f} "
        f"workers: a task costs it {1000.0 * dask.serial:.1f} ms, a worker {dask.task:.1f} s. The cost "
        f"does not grow "
        f"with the task: tasks of {LARGER * of_generate} volumes (`batch_size` in Python) move the limit to "
        f"{(LARGER * dask.task + dask.wait) / dask.serial:,.0f} workers, and an interruption then loses "
        f"{LARGER} times "
        "as much.",
        f"- **The file.** To keep a batch takes the parent {1000.0 * figures['write_cpu_s']:.1f} ms of its "
        f"{1000.0 * dask.parent:.1f} ms. {figures['bytes_back'] / of_generate / 1000.0:.1f} kB a volume "
        f"come back: "
        f"{1024 / dask.task * figures['bytes_back'] / 1e6:.0f} MB/s from 1,024 workers, through the "
        f"scheduler.",
        f"- **The merge.** A job array has neither scheduler nor parent: its jobs scale as they are. "
        f"`merge` then takes "
        f"{1e6 * merge['cpu_s']:.0f} µs a volume, {spent(VOLUMES * merge['cpu_s'])} for {VOLUMES:,}, on "
        f"one core, and "
        f"{2.0 * VOLUMES * merge['bytes'] / 2**30:.0f} GiB of memory. Training on the folder of shards "
        f"needs no merge.",
        "",
        *_training(disk),
        "",
        *_servers(batch),
        "",
        *_cells(cells),
        "",
        END,
    ]
    return "\n".join(lines)


def _rows(figures: dict[str, Any], models: dict[str, Model], settings: dict[str, Any]) -> list[str]:
    process, dask = figures["processes"], figures["dask"]

    def row(name: str, value: Any) -> str:  # noqa: ANN401
        return f"| {name} | {value(process, models['processes'])} | {value(dask, models['dask'])} |"

    return [
        row("efficiency by CPU time", lambda way, _: percent(way["by_cpu"])),
        row("share of the time at a task", lambda way, _: percent(way["at_a_task"])),
        row("CPU time of a task, alone over beside another", lambda way, _: percent(way["cpu_of_a_task"])),
        row("efficiency by wall time", lambda way, _: percent(way["by_wall"])),
        row("parent, of each task", lambda way, _: f"{1000.0 * way['overhead']['parent_cpu_s']:.1f} ms"),
        row(
            "scheduler, of each task",
            lambda way, _: (
                f"{1000.0 * way['overhead']['scheduler_cpu_s']:.1f} ms"
                if "scheduler_cpu_s" in way["overhead"]
                else "none"
            ),
        ),
        row(
            f"bytes of a task of {settings['volumes_of_a_task_of_generate']} volumes, out and back",
            lambda *_: f"{figures['bytes_out']:,} and {figures['bytes_back']:,}",
        ),
    ]


def _prediction(figures: dict[str, Any], models: dict[str, Model]) -> str:
    """Measured and predicted times of two workers."""
    parts = []
    for name, shown in (("processes", "processes"), ("dask", "Dask")):
        ones, twos = figures[name]["runs"]["one"], figures[name]["runs"]["two"]
        count = statistics.median(
            round(run["wall_s"] * run["at_a_task"] / run["task_wall_s"]) for run in ones
        )
        predicted = models[name].wall(count, 2, models[name].small)
        measured = statistics.median(quiet(run) for run in twos)
        parts.append(
            f"{shown} {predicted:.1f} s predicted, {measured:.1f} s measured "
            f"({predicted / measured - 1.0:+.0%})"
        )
    return "; ".join(parts) + "."


def _larger(model: Model) -> str:
    return "scheduler" if model.scheduler > model.parent else "parent"


def _training(record: dict[str, Any]) -> list[str]:
    figures, settings = record["figures"], record["settings"]
    training = figures["training"]
    memory = max(process["largest_memory_gib"] for process in training)
    share = max(process["batch_s"]["cpu"] / process["step_s"]["cpu"] for process in training)
    step = max(process["step_s"]["cpu"] for process in training)
    readers = figures["readers"]
    listed = ", ".join(f"{name} {1000.0 * seconds:.1f} ms" for name, seconds in readers.items())
    return [
        f"**Training on shards.** {settings['count']:,} volumes of {settings['size']}³ in "
        f"{settings['shards']} shards, "
        f"{settings['processes']} processes (`benchmarks/out_of_core.py`): at most {memory:.1f} GiB of "
        f"memory a process, "
        f"{max(process['read_and_checked_s'] for process in training):.0f} s to read and check the set, and "
        f"{percent(share)} of the CPU time of a step of the regressor ({step:.1f} s) to read, unpack, turn "
        f"and shift its "
        f"{settings['batch']} volumes. Ways to read a batch, CPU time: {listed}.",
    ]


def _servers(record: dict[str, Any]) -> list[str]:
    figures, settings = record["figures"], record["settings"]
    return [
        f"**Two dashboards.** {settings['targets']} targets through two dashboards and two workers, of "
        f"which one was "
        f"killed at work after {figures['worker_killed_after_targets']} targets "
        f"(`benchmarks/two_servers.py`): "
        f"{figures['arrived']['designs']} of {figures['asked']['designs']} values arrived, "
        f"{figures['results_kept']} "
        f"volumes took {figures['solves']} solves, {len(figures['errors'])} errors.",
    ]


def _cells(record: dict[str, Any]) -> list[str]:
    lines = []
    by_size: dict[int, list[dict[str, Any]]] = {}
    for run in record["figures"]:
        by_size.setdefault(run["size"], []).append(run)
    for size, runs in sorted(by_size.items()):
        listed = ", ".join(
            f"{run['threads']} thread{'s' * (run['threads'] > 1)} {run['wall_s']:.0f} s "
            f"({run['cpu_s']:.0f} s of CPU, {'before others' if run['real_time'] else 'beside others'}, "
            f"{run['largest_memory_gib']:.1f} GiB)"
            for run in sorted(runs, key=lambda run: run["threads"])
        )
        lines.append(f"{size}³: {listed}")
    return [
        f"**Large cells**, {record['settings']['precision']} (`benchmarks/large_cells.py`): "
        f"{'; '.join(lines)}."
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    arguments.out.write_text(before + section() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
