"""Pareto fronts of designs beside those of the training volumes: results/pareto.json.

    OMP_NUM_THREADS=1 python benchmarks/pareto.py [--size 32] [--candidates 500]

For each pair of phases and set of objectives: the time of a front, its designs, and the share of the box
around both fronts that the designs and the training volumes dominate, all on their front and as many of them
as there are designs, chosen in the same way. With the reference pair, the training volumes are solved; with
the others, their front is by the surrogate.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import write_record

from vaereg.inverse.constraints import Constraints
from vaereg.inverse.fronts.pareto import covering, shares_of_box
from vaereg.inverse.fronts.verified import design_front
from vaereg.materials import TwoPhase, choose_materials
from vaereg.model.checkpoint import load_checkpoint
from vaereg.targets import Targets, parse

CASES: dict[str, tuple[str, Targets, Constraints]] = {
    "stiff with little of the stiff phase": (
        "reference",
        parse([], maximize=["E_x"], minimize=["volume_fraction"]),
        Constraints(),
    ),
    "stiff and light": ("E-glass/epoxy", parse([], maximize=["E_x"], minimize=["density"]), Constraints()),
    "stiff along two axes and light": (
        "E-glass/epoxy",
        parse([], maximize=["E_x", "E_y"], minimize=["density"]),
        Constraints(),
    ),
    "stiff and conducting, one piece of each phase": (
        "silicon carbide/aluminium",
        parse(["alpha=:14"], maximize=["E_x", "k_x"]),
        Constraints(no_islands=True, no_closed_pores=True),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="voxels per edge")
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="record to write (default: results/pareto.json)")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint()
    figures: list[dict[str, Any]] = []
    settings = {key: getattr(arguments, key) for key in ("size", "candidates", "seed")}
    for name in arguments.cases:
        phases, targets, constraints = CASES[name]
        pair = TwoPhase() if phases == "reference" else choose_materials(phases).pairs[0]
        begin = time.process_time(), time.perf_counter()
        front = design_front(
            checkpoint,
            targets,
            arguments.candidates,
            arguments.size,
            materials=pair,
            constraints=constraints,
            seed=arguments.seed,
        )
        signs = np.array([1.0 if item.goal == "max" else -1.0 for item in targets.objectives])
        known = front.known_values * signs
        as_many = covering(known, len(front.values), generator=np.random.default_rng(arguments.seed))
        shares = shares_of_box(front.values * signs, known, known[as_many])
        figures.append(
            {
                "case": name,
                "materials": phases,
                "objectives": {item.name: item.goal for item in targets.objectives},
                "designs": len(front.values),
                "modes": sorted({front.designs.modes[index] for index in front.designs.component}),
                "values": np.round(front.values, 4).tolist(),
                "hypervolume": round(front.hypervolume, 4),
                "training_hypervolume": round(front.known_hypervolume, 4),
                "training_hypervolume_of_as_many": round(shares[2], 4),
                "training_volumes": len(front.known_values),
                "judged": front.judged,
                "verified": front.verified,
                "cpu_seconds": round(time.process_time() - begin[0], 1),
                "wall_seconds": round(time.perf_counter() - begin[1], 1),
            }
        )
        print({key: value for key, value in figures[-1].items() if key != "values"}, flush=True)
        write_record("pareto", settings, figures, arguments.out)


if __name__ == "__main__":
    main()
