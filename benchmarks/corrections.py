"""Corrections without a solve, and refinement, of volumes of every morphology: results/corrections.json.

    OMP_NUM_THREADS=1 python benchmarks/corrections.py [--size 32] [--volumes 2] [--refine]

Every volume gets a target near its own properties by the solver: each quantity is off by 5 % in the standard
deviation. The record has the largest deviation after 0, 1, 2 and 3 steps by prediction, and by the solver at
the start and the end; the CPU time of a step; and with --refine the solves until every quantity is within
1 %.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import write_record

from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse.refining.corrections import correct
from vaereg.inverse.refining.refinement import refine
from vaereg.materials import Phase, TwoPhase
from vaereg.model.pairs.regressor import load_pair_model
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import homogenize
from vaereg.solver.problem import tolerance_for
from vaereg.targets import CellProperties, parse

STEPS, SPREAD = 3, 0.05
KINDS = {
    "three": ["E_x", "E_y", "E_z"],
    "six": ["E_x", "E_y", "E_z", "G_yz", "G_xz", "G_xy"],
    "nine": ["E_x", "E_y", "E_z", "G_yz", "G_xz", "G_xy", "k_x", "k_y", "k_z"],
}
PAIRS = {
    "reference": TwoPhase(Phase("", 120.0, 0.3, conductivity=50.0), Phase("", 2.4, 0.3, conductivity=1.0)),
    "contrast 1000": TwoPhase(
        Phase("", 200.0, 0.3, conductivity=100.0), Phase("", 0.2, 0.45, conductivity=0.2)
    ),
    "void": TwoPhase(Phase("", 70.0, 0.33, conductivity=200.0), Phase("void", 0.0, 0.0, conductivity=0.0)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="voxels per edge")
    parser.add_argument("--volumes", type=int, default=2, help="volumes per morphology")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--refine", action="store_true", help="refine every corrected volume, too")
    parser.add_argument("--out", type=Path, help="record to write (default: results/corrections.json)")
    arguments = parser.parse_args()
    model = load_pair_model()
    settings: dict[str, object] = {
        "size": arguments.size,
        "volumes": arguments.volumes,
        "seed": arguments.seed,
        "spread": SPREAD,
        "regressor": model.hash,
    }
    runs: list[dict[str, Any]] = []
    for pair_name in arguments.pairs:
        for kind in arguments.kinds:
            generator = np.random.default_rng(arguments.seed)
            for name in MORPHOLOGIES:
                for _ in range(arguments.volumes):
                    volume = sample(name, arguments.size, relative=True, generator=generator).volume
                    factors = 1.0 + SPREAD * generator.standard_normal(len(KINDS[kind]))
                    run = measured(volume, KINDS[kind], PAIRS[pair_name], factors, arguments.refine)
                    if run is not None:
                        runs.append({"pair": pair_name, "kind": kind, "morphology": name, **run})
            results = {"summary": summary(runs), "runs": runs}
            write_record("corrections", settings, results, arguments.out)
    for entry in summary(runs):
        print(entry)


def measured(
    volume: NDArray[np.uint8],
    names: list[str],
    pair: TwoPhase,
    factors: NDArray[np.float64],
    refined: bool,
) -> dict[str, Any] | None:
    """One volume; None where a quantity vanishes by the solver, as where voids cut the cell."""
    own = solved_properties(volume, pair).values(names)[0]
    if not (np.isfinite(own).all() and own.min() > 1e-3 * own.max()):
        return None
    targets = parse([f"{name}={value:.8g}" for name, value in zip(names, own * factors, strict=True)])
    begin = time.process_time()
    result = correct(volume[None], targets, pair, steps=STEPS)
    seconds = time.process_time() - begin
    run: dict[str, Any] = {
        "predicted": result.largest_deviation[0].tolist(),
        "solved": [
            float(targets.largest_deviation(solved_properties(cell, pair))[0])
            for cell in (volume, result.volumes[0])
        ],
        "changed": float(result.changed[0]),
        "cpu_seconds": seconds / (STEPS + 1),
    }
    if refined:
        outcome = refine(result.volumes[0], targets, pair)
        run |= {"solves": outcome.solves, "converged": outcome.converged}
    return run


def solved_properties(volume: NDArray[np.uint8], pair: TwoPhase) -> CellProperties:
    """Properties by the solver."""
    rtol = tolerance_for(pair)
    return CellProperties(
        stiffness=homogenize(volume, pair, rtol=rtol, dtype=np.float32).stiffness[None],
        fraction=np.array([volume.mean()]),
        materials=pair,
        conductivity=conduct(volume, pair, rtol=1e-4).conductivity[None],
    )


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the volumes of each pair and kind."""
    table = []
    for pair, kind in dict.fromkeys((run["pair"], run["kind"]) for run in runs):
        chosen = [run for run in runs if (run["pair"], run["kind"]) == (pair, kind)]
        entry = {
            "pair": pair,
            "kind": kind,
            "volumes": len(chosen),
            "predicted": np.median([run["predicted"] for run in chosen], axis=0).round(5).tolist(),
            "solved": np.median([run["solved"] for run in chosen], axis=0).round(5).tolist(),
            "cpu_seconds": round(float(np.median([run["cpu_seconds"] for run in chosen])), 4),
        }
        if "solves" in chosen[0]:
            entry["solves"] = float(np.median([run["solves"] for run in chosen]))
            entry["converged"] = float(np.mean([run["converged"] for run in chosen]))
        table.append(entry)
    return table


if __name__ == "__main__":
    main()
