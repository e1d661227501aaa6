"""What constraints cost, and whether they are met: results/constraints.json.

    OMP_NUM_THREADS=1 python benchmarks/constraints.py [--size 32] [--targets 10] [--count 5] [--minutes 5]

The properties of volumes of every morphology are asked for, without and with each set of constraints,
with the two corrections that `design` makes unless it is told otherwise: that is two steps without
constraints, six with, and twelve of symmetric designs; and without constraints once more, with six and
with twelve steps. The pairs of phases that `--pairs` names are taken in turn. Every design is checked
apart from how it was made, with scipy.ndimage and the solver alone: openings by a ball, clusters and
percolation of the tiled cell, the symmetry of the stiffness. The record has the share of designs that are
shown, since they are said to meet everything; of these the largest deviation by prediction, over all and
of the best of each target, how many times that is what it is without constraints, by default and with as
many steps, and the share that does meet everything; the share that a classifier recognises as of their
mode; and the largest entry of the stiffness that a symmetry forbids. By default 200 constrained designs
are checked. Targets that the record has already, of this size and seed, are kept: a benchmark that was
stopped goes on, and other sizes are added; with --fresh, those of this size and seed are measured anew.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import RESULTS, write_record
from refinement_pairs import CARRIES, DECADES, random_pair, recorded
from scipy import ndimage

from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.direct import design
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.refining.corrections import STEPS
from vaereg.inverse.refining.predicting import predicted_properties
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.recognition import load_classifier
from vaereg.solver.homogenization import homogenize
from vaereg.targets import Targets, parse

CORRECTIONS = STEPS
"""Corrections, each of three steps under constraints, of six where designs are symmetric."""
NAMES = ["E_x", "E_y", "E_z"]
WITHOUT = {"none": CORRECTIONS, "none, six steps": 3 * CORRECTIONS, "none, twelve steps": 6 * CORRECTIONS}
"""Corrections without constraints, of one step each."""
SETS = {
    **dict.fromkeys(WITHOUT, Constraints()),
    "least feature of 2 voxels": Constraints(min_feature_stiff=2.0, min_feature_soft=2.0),
    "stiff phase connected, no islands": Constraints(connected={"stiff": "xyz"}, no_islands=True),
    "no closed pores": Constraints(no_closed_pores=True),
    "orthotropic": Constraints(symmetry="orthotropic"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="voxels per edge")
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--count", type=int, default=5, help="designs per target and set of constraints")
    parser.add_argument("--pairs", nargs="+", default=["reference"], choices=["reference", *DECADES])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin no target after this time")
    parser.add_argument("--fresh", action="store_true", help="measure targets of this size and seed anew")
    parser.add_argument("--out", type=Path, help="record to write (default: results/constraints.json)")
    arguments = parser.parse_args()
    checkpoint, begin = load_checkpoint(), time.monotonic()
    settings: dict[str, object] = {"count": arguments.count, "pairs": arguments.pairs}
    path = arguments.out or RESULTS / "constraints.json"
    runs = recorded(path, settings)
    place = (arguments.size, arguments.seed)
    if arguments.fresh:
        runs = [run for run in runs if (run["size"], run["seed"]) != place]
    done = {(run["size"], run["seed"], run["target"]) for run in runs}
    for number in range(arguments.targets):
        if (*place, number) in done or time.monotonic() - begin > 60.0 * arguments.minutes:
            continue
        kind = arguments.pairs[number % len(arguments.pairs)]
        name, found = measured(checkpoint, kind, arguments.size, arguments.count, (arguments.seed, number))
        head = {"size": arguments.size, "seed": arguments.seed, "target": number}
        head |= {"morphology": name, "pair": kind}
        runs += [{**head, "constraints": label, **run} for label, run in found.items()]
        write_record("constraints", settings, {"summary": summary(runs), "runs": runs}, path)
    for entry in summary(runs):
        print(entry)


def measured(
    checkpoint: Checkpoint, kind: str, size: int, count: int, seed: tuple[int, int]
) -> tuple[str, dict[str, dict[str, Any]]]:
    """Morphology of a random target, and designs for it under each set of constraints."""
    generator = np.random.default_rng(seed)
    while True:
        name = str(generator.choice(list(MORPHOLOGIES)))
        volume = sample(name, size, relative=True, generator=generator).volume
        plain = parse([f"{quantity}=1" for quantity in NAMES])
        pair = checkpoint.model.materials if kind == "reference" else random_pair(kind, generator)
        own = predicted_properties(volume[None], plain, pair).values(NAMES)[0]
        if not own.min() > CARRIES * pair.e_stiff:
            continue  # a relative deviation is of cells that carry load
        wanted = parse([f"{quantity}={value:.6g}" for quantity, value in zip(NAMES, own, strict=True)])
        try:
            return name, {
                label: designed(checkpoint, wanted, pair, size, count, seed[1], label) for label in SETS
            }
        except UnreachableTargetError:
            continue


def designed(
    checkpoint: Checkpoint, wanted: Targets, pair: TwoPhase, size: int, count: int, seed: int, label: str
) -> dict[str, Any]:
    """Designs for a target under a set of constraints, checked."""
    begin, limits = time.process_time(), SETS[label]
    made = design(
        checkpoint,
        wanted,
        count,
        size,
        seed=seed,
        materials=pair,
        corrections=WITHOUT.get(label, CORRECTIONS),
        constraints=limits,
    )
    votes = load_classifier().predict_proba(made.microstructures)
    recognised = load_classifier().mode_proba(votes).argmax(axis=1)
    return {
        "deviation": made.largest_deviation.round(5).tolist(),
        "told": made.met.all(axis=1).tolist(),
        "met": [satisfied_by_scipy(cell, limits) for cell in made.microstructures],
        "recognised": (recognised == made.component).tolist(),
        "forbidden": forbidden(made.microstructures[0], pair) if limits.symmetry != "none" else None,
        "cpu_seconds": round(time.process_time() - begin, 2),
    }


def satisfied_by_scipy(volume: NDArray[np.uint8], limits: Constraints) -> bool:
    """Whether a cell meets its constraints, with scipy.ndimage alone."""
    stiff = volume == 1
    met = True
    for mask, diameter in ((stiff, limits.min_feature_stiff), (~stiff, limits.min_feature_soft)):
        met &= diameter == 0.0 or bool((opened(mask, round(diameter)) == mask).all())
    met &= not limits.connected or percolates(stiff)
    met &= not limits.no_islands or clusters(stiff) == 1
    met &= not limits.no_closed_pores or clusters(~stiff) == 1
    if limits.symmetry == "orthotropic":
        mirrors = [np.roll(np.flip(volume, axis), shift, axis) for axis in range(3) for shift in (0, 1)]
        met &= all(any((mirrors[2 * axis + k] == volume).all() for k in range(2)) for axis in range(3))
    return bool(met)


def opened(mask: NDArray[np.bool_], diameter: int) -> NDArray[np.bool_]:
    """Opening of a periodic set by a digital ball."""
    place = np.arange(diameter) - (diameter - 1) / 2
    ball = place[:, None, None] ** 2 + place[:, None] ** 2 + place**2 <= (diameter / 2) ** 2 + 1e-9
    if not ball.any():
        ball[:] = True
    width = 2 * diameter
    inside = slice(width, -width)
    padded = np.pad(mask, width, mode="wrap")
    result: NDArray[np.bool_] = np.asarray(ndimage.binary_opening(padded, ball), dtype=np.bool_)
    return result[inside, inside, inside]


def clusters(mask: NDArray[np.bool_]) -> int:
    """Clusters of a periodic set: those of two by two by two cells that meet the first, joined by images."""
    labels, count = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    parents = list(range(count + 1))

    def root(place: int) -> int:
        while parents[place] != place:
            place = parents[place]
        return place

    for axis in range(3):
        first, last = np.take(labels, 0, axis).ravel(), np.take(labels, -1, axis).ravel()
        for a, b in zip(first.tolist(), last.tolist(), strict=True):
            if a and b:
                parents[root(a)] = root(b)
    return len({root(place) for place in range(1, count + 1)})


def percolates(mask: NDArray[np.bool_]) -> bool:
    """Whether one cluster of four by four by four cells joins a voxel with its images along all axes."""
    size = mask.shape[0]
    tiled, _ = ndimage.label(np.tile(mask, (4, 4, 4)))  # pyright: ignore[reportGeneralTypeIssues]
    blocks = tiled.reshape(4, size, 4, size, 4, size).transpose(0, 2, 4, 1, 3, 5)
    middle = blocks[1, 1, 1]
    joined = middle > 0
    for axis in range(3):
        near = [tuple(1 if other != axis else step for other in range(3)) for step in (0, 2, 3)]
        joined &= np.any([blocks[place] == middle for place in near], axis=0)
    return bool(joined.any())


def forbidden(volume: NDArray[np.uint8], pair: TwoPhase) -> float:
    """Largest entry that mirrors forbid over the largest of all, by the solver [-]."""
    stiffness = homogenize(volume, pair, rtol=1e-10).stiffness
    coupling = stiffness.copy()
    coupling[:3, :3] = 0.0
    coupling[range(6), range(6)] = 0.0
    return float(np.abs(coupling).max() / np.abs(stiffness).max())


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Deviations with each set of constraints at each size, and how they compare with those without any: by
    default, and with as many steps.
    """
    table: list[dict[str, Any]] = []
    for size in sorted({run["size"] for run in runs}):
        own = [run for run in runs if run["size"] == size]
        entries = [figures(label, [run for run in own if run["constraints"] == label]) for label in SETS]
        medians = {entry["constraints"]: max(entry["median"], 1e-12) for entry in entries}
        for entry in entries:
            label = entry["constraints"]
            alike = "none, twelve steps" if SETS[label].symmetry != "none" else "none, six steps"
            names = "none", label if label in WITHOUT else alike
            entry["times"], entry["times_alike"] = (entry["median"] / medians[name] for name in names)
        table += [{"size": size, **entry} for entry in entries]
    return table


def figures(label: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Deviations of designs under one set of constraints, and whether these are met."""
    told = np.concatenate([run["told"] for run in runs])  # of some there are fewer designs
    deviations = [np.where(run["told"], run["deviation"], np.nan) for run in runs]
    every, recognised = np.concatenate(deviations), np.concatenate([run["recognised"] for run in runs])
    shown = [met for run in runs for met, said in zip(run["met"], run["told"], strict=True) if said]
    couplings = [run["forbidden"] for run in runs if run["forbidden"] is not None]
    return {
        "constraints": label,
        "targets": len(runs),
        "designs": int(every.size),
        "median": float(np.nanmedian(every)),
        "best": float(np.median([np.nanmin(part) for part in deviations if np.isfinite(part).any()])),
        "met": float(np.mean(shown)),
        "told": float(told.mean()),
        "recognised": float(np.mean(recognised, where=told)),
        "agreed": bool(all(run["met"] == run["told"] for run in runs)),
        "forbidden": max(couplings) if couplings else None,
        "cpu_seconds": float(np.median([run["cpu_seconds"] for run in runs])),
    }


if __name__ == "__main__":
    main()
