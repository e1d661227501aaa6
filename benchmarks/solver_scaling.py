"""Time, iterations and peak memory of one solve (six load cases) from 8^3 to 128^3 voxels.

    OMP_NUM_THREADS=1 python benchmarks/solver_scaling.py [--sizes 8 16 ...] [--add]

Writes results/solver_scaling.json. Each case runs in a process of its own, for the sake of its peak memory.
"""

import argparse
import json
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from record import PRECISIONS, RESULTS, gaussian_cell, seconds, write_record

from vaereg.solver.homogenization import homogenize

SIZES = (8, 16, 24, 31, 32, 48, 51, 64, 96, 128)


def solve(size: int, precision: str) -> dict[str, object]:
    """Figures of one size and precision."""
    dtype, rtol = PRECISIONS[precision]
    homogenize(np.eye(4)[None].repeat(4, axis=0), rtol=rtol, dtype=dtype)  # compiled and loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cell = gaussian_cell(size)
    # kernels of this edge compiled as well
    homogenize(cell, rtol=rtol, dtype=dtype, max_iter=1, raise_on_failure=False)
    results = []
    repeats = 5 if size <= 32 else 1
    time = seconds(lambda: results.append(homogenize(cell, rtol=rtol, dtype=dtype)), repeats, warm_up=False)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "size": size,
        "precision": precision,
        **time,
        "iterations": results[-1].iterations,
        "peak_memory_gb": after / 1e6,
        "imports_memory_gb": before / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--precisions", choices=tuple(PRECISIONS), nargs="+", default=tuple(PRECISIONS))
    parser.add_argument("--add", action="store_true", help="to the figures of a former run on this machine")
    arguments = parser.parse_args()
    figures: list[dict[str, object]] = []
    if arguments.add:
        figures = json.loads((RESULTS / "solver_scaling.json").read_text(encoding="utf-8"))["figures"]
    settings = {
        "contrast": 50,
        "load_cases": 6,
        "rtol": {name: rtol for name, (_, rtol) in PRECISIONS.items()},
    }
    for size in arguments.sizes:
        for precision in arguments.precisions:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
                row = executor.submit(solve, size, precision).result()
            figures = [item for item in figures if (item["size"], item["precision"]) != (size, precision)]
            figures.append(row)
            print(row, flush=True)
            write_record("solver_scaling", settings, figures)  # after each: the large ones take minutes


if __name__ == "__main__":
    main()
