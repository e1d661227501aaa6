"""One large cell: time, memory, and what a second thread gains, results/large_cells.json.

    python benchmarks/large_cells.py [--size 256] [--shared-size 128] [--precision float32]

The cell is a Gaussian field of the reference pair, with all six load cases. Each solve runs in a process of
its own, so that its largest memory is told; progress goes to stderr, and Ctrl-C ends it. Wall times mean
something where nobody else computes, or under `chrt -f 10`, for which others wait. Runs of other sizes that
are in the record stay there; a size of 0 is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from record import PRECISIONS, RESULTS, gaussian_cell, write_record

from vaereg.commands.reporting import iteration_progress
from vaereg.solver.homogenization import homogenize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shared-size", type=int, default=128, help="cell that one and two threads solve")
    parser.add_argument("--precision", choices=tuple(PRECISIONS), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--solve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="another file than results/large_cells.json")
    arguments = parser.parse_args()
    if arguments.solve:
        print(json.dumps(solved(arguments.solve, arguments.precision)))
        return
    path = arguments.out or RESULTS / "large_cells.json"
    former = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else []
    figures: list[dict[str, object]] = []
    runs = [
        (arguments.shared_size, 1),
        (arguments.shared_size, arguments.threads),
        (arguments.size, arguments.threads),
    ]
    for size, threads in dict.fromkeys(run for run in runs if run[0]):
        command = [sys.executable, __file__, "--solve", str(size), "--precision", arguments.precision]
        environment = os.environ | {"VAEREG_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": "1"}
        load = round(os.getloadavg()[0], 1)
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        real_time = os.sched_getscheduler(0) == os.SCHED_FIFO
        facts = {"size": size, "threads": threads, "real_time": real_time, "load_before": load}
        figures.append(facts | json.loads(done.stdout.splitlines()[-1]))
        print(figures[-1], file=sys.stderr, flush=True)
    asked = {(run["size"], run["threads"]) for run in figures}
    figures += [run for run in former if (run["size"], run["threads"]) not in asked]
    print(write_record("large_cells", {"precision": arguments.precision}, figures, path))


def solved(size: int, precision: str) -> dict[str, float]:
    """Times [s] and memory of one solve in this process."""
    dtype, rtol = PRECISIONS[precision]
    cell = gaussian_cell(size)
    homogenize(cell[:16, :16, :16], rtol=1e-2, dtype=dtype)  # loads the kernels
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = iteration_progress("large_cells")
    begin = time.perf_counter(), time.process_time()
    result = homogenize(cell, rtol=rtol, dtype=dtype, on_iteration=report)
    return {
        "wall_s": time.perf_counter() - begin[0],
        "cpu_s": time.process_time() - begin[1],
        "iterations": result.iterations,
        "residual": result.residual,
        "largest_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "memory_before_gib": before / 2**20,
        "C11": float(result.stiffness[0, 0]),
    }


if __name__ == "__main__":
    main()
