"""Designs for hidden targets, corrected without a solve, by the solver: results/corrected_designs.json.

    OMP_NUM_THREADS=1 python benchmarks/corrected_designs.py [--size 32] [--targets 10] [--others 3]

Targets are C11, C22 and C33, by the solver, of volumes of random morphologies that no model has seen, with
the reference pair and with random phases of each range of contrast. `design` makes twelve designs for each,
with the corrections that it makes unless it is told otherwise. The record has the largest deviation of each
design before them and after them by prediction, and after them by the solver; how many of their C11 to C66
lie within the 90 % intervals of the predictions; and the CPU and the elapsed time of `design`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import write_record
from refinement_pairs import DECADES, KINDS, hidden, random_pair, targets_of

from vaereg.elasticity import diagonal_properties
from vaereg.inverse.designs import Designs
from vaereg.inverse.direct import design
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.refining.corrections import STEPS
from vaereg.materials import Phase, TwoPhase
from vaereg.model.checkpoint import load_checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.solver.problem import tolerance_for
from vaereg.targets import CellProperties, Targets

REFERENCE = TwoPhase(Phase("", 120.0, 0.3, conductivity=50.0), Phase("", 2.4, 0.3, conductivity=1.0))
"""Moduli of the checkpoint; its targets here know no conductivity."""
NINETY_PERCENT = 1.645
"""Half width of a 90 % interval over the standard deviation [-]."""
CELL_SEED = 9
"""First number of the seeds of the hidden volumes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="voxels per edge")
    parser.add_argument("--targets", type=int, default=10, help="targets with the reference pair")
    parser.add_argument("--others", type=int, default=3, help="targets of each range of contrast")
    parser.add_argument("--count", type=int, default=12, help="designs per target")
    parser.add_argument("--steps", type=int, default=STEPS, help="corrections")
    parser.add_argument("--pairs", nargs="+", default=["reference", *DECADES])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="record to write (default: results/corrected_designs.json)")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint()
    names = ("size", "targets", "others", "count", "steps", "seed")
    settings: dict[str, object] = {name: getattr(arguments, name) for name in names}
    settings |= {"checkpoint": checkpoint.hash}
    runs: list[dict[str, Any]] = []
    for place, kind in enumerate(("reference", *DECADES)):
        if kind not in arguments.pairs:
            continue
        for number in range(arguments.targets if kind == "reference" else arguments.others):
            generator = np.random.default_rng([CELL_SEED, arguments.seed, number, place])
            pair = REFERENCE if kind == "reference" else random_pair(kind, generator)
            morphology, cell = hidden(arguments.size, pair, generator)
            wanted = targets_of(cell, KINDS["three"])

            def made(wanted: Targets = wanted, pair: TwoPhase = pair, number: int = number) -> Designs:
                return design(
                    checkpoint,
                    wanted,
                    arguments.count,
                    arguments.size,
                    materials=pair,
                    seed=number,
                    corrections=arguments.steps,
                )

            try:
                if not number:  # compiled and loaded before
                    made()
                begin, begin_elapsed = time.process_time(), time.perf_counter()
                designs = made()
                seconds, elapsed = time.process_time() - begin, time.perf_counter() - begin_elapsed
            except UnreachableTargetError:
                continue
            stiffness = np.stack(
                [
                    homogenize(volume, pair, rtol=tolerance_for(pair), dtype=np.float32).stiffness
                    for volume in designs.microstructures
                ]
            )
            cells = CellProperties(stiffness=stiffness, fraction=designs.fraction, materials=pair)
            raw = designs.raw_deviation
            missed = np.abs(diagonal_properties(stiffness) - designs.mean)
            runs.append(
                {
                    "pair": kind,
                    "contrast": None if pair.has_void else pair.ordered().contrast,
                    "morphology": morphology,
                    "modes": [designs.modes[index] for index in designs.component],
                    "raw": [] if raw is None else raw.round(5).tolist(),
                    "predicted": designs.largest_deviation.round(5).tolist(),
                    "solved": wanted.largest_deviation(cells).round(5).tolist(),
                    "covered": round(float((missed <= NINETY_PERCENT * designs.std).mean()), 3),
                    "cpu_seconds": round(seconds, 2),
                    "elapsed_seconds": round(elapsed, 2),
                }
            )
        results = {"summary": summary(runs), "runs": runs}
        write_record("corrected_designs", settings, results, arguments.out)
    for entry in summary(runs):
        print(entry)


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the designs of each pair, and over the best of each target by prediction."""
    table = []
    for pair in dict.fromkeys(run["pair"] for run in runs):
        chosen = [run for run in runs if run["pair"] == pair]
        best = [run["solved"][int(np.argmin(run["predicted"]))] for run in chosen]
        entry = {
            name: round(float(np.median([value for run in chosen for value in run[name]])), 5)
            for name in ("raw", "predicted", "solved")
        }
        entry |= {"best": round(float(np.median(best)), 5)}
        entry |= {"covered": round(float(np.mean([run["covered"] for run in chosen])), 3)}
        for name in ("cpu_seconds", "elapsed_seconds"):
            entry |= {name: round(float(np.median([run[name] for run in chosen])), 2)}
        table.append({"pair": pair, "targets": len(chosen), **entry})
    return table


if __name__ == "__main__":
    main()
