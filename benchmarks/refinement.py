"""Solves that bring a volume within 1, 2 and 5 % of a target, from several starts: results/refinement.json.

    OMP_NUM_THREADS=1 python benchmarks/refinement.py --data DATA.h5 [--targets 30] [--checkpoint FILE]

Targets are the properties of unseen Gaussian fields: C11 alone, C11 C22 C33, or all six. The record is
written after every target.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from record import write_record
from scipy.ndimage import gaussian_filter

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.evaluation.figures import held_out_families
from vaereg.inverse.direct import design
from vaereg.inverse.refining.refinement import refine
from vaereg.io.datasets import Dataset, known_indices, read_dataset
from vaereg.microstructure.statistics import within_component
from vaereg.model.checkpoint import Checkpoint, load_checkpoint
from vaereg.model.prediction import encode_batch
from vaereg.solver.homogenization import homogenize

KINDS = {"one": PROPERTIES[:1], "three": PROPERTIES[:3], "six": PROPERTIES}
MAX_SOLVES = 60
"""Largest number of solves from any start."""
DESIGNS = 12
DIAGONAL = [0, 6, 11, 15, 18, 20]
CANDIDATES, SPREAD = 24, 0.3
"""Search in latent space: volumes decoded per solve, and how far their latent vectors scatter."""
LATENT_SOLVES, GRADED_SOLVES = 20, 40
MOVE, FILTER = 0.2, 1.0
"""Gradient descent: largest change of a voxel per step [-], smoothing of the gradient [voxel]."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set; its test split is asked for")
    parser.add_argument("--checkpoint", type=Path, help="trained model (default: the shipped one)")
    parser.add_argument("--targets", type=int, default=30)
    parser.add_argument("--out", type=Path, help="record to write (default: results/refinement.json)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint, dataset = load_checkpoint(arguments.checkpoint), read_dataset(arguments.data)
    rows = dataset.indices("test")
    rows = rows[np.char.startswith(dataset.samples.family[rows], "gaussian")][: arguments.targets]
    runs: list[dict[str, Any]] = []
    settings: dict[str, object] = {
        "checkpoint": checkpoint.hash,
        "size": dataset.plan.size,
        "data": {"count": len(dataset), "seed": dataset.plan.seed},
        "designs": DESIGNS,
        "max_solves": {"search": MAX_SOLVES, "latent": LATENT_SOLVES, "graded": GRADED_SOLVES},
    }
    for number, row in enumerate(rows):
        for kind, names in KINDS.items():
            runs += measure(checkpoint, dataset, int(row), number, kind, names)
        path = write_record("refinement", settings | {"targets": number + 1}, runs, arguments.out)
        print(f"{path}: {number + 1} of {len(rows)} targets", flush=True)


def measure(
    checkpoint: Checkpoint, dataset: Dataset, row: int, number: int, kind: str, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Every start for one target."""
    truth = properties(dataset)
    wanted = {name: float(truth[row, PROPERTIES.index(name)]) for name in names}
    designs = design(checkpoint, wanted, DESIGNS, dataset.plan.size, seed=number, only_plausible=False)
    best = int(np.argmin(designs.mean_distance))
    same = np.flatnonzero(designs.component == designs.component[best])
    training = known_indices(dataset, "train", held_out_families(checkpoint))
    nearest = training[int(np.argmin(distances(truth[training], wanted)))]
    starts = {
        "design": designs.microstructures[best],
        "training": dataset.volumes([int(nearest)])[0],
        "random": random_design(checkpoint, truth[training], dataset.plan.size, number),
    }
    runs = []
    for start, volume in starts.items():
        begin = time.process_time()
        result = refine(volume, wanted, checkpoint.model.materials, max_solves=MAX_SOLVES)
        runs.append(
            {
                "kind": kind,
                "target": number,
                "start": start,
                "errors": [step.largest_distance for step in result.history],
                "converged": result.converged,
                "changed": result.changed,
                "moved": result.moved,
                "cpu_s": time.process_time() - begin,
            }
        )
    runs[0]["component_spread"] = within_component(designs.microstructures[same], designs.component[same])
    graded = graded_descent(checkpoint, wanted, dataset.plan.size, number)
    runs.append({"kind": kind, "target": number, "start": "graded", **graded})
    if kind == "three":
        errors = latent_search(checkpoint, wanted, designs.latent[best], starts["design"], number)
        runs.append({"kind": kind, "target": number, "start": "latent", "errors": errors})
    return runs


def properties(dataset: Dataset) -> NDArray[np.float64]:
    """C11 ... C66 of every volume, shape (N, 6) [GPa]."""
    return diagonal_properties(dataset.samples.stiffness)


def distances(found: NDArray[np.float64], wanted: Mapping[str, float]) -> NDArray[np.float64]:
    """Largest relative distance from the target, shape (N,) [-], of properties (N, 6) [GPa]."""
    columns = [PROPERTIES.index(name) for name in wanted]
    return np.abs(found[:, columns] / np.array(list(wanted.values())) - 1.0).max(axis=1)


def random_design(
    checkpoint: Checkpoint, known: NDArray[np.float64], size: int, seed: int
) -> NDArray[np.uint8]:
    """A realisation of a latent vector drawn for the properties of a random training volume."""
    generator = torch.Generator().manual_seed(seed)
    index = int(torch.randint(len(known), (1,), generator=generator))
    model = checkpoint.model
    with torch.inference_mode():
        prior = model.prior(torch.from_numpy(known[index : index + 1]).float())
        z, _ = prior.sample(generator=generator)
        volume = model.decode(z, model.noise(1, size, generator=generator))
    return volume[0, 0].to(torch.uint8).numpy()


def latent_search(
    checkpoint: Checkpoint, wanted: Mapping[str, float], z: NDArray, volume: NDArray[np.uint8], seed: int
) -> list[float]:
    """Local search in z and the noise: many are decoded, one is picked by the corrected regressor.

    The next ones scatter about the best so far.
    """
    generator = torch.Generator().manual_seed(seed)
    model, errors = checkpoint.model, []
    best, centre, candidate = np.inf, torch.from_numpy(z), torch.from_numpy(z)
    correction = np.zeros(len(PROPERTIES))
    while len(errors) < LATENT_SOLVES and best > 0.01:
        solved = homogenize(volume, model.materials, rtol=1e-3, dtype=np.float32)
        actual = np.diag(solved.stiffness)
        errors.append(float(distances(actual[None], wanted)[0]))
        predicted = encode_batch(checkpoint, volume[None])[0][0]
        if errors[-1] < best:
            best, centre, correction = errors[-1], candidate, np.log(actual / predicted)
        with torch.inference_mode():
            near = centre + SPREAD * torch.randn((CANDIDATES, len(centre)), generator=generator)
            noise = model.noise(CANDIDATES, len(volume), generator=generator)
            volumes = model.decode(near, noise).squeeze(1)
        expected = encode_batch(checkpoint, volumes)[0] * np.exp(correction)
        chosen = int(np.argmin(distances(expected, wanted)))
        candidate, volume = near[chosen], volumes[chosen].to(torch.uint8).numpy()
    return errors


def graded_descent(
    checkpoint: Checkpoint, wanted: Mapping[str, float], size: int, seed: int
) -> dict[str, Any]:
    """Gradient descent on the phase of every voxel from white noise, with a cubic law for two phases.

    The errors are those of the graded field, which is no two-phase volume; that of the cut one comes beside.
    """
    rng, materials = np.random.default_rng(seed), checkpoint.model.materials
    columns = [PROPERTIES.index(name) for name in wanted]
    values = np.array(list(wanted.values()))
    density, move, errors = rng.random((size, size, size)), MOVE, []
    former, gradient, displacement = np.inf, np.zeros_like(density), None
    kept = density
    while len(errors) < GRADED_SOLVES and (not errors or errors[-1] > 0.01):
        solved = homogenize(
            density**3,
            materials,
            rtol=1e-3,
            dtype=np.float32,
            sensitivities=True,
            keep_displacement=True,
            initial=displacement,
        )
        displacement = solved.displacement
        result = np.diag(solved.stiffness)[columns]
        errors.append(float(np.abs(result / values - 1.0).max()))
        loss = float(np.square(result / values - 1.0).sum())
        if loss < former:
            sensitivity = np.asarray(solved.sensitivity)[DIAGONAL][columns]
            weights = 2.0 * (result / values - 1.0) / values
            slope = np.einsum("p,pxyz->xyz", weights, sensitivity) * 3.0 * density**2
            gradient = gaussian_filter(slope, FILTER, mode="wrap")
            former, kept = loss, density
        else:
            move /= 2.0
        density = np.clip(kept - move * gradient / np.abs(gradient).max(), 0.0, 1.0)
    level = np.quantile(kept, 1.0 - (kept**3).mean())
    binary = homogenize((kept > level).astype(np.uint8), materials, rtol=1e-3, dtype=np.float32)
    cut = distances(np.diag(binary.stiffness)[None], wanted)
    return {"errors": errors, "error_of_the_cut": float(cut[0])}


if __name__ == "__main__":
    main()
