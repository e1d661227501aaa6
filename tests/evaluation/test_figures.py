"""Evaluation: figures that mean what their names say."""

import dataclasses
import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from vaereg.elasticity import PROPERTIES
from vaereg.evaluation.figures import _held_out, evaluate, figures_by_family, forward_figures, held_out_rows
from vaereg.io.datasets import Dataset, known_indices
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.prediction import predict

Metrics = dict[str, Any]


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float):
        yield float(value)


def test_all_figures_are_finite_plain_numbers(tiny_metrics: Metrics) -> None:
    assert json.loads(json.dumps(tiny_metrics, allow_nan=False)) == tiny_metrics
    result = list(numbers(tiny_metrics))
    assert len(result) > 500
    assert all(math.isfinite(value) for value in result)
    assert all(value > 0.0 for value in tiny_metrics["timings"].values())


def test_forward_figures_are_those_of_the_predictions(
    tiny_metrics: Metrics, tiny_checkpoint: Checkpoint, tiny_dataset: Dataset
) -> None:
    rows = tiny_dataset.indices("test")
    assert tiny_metrics["data"]["volumes"] == len(rows)
    truth = np.diagonal(tiny_dataset.samples.stiffness[rows].astype(np.float64), axis1=1, axis2=2)
    families = tiny_dataset.samples.family[rows]
    for tier, guided in (("guided", True), ("encoder", False)):
        result = tiny_metrics["forward"][tier]
        prediction = predict(tiny_checkpoint, tiny_dataset.volumes(rows), guided=guided)
        error = np.abs(prediction.mean / truth - 1.0)
        # another number of threads moves the encoder's float32 by 1e-7, and small errors by a share of that
        close = partial(pytest.approx, rel=1e-4)
        assert result["mape"]["C55"] == close(error[:, 4].mean())
        assert result["mape_axial"] == close(error[:, :3].mean())
        by_family = result["mape_axial_by_family"]
        assert set(by_family) == set(families)
        for family, value in by_family.items():
            assert value == close(error[families == family, :3].mean())
        if guided:
            reference = prediction.in_distribution.mean()
            assert tiny_metrics["forward"]["in_distribution"] == pytest.approx(reference)
    better, alone, blind = (
        tiny_metrics["forward"][tier]["mape_axial"] for tier in ("guided", "encoder", "volume_fraction_only")
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

    noisy = truth * np.exp(0.3 * rng.standard_normal(truth.shape))
    coverage = forward_figures(noisy, truth, 0.3 * noisy)["coverage_90"]
    assert all(abs(value - 0.9) < 0.06 for value in coverage.values())


@pytest.mark.parametrize("end", [-1.0, 1.0])
def test_coverage_is_that_of_intervals_in_log_c(end: float, rng: np.random.Generator) -> None:
    """The intervals that pages show: 90 % are 1.645 standard deviations of log C to either side."""
    mean = rng.uniform(10.0, 100.0, (20, 6))
    for factor, expected in ((1.64, 1.0), (1.65, 0.0)):
        truth = mean * np.exp(end * factor * 0.4)
        assert set(forward_figures(mean, truth, 0.4 * mean)["coverage_90"].values()) == {expected}


def test_figures_that_do_not_exist_are_none() -> None:
    """One volume has no variation that a prediction could explain."""
    truth = np.full((1, 6), 10.0)
    assert set(forward_figures(1.1 * truth, truth)["r2"].values()) == {None}


def test_figures_by_family(rng: np.random.Generator) -> None:
    truth = rng.uniform(10.0, 100.0, (40, 6))
    family = np.array(["a", "b"] * 20)
    factor = np.where(family == "a", 1.1, 1.3)[:, None]
    result = figures_by_family(factor * truth, truth, family, 0.2 * factor * truth)
    assert {name: item["volumes"] for name, item in result.items()} == {"a": 20, "b": 20}
    assert result["a"]["mape_axial"] == pytest.approx(0.1)
    assert result["b"]["mape_axial"] == pytest.approx(0.3)
    # 1.6449 standard deviations of 0.2 reach 0.329, the logarithm of 1.39
    assert result["b"]["coverage_90"]["C11"] == 1.0
    assert figures_by_family(1.4 * truth, truth, family, 0.28 * truth)["a"]["coverage_90"]["C11"] == 0.0


def test_reliability_rises_to_the_coverage(tiny_metrics: Metrics) -> None:
    result = tiny_metrics["forward"]["reliability"]
    assert result["nominal"][0] == 0.1 and result["nominal"][-1] == 0.99
    for tier in ("guided", "encoder"):
        for name in PROPERTIES:
            observed = result[tier][name]
            assert len(observed) == len(result["nominal"])
            assert np.all(np.diff(observed) >= 0.0)
            at = result["nominal"].index(0.9)
            assert observed[at] == pytest.approx(tiny_metrics["forward"][tier]["coverage_90"][name])


def test_parity_lists_truth_and_predictions(tiny_metrics: Metrics) -> None:
    forward = tiny_metrics["forward"]
    parity = forward["parity"]
    assert len(parity["family"]) == tiny_metrics["data"]["volumes"]
    for tier in ("guided", "encoder"):
        for name in PROPERTIES:
            truth, mean = np.array(parity["truth"][name]), np.array(parity[tier]["mean"][name])
            assert np.abs(mean / truth - 1.0).mean() == pytest.approx(forward[tier]["mape"][name], rel=0.02)
            assert min(parity[tier]["std"][name]) > 0.0


def test_rows_of_families_that_training_left_out(tiny_dataset: Dataset) -> None:
    left_out = ("gaussian-free", "gaussian-rod-x")
    family = tiny_dataset.samples.family
    reference, rest = known_indices(tiny_dataset, "test", left_out), held_out_rows(tiny_dataset, left_out)
    assert not np.isin(family[reference], left_out).any()
    assert set(reference) < set(tiny_dataset.indices("test"))
    assert set(rest) == set(np.flatnonzero(np.isin(family, left_out)))
    assert set(known_indices(tiny_dataset, "test", ())) == set(tiny_dataset.indices("test"))
    assert len(held_out_rows(tiny_dataset, ())) == 0


def test_left_out_families_are_a_random_choice_of_many(
    tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaereg.evaluation.figures.MOST_HELD_OUT", 10)
    chosen = held_out_rows(tiny_dataset, ("gaussian-free", "gaussian-equiaxed"))
    assert len(chosen) == 10
    assert np.all(np.diff(chosen) > 0)
    assert len(set(tiny_dataset.samples.family[chosen])) == 2


def test_figures_of_left_out_families(tiny_checkpoint: Checkpoint, tiny_dataset: Dataset) -> None:
    rows = held_out_rows(tiny_dataset, ("gaussian-rod-x", "gaussian-rod-y"))
    figures, flagged = _held_out(tiny_checkpoint, tiny_dataset, rows)
    prediction = predict(tiny_checkpoint, tiny_dataset.volumes(rows))
    truth = np.diagonal(tiny_dataset.samples.stiffness[rows].astype(np.float64), axis1=1, axis2=2)
    error = np.abs(prediction.mean / truth - 1.0)[:, :3].mean(1)
    family = tiny_dataset.samples.family[rows]
    means = [error[family == name].mean() for name in np.unique(family)]
    assert figures["volumes"] == len(rows)
    assert figures["guided"]["mape_axial"] == pytest.approx(error.mean())
    assert figures["guided"]["mape_axial_mean_of_families"] == pytest.approx(np.mean(means))
    assert set(flagged) == set(family)
    mean = np.average(list(flagged.values()), weights=[(family == name).sum() for name in flagged])
    assert mean == pytest.approx(1.0 - prediction.in_distribution.mean())


def test_left_out_families_are_measured_apart(
    tiny_checkpoint: Checkpoint, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out = ("gaussian-rod-x", "gaussian-rod-y")
    monkeypatch.setattr("vaereg.evaluation.figures.held_out_families", lambda checkpoint: left_out)
    for name in ("component_figures", "decoder_figures", "inverse_figures", "_timings"):
        monkeypatch.setattr(f"vaereg.evaluation.figures.{name}", lambda *arguments, **settings: {})
    metrics = evaluate(tiny_checkpoint, tiny_dataset, targets=1)
    assert metrics["data"]["volumes"] == len(known_indices(tiny_dataset, "test", left_out))
    assert not set(metrics["forward"]["guided"]["by_family"]) & set(left_out)
    assert metrics["held_out"]["guided"]["by_family"].keys() == set(left_out)
    assert metrics["novelty"]["held_out"].keys() == set(left_out)


def test_strange_volumes_are_flagged(tiny_metrics: Metrics) -> None:
    novelty = tiny_metrics["novelty"]
    assert novelty["strange"].keys() == {"random voxels", "one voxel", "checkerboard"}
    assert novelty["split"] == pytest.approx(1.0 - tiny_metrics["forward"]["in_distribution"])
    assert novelty["strange"]["checkerboard"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": 0}, "at least one target and one design, got 0 and 12"),
        ({"count": 0}, "at least one target and one design, got 30 and 0"),
        ({"workers": 0}, "at least one worker, got 0"),
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
