"""Solves that refine designs for hidden targets, at every contrast: results/refinement_pairs.json.

    OMP_NUM_THREADS=1 python benchmarks/refinement_pairs.py [--size 32] [--targets 4] [--seed 0] [--minutes 5]

Targets are the properties, by the solver, of volumes of random morphologies that no model has seen, each with
phases of its own from one of the ranges of contrast: C11, C22, C33; with C44, C55, C66; with k_x, k_y, k_z.
The best of a few corrected designs by prediction is refined onto them, and the other ones where that does not
come within the tolerance. Searches that stall may go on from other volumes of the mode, as those of the
command line and the dashboard do. The record has the largest deviation after every solve. Runs that it has
already, of this size and seed, are kept: a benchmark that was stopped goes on, and other sizes and seeds are
added; with --fresh, those of this size, seed and these kinds are measured anew.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, write_record

from vaereg.errors import InputError
from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse.direct import design
from vaereg.inverse.reach import REACHED, mode_reach
from vaereg.inverse.refining.redrawing import origins_of
from vaereg.inverse.refining.refinement import MAX_SOLVES, TOLERANCE, Refinement, refine, refine_all
from vaereg.materials import Phase, TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import ConvergenceError, homogenize
from vaereg.solver.problem import tolerance_for
from vaereg.targets import CellProperties, Targets, parse

KINDS = {
    "three": ("C11", "C22", "C33"),
    "six": ("C11", "C22", "C33", "C44", "C55", "C66"),
    "nine": ("C11", "C22", "C33", "C44", "C55", "C66", "k_x", "k_y", "k_z"),
}
DECADES = {"1 to 10": (1.0, 10.0), "10 to 100": (10.0, 100.0), "100 to 1000": (100.0, 1e3)}
DECADES |= {"above 1000": (1e3, 1e4), "void": (np.inf, np.inf)}
CONDUCTIVITY = (1e-4, 1e4)
"""Least and largest ratio of the conductivities of both phases [-]."""
CARRIES = 1e-3
"""Least of C11 ... C66 over E of the stiff phase, and of k over its largest entry, of hidden volumes [-]."""
DESIGNS, CORRECTIONS = 4, 2
PLACE = ("size", "seed", "target", "decade", "kind")
"""What names a run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="voxels per edge")
    parser.add_argument("--targets", type=int, default=4, help="targets of each kind and range of contrast")
    parser.add_argument("--decades", nargs="+", default=list(DECADES), choices=list(DECADES))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin no target after this time")
    parser.add_argument("--fresh", action="store_true", help="measure runs of this size, seed, kinds anew")
    parser.add_argument("--out", type=Path, help="record to write (default: results/refinement_pairs.json)")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint()
    settings: dict[str, object] = {
        "designs": DESIGNS,
        "corrections": CORRECTIONS,
        "max_solves": MAX_SOLVES,
        "tolerance": TOLERANCE,
        "checkpoint": checkpoint.hash,
    }
    path = arguments.out or RESULTS / "refinement_pairs.json"
    runs = recorded(path, settings)
    if arguments.fresh:
        own = arguments.size, arguments.seed
        runs = [
            run for run in runs if (run["size"], run["seed"]) != own or run["kind"] not in arguments.kinds
        ]
    done = {tuple(run[name] for name in PLACE) for run in runs}
    begin = time.monotonic()
    for number in range(arguments.targets):
        for decade in arguments.decades:
            place = [arguments.seed, number, list(DECADES).index(decade)]
            key = arguments.size, arguments.seed, number, decade
            missing = [kind for kind in arguments.kinds if (*key, kind) not in done]
            if not missing or time.monotonic() - begin > 60.0 * arguments.minutes:
                continue
            generator = np.random.default_rng(place)
            pair = random_pair(decade, generator)
            name, cell = hidden(arguments.size, pair, generator)
            for kind in missing:
                run = measured(checkpoint, targets_of(cell, KINDS[kind]), pair, arguments.size, number)
                runs.append({**dict(zip(PLACE, (*key, kind), strict=True)), "morphology": name, **run})
                print(json.dumps(runs[-1]), flush=True)
            write_record("refinement_pairs", settings, {"summary": summary(runs), "runs": runs}, path)
    for entry in summary(runs):
        print(entry)


def recorded(path: Path, settings: dict[str, object]) -> list[dict[str, Any]]:
    """Runs of a record that was made with the same settings; none if there is no such record."""
    if not path.is_file():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["figures"]["runs"] if record["settings"] == settings else []


def measured(checkpoint: Checkpoint, wanted: Targets, pair: TwoPhase, size: int, seed: int) -> dict[str, Any]:
    """Refinement of the best of a few designs, and of the others where that one does not come within the
    tolerance.
    """
    begin = time.process_time()
    try:
        designs = design(
            checkpoint, wanted, DESIGNS, size, materials=pair, seed=seed, corrections=CORRECTIONS
        )
    except InputError as error:  # out of reach, or all candidates are in pieces in a void
        return {"refused": True, "reason": str(error)}
    best, *rest = np.argsort(designs.largest_deviation).tolist()
    made = time.process_time()
    origins = origins_of(designs)
    result = refine(designs.microstructures[best], wanted, pair, origin=origins[best])
    refined = time.process_time()
    others = []
    if not result.converged:
        other_origins = [origins[row] for row in rest]
        others = refine_all(designs.microstructures[rest], wanted, pair, origins=other_origins)
    if checkpoint.modes is None:
        raise SystemExit("expected a checkpoint with modes")
    return {
        "refused": False,
        "mode": designs.modes[designs.component[best]],
        "reached": bool(mode_reach(checkpoint.modes, wanted, pair).distance.min() <= REACHED),
        "contrast": pair.ordered().contrast if not pair.has_void else None,
        "predicted": float(designs.largest_deviation[best]),
        "errors": [step.largest_distance for step in result.history],
        "flipped": [step.flipped for step in result.history],
        "converged": result.converged,
        "went_on_from": went_on_from(result),
        "changed": result.changed,
        "design_cpu": round(made - begin, 2),
        "refine_cpu": round(refined - made, 2),
        "others": [
            {
                "mode": designs.modes[designs.component[row]],
                "predicted": float(designs.largest_deviation[row]),
                "solves": other.solves,
                "distance": other.largest_distance,
                "converged": other.converged,
                "went_on_from": went_on_from(other),
            }
            for row, other in zip(rest, others, strict=bool(others))
        ],
    }


def went_on_from(result: Refinement) -> str:
    """What a search that stalled went on from; nothing where flips alone led to its result."""
    return "drawn" if result.drawn else "shaken" if result.shaken else ""


def random_pair(decade: str, generator: np.random.Generator) -> TwoPhase:
    """Phases whose contrast lies in a decade, with random Poisson ratios and conductivities."""
    low, high = DECADES[decade]
    ratios = generator.uniform(0.0, 0.45, 2)
    heat = float(np.exp(generator.uniform(*np.log(CONDUCTIVITY))))
    if np.isinf(low):
        return TwoPhase(
            Phase("", 1.0, float(ratios[0]), conductivity=1.0), Phase("void", 0.0, 0.0, conductivity=0.0)
        )
    contrast = float(np.exp(generator.uniform(np.log(low), np.log(high))))
    return TwoPhase(
        Phase("", contrast, float(ratios[0]), conductivity=heat),
        Phase("", 1.0, float(ratios[1]), conductivity=1.0),
    )


def hidden(size: int, pair: TwoPhase, generator: np.random.Generator) -> tuple[str, CellProperties]:
    """Properties of a volume of a random morphology that carries load and heat along all axes."""
    while True:
        name = str(generator.choice(list(MORPHOLOGIES)))
        volume = sample(name, size, relative=True, generator=generator).volume
        try:
            stiffness = homogenize(volume, pair, rtol=tolerance_for(pair), dtype=np.float32).stiffness
        except ConvergenceError:  # bars that hardly touch, beside void
            continue
        conductivity = conduct(volume, pair, rtol=1e-4).conductivity
        heat = np.diag(conductivity)
        if np.diag(stiffness).min() > CARRIES * pair.e_stiff and heat.min() > CARRIES * heat.max():
            break
    cell = CellProperties(
        stiffness=stiffness[None],
        fraction=np.array([volume.mean()]),
        materials=pair,
        conductivity=conductivity[None],
    )
    return name, cell


def targets_of(cell: CellProperties, names: tuple[str, ...]) -> Targets:
    """The properties of a cell as targets."""
    values = cell.values(list(names))[0]
    return parse([f"{name}={value:.8g}" for name, value in zip(names, values, strict=True)])


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Median solves and the share within the tolerance, by size, kind and range of contrast, and of each
    kind.
    """
    table = []
    for size in sorted({run["size"] for run in runs}):
        for kind in KINDS:
            for decade in [*DECADES, "all"]:
                own = [
                    run
                    for run in runs
                    if (run["size"], run["kind"]) == (size, kind) and decade in (run["decade"], "all")
                ]
                table += [{"size": size, "kind": kind, "decade": decade, **figures(own)}] if own else []
    return table


def reached(run: dict[str, Any]) -> bool:
    """Whether any of the designs came within the tolerance."""
    return run["converged"] or any(other["converged"] for other in run["others"])


def figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of some runs, of those that `design` did not refuse."""
    own = [run for run in runs if not run["refused"]]
    counts = {"targets": len(own), "refused": len(runs) - len(own)}
    if not own:
        return counts
    return {
        **counts,
        "far": sum(not run["reached"] for run in own),
        "predicted": round(float(np.median([run["predicted"] for run in own])), 4),
        "first": round(float(np.median([run["errors"][0] for run in own])), 4),
        "solves": float(np.median([len(run["errors"]) for run in own])),
        "converged": round(float(np.mean([run["converged"] for run in own])), 3),
        "by_any": round(float(np.mean([reached(run) for run in own])), 3),
        "drawn": sum(run.get("went_on_from") == "drawn" for run in own),
        "refine_cpu": round(float(np.median([run["refine_cpu"] for run in own])), 2),
    }


if __name__ == "__main__":
    main()
