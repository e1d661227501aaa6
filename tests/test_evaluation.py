"""Evaluation: figures that mean what their names say, and a card that renders them."""

import dataclasses
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vaereg.checkpoint import Checkpoint
from vaereg.config import PRESETS
from vaereg.design import design, target_distance
from vaereg.elasticity import PROPERTIES
from vaereg.evaluation import _statistics_distances, evaluate, forward_figures, model_card
from vaereg.homogenization import homogenize
from vaereg.prediction import predict
from vaereg.storage import Dataset

TARGETS, COUNT = 2, 3
Metrics = dict[str, Any]


@pytest.fixture(scope="module")
def reports() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def metrics(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset, reports: list[tuple[int, int]]) -> Metrics:
    return evaluate(
        tiny_checkpoint,
        tiny_dataset,
        targets=TARGETS,
        count=COUNT,
        on_progress=lambda done, total: reports.append((done, total)),
    )


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield float(value)


def test_all_figures_are_finite_plain_numbers(metrics: Metrics) -> None:
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    found = list(numbers(metrics))
    assert len(found) > 80
    assert all(math.isfinite(value) for value in found)
    assert all(value > 0.0 for value in metrics["timings"].values())


def test_forward_figures_are_those_of_the_predictions(
    metrics: Metrics, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    rows = tiny_dataset.indices("test")
    assert metrics["data"]["volumes"] == len(rows)
    truth = np.diagonal(tiny_dataset.samples.stiffness[rows].astype(np.float64), axis1=1, axis2=2)
    families = tiny_dataset.samples.family[rows]
    for tier, guided in (("guided", True), ("encoder", False)):
        found = metrics["forward"][tier]
        prediction = predict(tiny_checkpoint, tiny_dataset.volumes(rows), guided=guided)
        error = np.abs(prediction.mean / truth - 1.0)
        assert found["mape"]["C55"] == pytest.approx(error[:, 4].mean())
        assert found["mape_axial"] == pytest.approx(error[:, :3].mean())
        by_family = found["mape_axial_by_family"]
        assert set(by_family) == set(families)
        for family, value in by_family.items():
            assert value == pytest.approx(error[families == family, :3].mean())
        assert metrics["forward"]["in_distribution"] == pytest.approx(prediction.in_distribution.mean())
    better, alone, blind = (
        metrics["forward"][tier]["mape_axial"] for tier in ("guided", "encoder", "volume_fraction_only")
    )
    assert better < min(alone, blind)


def test_figures_of_known_predictions(rng: np.random.Generator) -> None:
    truth = rng.uniform(10.0, 100.0, (400, 6))
    exact = forward_figures(truth, truth, np.ones_like(truth))
    assert exact["mape_axial"] == exact["median_axial"] == 0.0
    assert all(value == 1.0 for name in ("r2", "coverage_90") for value in exact[name].values())

    off = forward_figures(truth * [1.1, 1.1, 0.8, 1.0, 1.0, 1.0], truth)
    assert off["mape"]["C11"] == pytest.approx(0.1)
    assert off["mape_axial"] == pytest.approx(0.4 / 3.0)
    assert off["median_axial"] == pytest.approx(0.1)
    assert "coverage_90" not in off

    mean = forward_figures(np.broadcast_to(truth.mean(0), truth.shape), truth)
    assert all(value == pytest.approx(0.0, abs=1e-12) for value in mean["r2"].values())

    noisy = forward_figures(truth + 2.0 * rng.standard_normal(truth.shape), truth, np.full(truth.shape, 2.0))
    assert all(abs(value - 0.9) < 0.06 for value in noisy["coverage_90"].values())


def test_designs_are_judged_by_the_solver(
    metrics: Metrics, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
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
        best.append(error[np.argmin(designs.error)])
        component.append(designs.component)
        surprise.append(np.abs(designs.mean / solved - 1.0)[:, :3].mean())
        nearest.append(np.abs(training[:, :3] / stiffness[row].diagonal()[:3] - 1.0).mean(1).min())
    found = metrics["inverse"]
    assert (found["targets"], found["designs_per_target"]) == (TARGETS, COUNT)
    assert found["median_error"] == pytest.approx(np.median(errors), rel=1e-3)
    assert found["mean_error"] == pytest.approx(np.mean(errors), rel=1e-3)
    assert found["median_error_of_best_by_prediction"] == pytest.approx(np.median(best), rel=1e-3)
    assert found["median_error_of_best_by_solver"] == pytest.approx(np.median(np.min(errors, 1)), rel=1e-3)
    assert found["prediction_against_solver"] == pytest.approx(np.mean(surprise), rel=1e-3)
    assert found["nearest_training_volume"] == pytest.approx(np.median(nearest), rel=1e-3)
    assert found["components_used"] == 2
    chosen = np.concatenate(errors)[np.concatenate(component) == 1]
    assert found["median_error_by_component"]["1"] == pytest.approx(np.median(chosen), rel=1e-3)


def test_progress_counts_designs(metrics: Metrics, reports: list[tuple[int, int]]) -> None:
    assert reports == [(done, TARGETS * COUNT) for done in range(TARGETS * COUNT + 1)]


def test_distances_of_pairs(tiny_checkpoint: Checkpoint) -> None:
    """Three pairs within a component of three, none across; shifted copies are no different."""
    designs = design(tiny_checkpoint, {"C11": 40.0}, 3, 16, component=1)
    near, far = _statistics_distances(designs)
    assert len(near) == 3 and far == [] and min(near) > 0.0
    volume = designs.microstructures[0]
    copies = np.stack([np.roll(volume, shift, (0, 1, 2)) for shift in (0, 3, 5)])
    same = dataclasses.replace(designs, microstructures=copies, component=np.array([0, 0, 1]))
    near, far = _statistics_distances(same)
    assert (len(near), len(far)) == (1, 2)
    np.testing.assert_allclose(near + far, 0.0, atol=1e-9)


def test_the_card_renders(metrics: Metrics, tiny_checkpoint: Checkpoint) -> None:
    text = model_card(tiny_checkpoint, metrics)
    assert text.startswith("# Model card\n")
    assert tiny_checkpoint.hash in text
    for key, value in tiny_checkpoint.card.items():
        assert f"| {key} | {value} |" in text
    for name in (*PROPERTIES, *metrics["forward"]["guided"]["mape_axial_by_family"]):
        assert name in text
    assert f"**{metrics['forward']['guided']['mape_axial']:.2%}**" in text
    assert f"| all designs | {metrics['inverse']['median_error']:.1%} |" in text
    assert f"best of {COUNT} by prediction" in text
    assert not re.search(r"\b(nan|None)\b", text)
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert min(widths) >= 3
    start = text.index("```json") + len("```json")
    assert json.loads(text[start : text.rindex("```")]) == json.loads(tiny_checkpoint.config.to_json())


def test_the_card_names_what_went_into_the_checkpoint(metrics: Metrics, tiny_checkpoint: Checkpoint) -> None:
    assert "ImageNet" not in model_card(tiny_checkpoint, metrics)
    other = dataclasses.replace(tiny_checkpoint, config=PRESETS["default"])
    assert "ImageNet, whose terms are non-commercial research" in model_card(other, metrics)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": 0}, "at least one target and one design, got 0 and 12"),
        ({"count": 0}, "at least one target and one design, got 30 and 0"),
        ({"targets": 1000}, "expected at least 1000 volumes in the split 'test', got "),
        ({"split": "tests"}, "expected a split of train, validation, test, got 'tests'"),
    ],
)
def test_what_cannot_be_evaluated(
    arguments: dict[str, Any], message: str, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(tiny_checkpoint, tiny_dataset, **arguments)


def test_data_of_other_materials(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    plan = dataclasses.replace(tiny_dataset.plan, materials={**tiny_dataset.plan.materials, "e_soft": 3.0})
    with pytest.raises(ValueError, match="expected data of the checkpoint's materials .*'e_soft': 3.0"):
        evaluate(tiny_checkpoint, dataclasses.replace(tiny_dataset, plan=plan), targets=1, count=1)
