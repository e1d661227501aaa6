"""Labelled volumes per hour: random microstructures of 32^3 voxels in the default mix, made and solved.

    python benchmarks/label_throughput.py [--count 192 --workers 2]

Writes results/label_throughput.json.
"""

import argparse
import tempfile
import time
from pathlib import Path

from record import write_record

from vaereg.training.labelling.families import SOLVER_TOLERANCE, generate_dataset

SIZE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=384)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    ticks: list[tuple[float, int]] = []

    def note(done: int, total: int) -> None:
        ticks.append((time.perf_counter(), done))

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        generate_dataset(
            Path(folder) / "data.h5", arguments.count, 0, SIZE, workers=arguments.workers, on_progress=note
        )
        total = time.perf_counter() - begin
    # without the start of the processes: from the first to the last report
    (first, done), (last, count) = next(tick for tick in ticks if tick[1] > 0), ticks[-1]
    steady = (count - done) / (last - first) if last > first else float("nan")
    figures = {
        "wall_s": total,
        "volumes_per_hour": 3600.0 * arguments.count / total,
        "volumes_per_hour_once_started": 3600.0 * steady,
    }
    print(figures)
    settings = {"size": SIZE, "rtol": SOLVER_TOLERANCE, "precision": "float32", **vars(arguments)}
    print(write_record("label_throughput", settings, figures))


if __name__ == "__main__":
    main()
