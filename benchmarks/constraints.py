"""What constraints cost, and whether they are met: results/constraints.json.

    OMP_NUM_THREADS=1 python benchmarks/constraints.py [--size 32] [--targets 10] [--count 5]

The properties of volumes of every morphology are asked for, without and with each set of constraints, with
the two corrections that `design` makes unless it is told otherwise: that is two steps without constraints,
six with, and twelve of symmetric designs; and without constraints once more, with six and with twelve steps.
The pairs of phases that `--pairs` names are taken in turn. Every design is checked apart from how it was
made, with scipy.ndimage and the solver alone: openings by a ball, clusters and percolation of the tiled cell,
the symmetry of the stiffness. The record has the share of designs that are shown, since they are said to meet
everything; of these the largest deviation by prediction, over all and of the best of each target, how many
times that is what it is without constraints, by default and with as many steps, and the share that does meet
everything; and the largest entry of the stiffness that a symmetry forbids. By default 200 constrained designs
are checked.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import write_record
from refinement_pairs import CARRIES, DECADES, random_pair
from scipy import ndimage

from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse.constraints import Constraints
from vaereg.inverse.direct import design
from vaereg.inverse.plausible import UnreachableTargetError
from vaereg.inverse.refining.corrections import STEPS
from vaereg.inverse.refining.predicting import predicted_properties
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import load_checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.targets import parse

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
    parser.add_argument("--out", type=Path, help="record to write (default: results/constraints.json)")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint()
    generator = np.random.default_rng(arguments.seed)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SETS}
    targets = 0
    while targets < arguments.targets:
        name = str(generator.choice(list(MORPHOLOGIES)))
        volume = sample(name, arguments.size, relative=True, generator=generator).volume
        plain = parse([f"{quantity}=1" for quantity in NAMES])
        kind = arguments.pairs[targets % len(arguments.pairs)]
        pair = checkpoint.model.materials if kind == "reference" else random_pair(kind, generator)
        own = predicted_properties(volume[None], plain, pair).values(NAMES)[0]
        if not own.min() > CARRIES * pair.e_stiff:
            continue  # a relative deviation is of cells that carry load
        wanted = parse([f"{quantity}={value:.6g}" for quantity, value in zip(NAMES, own, strict=True)])
        found: dict[str, dict[str, Any]] = {}
        try:
            for label, limits in SETS.items():
                begin = time.process_time()
                made = design(
                    checkpoint,
                    wanted,
                    arguments.count,
                    arguments.size,
                    seed=targets,
                    materials=pair,
                    corrections=WITHOUT.get(label, CORRECTIONS),
                    constraints=limits,
                )
                found[label] = {
                    "morphology": name,
                    "pair": kind,
                    "deviation": made.largest_deviation.round(5).tolist(),
                    "told": made.met.all(axis=1).tolist(),
                    "met": [satisfied_by_scipy(cell, limits) for cell in made.microstructures],
                    "forbidden": forbidden(made.microstructures[0], pair)
                    if limits.symmetry != "none"
                    else None,
                    "cpu_seconds": round(time.process_time() - begin, 2),
                }
        except UnreachableTargetError:
            continue
        targets += 1
        for label, run in found.items():
            runs[label].append(run)
        settings = {key: getattr(arguments, key) for key in ("size", "targets", "count", "pairs", "seed")}
        write_record("constraints", settings, {"summary": summary(runs), "runs": runs}, arguments.out)
    for entry in summary(runs):
        print(entry)


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


def summary(runs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Deviations with each set of constraints, and how they compare with those without any: by default, and
    with as many steps.
    """
    table: list[dict[str, Any]] = []
    for label, entries in runs.items():
        told = np.array([entry["told"] for entry in entries])
        every = np.where(told, np.array([entry["deviation"] for entry in entries]), np.nan)
        shown = [
            met for entry in entries for met, said in zip(entry["met"], entry["told"], strict=True) if said
        ]
        couplings = [entry["forbidden"] for entry in entries if entry["forbidden"] is not None]
        own = {
            "constraints": label,
            "designs": int(every.size),
            "median": float(np.nanmedian(every)),
            "best": float(np.median(np.nanmin(every[told.any(axis=1)], axis=1))),
            "met": float(np.mean(shown)),
            "told": float(told.mean()),
            "agreed": bool(all(entry["met"] == entry["told"] for entry in entries)),
            "forbidden": max(couplings) if couplings else None,
            "cpu_seconds": float(np.median([entry["cpu_seconds"] for entry in entries])),
        }
        table.append(own)
    medians = {entry["constraints"]: max(entry["median"], 1e-12) for entry in table}
    for own in table:
        alike = "none, twelve steps" if SETS[own["constraints"]].symmetry != "none" else "none, six steps"
        if own["constraints"] in WITHOUT:
            alike = own["constraints"]
        own["times"], own["times_alike"] = (own["median"] / medians[name] for name in ("none", alike))
    return table


if __name__ == "__main__":
    main()
