"""Trials of inverse design: errors by the solver, diversity, copies."""

from typing import Any

import numpy as np
import pytest

from vaereg.elasticity import PROPERTIES
from vaereg.evaluation.solved_designs import KINDS, _agreement, _copies, _invariant, inverse_figures
from vaereg.generators.families import generate
from vaereg.generators.shapes import laminate
from vaereg.inverse.direct import design
from vaereg.io.datasets import Dataset
from vaereg.microstructure.statistics import two_point_distances
from vaereg.model.checkpoint import Checkpoint
from vaereg.solver.homogenization import homogenize
from vaereg.targets import target_distance

TARGETS, COUNT = 2, 3
Metrics = dict[str, Any]


def test_designs_are_judged_by_the_solver(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    """The same designs, made and solved here to a finer tolerance."""
    errors, best, component, surprise, nearest = [], [], [], [], []
    stiffness = tiny_dataset.samples.stiffness.astype(np.float64)
    training = np.diagonal(stiffness[tiny_dataset.indices("train")], axis1=1, axis2=2)
    for number, row in enumerate(tiny_dataset.indices("test")[:TARGETS]):
        wanted = {name: float(stiffness[row, i, i]) for i, name in enumerate(PROPERTIES[:3])}
        designs = design(tiny_checkpoint, wanted, COUNT, 16, seed=number, only_plausible=False)
        solved = np.array([np.diag(homogenize(volume).stiffness) for volume in designs.microstructures])
        error = target_distance(solved, wanted)
        errors.append(error)
        best.append(error[np.argmin(designs.mean_distance)])
        component.append(designs.component)
        surprise.append(np.abs(designs.mean / solved - 1.0)[:, :3].mean())
        nearest.append(np.abs(training[:, :3] / stiffness[row].diagonal()[:3] - 1.0).mean(1).min())
    result = tiny_metrics["inverse"]
    assert (result["targets"], result["designs_per_target"]) == (TARGETS, COUNT)
    assert result["median_error"] == pytest.approx(np.median(errors), rel=1e-3)
    assert result["mean_error"] == pytest.approx(np.mean(errors), rel=1e-3)
    assert result["median_error_of_best_by_prediction"] == pytest.approx(np.median(best), rel=1e-3)
    assert result["median_error_of_best_by_solver"] == pytest.approx(np.median(np.min(errors, 1)), rel=1e-3)
    assert result["prediction_against_solver"] == pytest.approx(np.mean(surprise), rel=1e-3)
    assert result["nearest_training_volume"] == pytest.approx(np.median(nearest), rel=1e-3)
    assert result["components_used"] == 2
    chosen = np.concatenate(errors)[np.concatenate(component) == 1]
    assert result["median_error_by_component"]["1"] == pytest.approx(np.median(chosen), rel=1e-3)


@pytest.mark.parametrize(("kind", "names"), KINDS.items())
def test_all_kinds_of_targets(kind: str, names: tuple[str, ...], tiny_metrics: Metrics) -> None:
    result = tiny_metrics[kind]
    assert result["properties"] == list(names)
    assert (result["targets"], result["designs_per_target"]) == (TARGETS, COUNT)
    assert result["median_error_of_best_by_solver"] <= result["median_error_of_best_by_prediction"]
    assert 0.0 < result["median_error_of_best_by_solver"] <= result["median_error"]


def test_progress_counts_designs(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    reports: list[tuple[int, int]] = []
    rows, training = tiny_dataset.indices("test")[:1], tiny_dataset.indices("train")
    arguments = (tiny_checkpoint, tiny_dataset, training, rows, 2)
    inverse_figures(*arguments, on_progress=lambda done, total: reports.append((done, total)))
    total = 2 * len(KINDS)
    assert reports == [(done, total) for done in range(total + 1)]


def test_distances_of_pairs(tiny_checkpoint: Checkpoint) -> None:
    """Three pairs within a component of three, none across; shifted copies are no different."""
    designs = design(tiny_checkpoint, {"C11": 40.0}, 3, 16, component=1)
    near, far = two_point_distances(designs.microstructures, designs.component)
    assert len(near) == 3 and far == [] and min(near) > 0.0
    volume = designs.microstructures[0]
    copies = np.stack([np.roll(volume, shift, (0, 1, 2)) for shift in (0, 3, 5)])
    near, far = two_point_distances(copies, [0, 0, 1])
    assert (len(near), len(far)) == (1, 2)
    np.testing.assert_allclose(near + far, 0.0, atol=1e-9)


def test_agreement_sees_through_shifts_and_symmetries(rng: np.random.Generator) -> None:
    first = (rng.random((8, 8, 8)) < 0.4).astype(np.uint8)
    other = np.roll(first, (1, 5, 2), (0, 1, 2)).transpose(2, 0, 1)[:, ::-1]
    assert _agreement(first, other) == pytest.approx(1.0)
    np.testing.assert_allclose(_invariant(first), _invariant(other), atol=1e-12)
    changed = other.copy()
    changed[:4, 0, 0] = 1 - changed[:4, 0, 0]
    assert _agreement(first, changed) == pytest.approx(1.0 - 4.0 / 512.0)
    assert not np.allclose(_invariant(first), _invariant(changed), atol=1e-4)


def test_agreement_is_the_best_over_shifts(rng: np.random.Generator) -> None:
    """Against the definition, of volumes without a symmetry in common."""
    first, other = ((rng.random((4, 4, 4)) < 0.5).astype(np.uint8) for _ in range(2))
    shifts = [np.roll(other, shift, (0, 1, 2)) for shift in np.ndindex(4, 4, 4)]
    assert _agreement(first, other) >= max(np.mean(first == shifted) for shifted in shifts) - 1e-12
    assert _agreement(first, other) < 1.0


def test_copies_of_training_volumes_are_found(tiny_dataset: Dataset) -> None:
    training = tiny_dataset.indices("train")
    reference = tiny_dataset.volumes(training[[0, 5]])
    new = np.stack(
        [generate("gaussian-free", 16, generator=np.random.default_rng(seed)).volume for seed in (91, 92)]
    )
    made = np.concatenate([reference.transpose(0, 2, 3, 1)[:, ::-1], new])
    result = _copies(tiny_dataset, training, made, new)
    assert result["designs"]["copies"] == 2
    assert result["designs"]["largest"] == pytest.approx(1.0)
    assert result["unseen"]["copies"] == 0
    assert 0.5 < result["unseen"]["median"] <= result["unseen"]["largest"] < 0.99


def test_layers_are_not_taken_for_copies(tiny_dataset: Dataset) -> None:
    """Few layers have so few kinds that unseen ones are met in the training set."""
    training = tiny_dataset.indices("train")
    layers = laminate([3, 5, 4, 4], axis=1)
    made = np.stack([tiny_dataset.volumes(training[:1])[0], layers])
    result = _copies(tiny_dataset, training, made, made[1:])
    assert (result["designs"]["copies"], result["designs"]["layered"]) == (1, 1)
    assert result["unseen"] == {"median": None, "largest": None, "copies": 0, "layered": 1}
