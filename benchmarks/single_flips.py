"""What the flip of one voxel does, and the weights that estimate it: results/single_flips.json.

    OMP_NUM_THREADS=1 python benchmarks/single_flips.py [--cells 60] [--flips 40] [--rows FOLDER]

Cells of random morphologies have random phases of every range of contrast. Voxels of their interface are
flipped one by one, and each is solved for the stiffness and the conductivity. Effects are the changes of
C11 ... C66, of the Young's moduli and of the conductivities along the axes. The weights of
`vaereg.inverse.refining.effects` are fitted to them, each cell, quantity and direction of the flip counting
as much as another. The record has the weights of all cells, and what estimates leave open on cells that they
were not fitted to: for each cell, quantity and direction the root of the mean square, after the best factor,
over that of the effects. With --rows the flips of each cell are kept in a folder, and a benchmark that was
stopped goes on from there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import write_record
from refinement_pairs import DECADES, random_pair

from vaereg.generators.morphologies import MORPHOLOGIES, sample
from vaereg.inverse.refining.effects import NEIGHBOURS, interface_of, layers_of
from vaereg.inverse.refining.necks import necks_at
from vaereg.inverse.refining.smoothing import smoothed
from vaereg.materials import TwoPhase
from vaereg.solver.conduction import conduct
from vaereg.solver.homogenization import ConvergenceError, homogenize

RTOL = 1e-4
"""Relative residual of the solves, in float64 [-]."""
LEAST = 1e-6
"""Stiffness along an axis over that of the stiff phase, below which a cell is left out [-]."""
RIDGE, ROUNDS, DAMPING, OUTLIER = 3.0, 12, 0.7, 3.0
"""Penalty of the weights, steps of Gauss and Newton, their length, and residual from which weight falls."""
LIMITS = (-6.0, 4.0)
"""Least and largest logarithm of the factor on the change of a layer [-]."""
LEAST_ROWS = 6
"""Flips of a group from which it is told what is left open."""
EACH_MONOMIAL = np.repeat(np.eye(15)[:, None], 2, axis=1)
"""Weights of each monomial alone, for both directions of a flip."""
NECKS = 3
"""One of how many flips opens or closes a neck, where there are any."""
FOLDS = 4
"""Parts of the cells, each estimated by weights that are fitted to the others."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=16, help="voxels per edge")
    parser.add_argument("--cells", type=int, default=60)
    parser.add_argument("--flips", type=int, default=40, help="voxels that are flipped in each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="folder that keeps the flips of each cell")
    parser.add_argument("--out", type=Path, help="record to write (default: results/single_flips.json)")
    arguments = parser.parse_args()
    rows: list[NDArray[np.float64]] = []
    begin = time.process_time()
    for number in range(arguments.cells):
        kept = None if arguments.rows is None else arguments.rows / f"{number}.npy"
        if kept is not None and kept.is_file():
            rows.append(np.load(kept))
            continue
        generator = np.random.default_rng([arguments.seed, number])
        pair = random_pair(list(DECADES)[number % len(DECADES)], generator)
        rows.append(
            flips_of(number, loaded_cell(arguments.size, pair, generator), pair, arguments.flips, generator)
        )
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, rows[-1])
        print(f"{number + 1} of {arguments.cells} cells, {time.process_time() - begin:.0f} s", flush=True)
    table = np.concatenate(rows)
    cells, groups, raised = table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2] == 1.0
    layer, actual, terms = table[:, 3], table[:, 4], table[:, 5:]
    scale = group_scales(groups, actual)
    held_out = np.zeros(len(actual))
    for fold in range(FOLDS):
        test = cells % FOLDS == fold
        for direction in (raised, ~raised):
            weights = fitted(terms, layer, actual, scale, direction & ~test)
            held_out[direction & test] = estimates(weights, terms, layer)[direction & test]
    weights = [fitted(terms, layer, actual, scale, direction) for direction in (raised, ~raised)]
    results = {
        "flips": len(actual),
        "raised": weights[0].round(3).tolist(),
        "lowered": weights[1].round(3).tolist(),
        "open_of_layers": left_open(groups, np.exp(layer), actual),
        "open_of_estimates": left_open(groups, held_out, actual),
    }
    settings = {key: getattr(arguments, key) for key in ("size", "cells", "flips", "seed")}
    print(write_record("single_flips", settings, results, arguments.out))
    print(results)


def loaded_cell(size: int, pair: TwoPhase, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A cell of a random morphology that carries load along all axes."""
    while True:
        volume = sample(
            str(generator.choice(list(MORPHOLOGIES))), size, relative=True, generator=generator
        ).volume
        try:
            stiffness = homogenize(volume, pair, rtol=RTOL, dtype=np.float32).stiffness
        except ConvergenceError:
            continue
        if np.diag(stiffness).min() > LEAST * pair.e_stiff:
            return volume


def flips_of(
    number: int, volume: NDArray[np.uint8], pair: TwoPhase, count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Single flips of one cell, a row of each and of every quantity: cell, group, whether the voxel becomes
    of the harder phase, logarithm of the change of a layer, actual change of the same sign, monomials, and
    the same times n c.
    """
    options: dict[str, Any] = {"rtol": RTOL, "dtype": np.float64}
    elastic = homogenize(volume, pair, sensitivities=True, keep_displacement=True, **options)
    heat = conduct(volume, pair, sensitivities=True, **options)
    interface = np.flatnonzero(interface_of(volume))
    complex_ones = interface[necks_at(volume, interface) >= 1.0]
    some = generator.choice(complex_ones, min(count // NECKS, len(complex_ones)), replace=False)
    rest = np.setdiff1d(interface, some)
    voxels = np.append(some, generator.choice(rest, min(count - len(some), len(rest)), replace=False))
    stiffness, conductivity = [elastic.stiffness], [heat.conductivity]
    for voxel in voxels:
        flipped = volume.copy()
        flipped.ravel()[voxel] ^= 1
        solved = homogenize(flipped, pair, initial=elastic.displacement, **options)
        stiffness.append(solved.stiffness)
        conductivity.append(conduct(flipped, pair, **options).conductivity)
    compliance = np.linalg.inv(elastic.stiffness)
    moduli = np.stack([1.0 / np.diag(np.linalg.inv(matrix)) for matrix in stiffness])
    moduli_of = pair.e_stiff, pair.e_soft
    heat_of = float(pair.stiff.conductivity or 0.0), float(pair.soft.conductivity or 0.0)
    uniaxial = compliance / np.diag(compliance)[:, None]
    quantities = [
        (elastic.sensitivity, np.eye(6)[n], np.stack(stiffness)[:, n, n], moduli_of) for n in range(6)
    ]
    quantities += [(elastic.sensitivity, uniaxial[n], moduli[:, n], moduli_of) for n in range(3)]
    quantities += [
        (heat.sensitivity, np.eye(3)[n], np.stack(conductivity)[:, n, n], heat_of) for n in range(3)
    ]
    necks, share = necks_at(volume, voxels), smoothed(volume, NEIGHBOURS)
    was_stiff, rows = volume.ravel()[voxels] == 1, []
    for place, (energies, strain, values, (first, second)) in enumerate(quantities):
        layers = layers_of(volume, share, np.asarray(energies), strain, first, second, voxels, EACH_MONOMIAL)
        sign = np.where(was_stiff, -1.0, 1.0) * (1.0 if first >= second else -1.0)
        layer, change = np.abs(layers.change[voxels]), (values[1:] - values[0]) * sign
        group = 2 * (len(quantities) * number + place) + layers.raised
        rows.append(
            np.stack(
                [
                    np.full(len(voxels), number),
                    group,
                    layers.raised,
                    np.log(np.maximum(layer, 1e-300)),
                    change,
                    *layers.exponents,
                    *(layers.contrast * necks * layers.exponents),
                ]
            )[:, layers.signed & (layer > 0.0)].T
        )
    return np.concatenate(rows)


def group_scales(groups: NDArray[np.int64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root of the mean square of the effects of each group, for each of its rows."""
    numbers = np.bincount(groups)
    return np.sqrt((np.bincount(groups, np.square(actual)) / np.maximum(numbers, 1))[groups])


def estimates(
    weights: NDArray[np.float64], terms: NDArray[np.float64], layer: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Estimated effects."""
    return np.exp(layer + np.clip(terms @ weights, *LIMITS))


def fitted(
    terms: NDArray[np.float64],
    layer: NDArray[np.float64],
    actual: NDArray[np.float64],
    scale: NDArray[np.float64],
    rows: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Weights of the monomials: first of the logarithms of the effects, then of the effects themselves."""
    rows = rows & (actual > 0.0)
    terms, layer, actual, scale = terms[rows], layer[rows], actual[rows], scale[rows]
    share = np.clip(actual / scale, 0.1, 2.0)
    goal = np.clip(np.log(actual) - layer, -7.0, 4.0)
    ridge = RIDGE * np.eye(terms.shape[1])
    squares = np.square(share)[:, None]
    weights = np.asarray(
        np.linalg.solve(terms.T @ (terms * squares) + ridge, (terms * squares).T @ goal), float
    )
    for _ in range(ROUNDS):
        values = estimates(weights, terms, layer)
        slope, missed = terms * (values / scale)[:, None], (actual - values) / scale
        trust = np.minimum(1.0, OUTLIER / np.maximum(np.abs(missed), 1e-9))
        curvature = slope.T @ (slope * trust[:, None]) + ridge
        weights += DAMPING * np.linalg.solve(curvature, slope.T @ (trust * missed))
    return weights


def left_open(
    groups: NDArray[np.int64], estimated: NDArray[np.float64], actual: NDArray[np.float64]
) -> dict[str, float]:
    """What the best factor leaves open of the effects of each group: its median and its upper fifth [-]."""
    shares = []
    for group in np.unique(groups):
        rows = groups == group
        if rows.sum() >= LEAST_ROWS:
            factor = actual[rows] @ estimated[rows] / (estimated[rows] @ estimated[rows])
            missed = actual[rows] - factor * estimated[rows]
            shares.append(float(np.linalg.norm(missed) / np.linalg.norm(actual[rows])))
    return {
        "median": round(float(np.median(shares)), 3),
        "upper_fifth": round(float(np.quantile(shares, 0.8)), 3),
    }


if __name__ == "__main__":
    main()
