"""Test figures of a model: forward error, designs checked by the solver, diversity, times; the model card."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from vaereg.checkpoint import Checkpoint
from vaereg.design import Designs, design, target_distance
from vaereg.elasticity import PROPERTIES
from vaereg.homogenization import homogenize
from vaereg.microstructure import two_point_correlation
from vaereg.prediction import predict
from vaereg.storage import Dataset

__all__ = ["evaluate", "model_card"]

TARGET_PROPERTIES = PROPERTIES[:3]
"""What inverse design is asked for, of unseen volumes."""

_AXIAL = slice(0, 3)
_SOLVER_TOLERANCE = 1e-3
"""float32 at this residual leaves an error of the stiffness of about 2e-6."""


def evaluate(
    checkpoint: Checkpoint,
    dataset: Dataset,
    *,
    split: str = "test",
    targets: int = 30,
    count: int = 12,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Every figure of the model card.

    Args:
        checkpoint: Trained model.
        dataset: Labelled volumes. Baselines are fitted to its training split.
        split: Part that is measured.
        targets: Volumes of the split whose (C11, C22, C33) are asked for in inverse design.
        count: Designs per target.
        on_progress: Called with the designs that are solved and their number.

    Returns:
        Nested plain values, JSON-serialisable; errors are relative (0.01 = 1 %).

    Raises:
        ValueError: The split has fewer volumes than `targets`, an argument is not positive, or the data are
            of other materials than the checkpoint.
    """
    indices = dataset.indices(split)
    if targets < 1 or count < 1:
        raise ValueError(f"expected at least one target and one design, got {targets} and {count}")
    if len(indices) < targets:
        raise ValueError(f"expected at least {targets} volumes in the split {split!r}, got {len(indices)}")
    if dataset.plan.materials != (materials := dataclasses.asdict(checkpoint.model.materials)):
        raise ValueError(
            f"expected data of the checkpoint's materials {materials}, got {dataset.plan.materials}"
        )
    properties = np.diagonal(dataset.samples.stiffness, axis1=1, axis2=2).astype(np.float64)
    return {
        "checkpoint": checkpoint.hash,
        "data": {**dataclasses.asdict(dataset.plan), "split": split, "volumes": len(indices)},
        "hardware": {"machine": platform.machine(), "threads": torch.get_num_threads()},
        "forward": _forward(checkpoint, dataset, indices, properties),
        "inverse": _inverse(checkpoint, dataset, indices[:targets], properties, count, on_progress),
        "timings": _timings(checkpoint, dataset.volumes(indices[:1])[0]),
    }


def forward_figures(
    mean: NDArray[np.float64], truth: NDArray[np.float64], std: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Error figures of predictions, shape (N, T) [GPa]: per property, and over C11, C22, C33 together."""
    relative = np.abs(mean / truth - 1.0)
    variation = np.square(truth - truth.mean(0)).sum(0)
    r2 = 1.0 - np.square(mean - truth).sum(0) / np.where(variation > 0.0, variation, np.nan)
    figures: dict[str, Any] = {
        "mape": dict(zip(PROPERTIES, relative.mean(0).tolist(), strict=True)),
        "mape_axial": float(relative[:, _AXIAL].mean()),
        "median_axial": float(np.median(relative[:, _AXIAL])),
        "r2": dict(zip(PROPERTIES, r2.tolist(), strict=True)),
    }
    if std is not None:
        covered = np.abs(mean - truth) <= 1.6449 * std
        figures["coverage_90"] = dict(zip(PROPERTIES, covered.mean(0).tolist(), strict=True))
    return figures


def _forward(
    checkpoint: Checkpoint, dataset: Dataset, indices: NDArray[np.intp], properties: NDArray[np.float64]
) -> dict[str, Any]:
    truth = properties[indices]
    families = dataset.samples.family[indices]
    figures: dict[str, Any] = {}
    for tier, guided in (("guided", True), ("encoder", False)):
        prediction = predict(checkpoint, dataset.volumes(indices), guided=guided)
        figures[tier] = forward_figures(prediction.mean, truth, prediction.std)
        figures[tier]["mape_axial_by_family"] = {
            str(family): forward_figures(prediction.mean[families == family], truth[families == family])[
                "mape_axial"
            ]
            for family in np.unique(families)
        }
        figures["in_distribution"] = float(prediction.in_distribution.mean())
    training = dataset.indices("train")
    fraction = dataset.samples.volume_fraction[:, None]
    baseline = np.stack(
        [
            np.exp(
                HistGradientBoostingRegressor(random_state=0)
                .fit(fraction[training], np.log(properties[training, i]))
                .predict(fraction[indices])
            )
            for i in range(len(PROPERTIES))
        ],
        axis=1,
    )
    return figures | {"volume_fraction_only": forward_figures(baseline, truth)}


def _inverse(
    checkpoint: Checkpoint,
    dataset: Dataset,
    indices: NDArray[np.intp],
    properties: NDArray[np.float64],
    count: int,
    on_progress: Callable[[int, int], None] | None,
) -> dict[str, Any]:
    training = properties[dataset.indices("train")]
    errors, predicted_errors, surprises, components, nearest = [], [], [], [], []
    within, between = [], []
    for number, index in enumerate(indices):
        wanted = {name: float(properties[index, i]) for i, name in enumerate(TARGET_PROPERTIES)}
        # the target is a fact of an existing volume: reachable by construction, however rare
        designs = design(checkpoint, wanted, count, dataset.plan.size, seed=number, only_plausible=False)
        solved = []
        for volume in designs.microstructures:
            if on_progress:
                on_progress(number * count + len(solved), len(indices) * count)
            result = homogenize(volume, checkpoint.model.materials, rtol=_SOLVER_TOLERANCE, dtype=np.float32)
            solved.append(np.diag(result.stiffness))
        found = np.array(solved)
        errors.append(target_distance(found, designs.targets))
        predicted_errors.append(designs.error)
        surprises.append(np.abs(designs.mean / found - 1.0)[:, _AXIAL].mean(1))
        components.append(designs.component)
        nearest.append(float(target_distance(training, designs.targets).min()))
        near, far = _statistics_distances(designs)
        within += near
        between += far
    if on_progress:
        on_progress(len(indices) * count, len(indices) * count)
    error, component = np.array(errors), np.concatenate(components)
    best = np.take_along_axis(error, np.argmin(predicted_errors, axis=1)[:, None], 1)
    return {
        "targets": len(indices),
        "designs_per_target": count,
        "properties": list(TARGET_PROPERTIES),
        "median_error": float(np.median(error)),
        "mean_error": float(error.mean()),
        "median_error_of_best_by_prediction": float(np.median(best)),
        "median_error_of_best_by_solver": float(np.median(error.min(1))),
        "median_error_by_component": {
            str(k): float(np.median(error.ravel()[component == k])) for k in np.unique(component)
        },
        "prediction_against_solver": float(np.mean(surprises)),
        "nearest_training_volume": float(np.median(nearest)),
        "components_used": len(np.unique(component)),
        "two_point_distance_within_component": float(np.mean(within)) if within else None,
        "two_point_distance_between_components": float(np.mean(between)) if between else None,
    }


def _statistics_distances(designs: Designs) -> tuple[list[float], list[float]]:
    """Root mean square differences of two-point correlation: pairs of one component, pairs across."""
    curves = np.stack([two_point_correlation(volume) for volume in designs.microstructures])
    near, far = [], []
    for i in range(len(curves)):
        for j in range(i):
            distance = float(np.sqrt(np.square(curves[i] - curves[j]).mean()))
            (near if designs.component[i] == designs.component[j] else far).append(distance)
    return near, far


def _timings(checkpoint: Checkpoint, volume: NDArray[np.uint8]) -> dict[str, float]:
    """Median wall times on this machine, warm [s]."""
    middle = {
        name: float(np.median(checkpoint.fitted.property_quantiles[:, i]))
        for i, name in enumerate(PROPERTIES)
    }
    wanted = {"C11": middle["C11"]}
    return {
        "predict_one": _median_time(lambda: predict(checkpoint, volume[None])),
        "encode_one": _median_time(lambda: predict(checkpoint, volume[None], guided=False)),
        "design_twelve": _median_time(lambda: design(checkpoint, wanted, 12, volume.shape[0])),
        "solve_one_float32_1e-3": _median_time(
            lambda: homogenize(volume, checkpoint.model.materials, rtol=_SOLVER_TOLERANCE, dtype=np.float32)
        ),
    }


def _median_time(call: Callable[[], object], repetitions: int = 5) -> float:
    call()
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def model_card(checkpoint: Checkpoint, metrics: dict[str, Any]) -> str:
    """Model card in Markdown: what the checkpoint is, and the figures of `evaluate`."""
    forward, inverse, timings = metrics["forward"], metrics["inverse"], metrics["timings"]
    count = inverse["designs_per_target"]
    tiers = [
        ("physics-guided regressor", forward["guided"]),
        ("encoder's regressor", forward["encoder"]),
        ("volume fraction only", forward["volume_fraction_only"]),
    ]
    by_property = [
        (
            label,
            *(f"{figures['mape'][name]:.2%}" for name in PROPERTIES),
            f"**{figures['mape_axial']:.2%}**",
            f"{min(figures['r2'].values()):.4f}",
            _span(figures.get("coverage_90", {}).values()),
        )
        for label, figures in tiers
    ]
    by_family = [
        (name, f"{error:.2%}", f"{forward['encoder']['mape_axial_by_family'][name]:.2%}")
        for name, error in forward["guided"]["mape_axial_by_family"].items()
    ]
    by_component = [
        (f"all designs of component {k}", f"{error:.1%}")
        for k, error in inverse["median_error_by_component"].items()
    ]
    designs = [
        ("all designs", f"{inverse['median_error']:.1%}"),
        (f"best of {count} by prediction", f"{inverse['median_error_of_best_by_prediction']:.1%}"),
        (f"best of {count} by the solver", f"{inverse['median_error_of_best_by_solver']:.1%}"),
        *by_component,
        ("nearest training volume", f"{inverse['nearest_training_volume']:.1%}"),
    ]
    text = _CARD.format(
        checkpoint=metrics["checkpoint"],
        facts=_table(("", ""), checkpoint.card.items()),
        volumes=metrics["data"]["volumes"],
        split=metrics["data"]["split"],
        in_distribution=forward["in_distribution"],
        by_property=_table(("", *PROPERTIES, "C11, C22, C33", "least R²", "90 % interval"), by_property),
        by_family=_table(("family", "guided", "encoder"), by_family),
        properties=", ".join(inverse["properties"]),
        targets=inverse["targets"],
        count=count,
        designs=_table(("", "median error"), designs),
        surprise=inverse["prediction_against_solver"],
        within=inverse["two_point_distance_within_component"] or float("nan"),
        between=inverse["two_point_distance_between_components"] or float("nan"),
        threads=metrics["hardware"]["threads"],
        size=metrics["data"]["size"],
        predict=1000.0 * timings["predict_one"],
        encode=1000.0 * timings["encode_one"],
        design=timings["design_twelve"],
        solve=timings["solve_one_float32_1e-3"],
        style=_IMAGENET if checkpoint.config.training.features.endswith("imagenet") else _OWN_FEATURES,
        configuration=json.dumps(dataclasses.asdict(checkpoint.config), indent=1),
    )
    return text


def _span(shares: Iterable[float]) -> str:
    listed = list(shares)
    return f"{min(listed):.0%} to {max(listed):.0%}" if listed else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


_IMAGENET = """\
The style loss reads features of a network trained on ImageNet, whose terms are non-commercial research. Its
  weights are not part of the checkpoint."""
_OWN_FEATURES = "The style loss reads features of random weights: no data of others went into the checkpoint."

_CARD = """\
# Model card

Checkpoint `{checkpoint}`, made by `python -m vaereg train`; this page is written by `python -m vaereg
evaluate --card`. All figures are of volumes that training never saw.

{facts}

## Forward: properties of a given volume

{volumes} volumes of the {split} split. Error: mean absolute percentage error against the solver, per property
and over C11, C22, C33; 90 % interval: share of volumes inside the predicted one, over the properties.
`predict` answers with the physics-guided regressor, `design` ranks with the encoder's.
{in_distribution:.1%} of the volumes count as known to the model.

{by_property}

Error over C11, C22, C33 by family:

{by_family}

## Inverse: designs for given properties

Targets: {properties} of {targets} unseen volumes, {count} designs each, every one checked by the solver.
Error: mean relative distance of the solver's values from the target.

{designs}

On these designs the prediction is {surprise:.1%} off the solver in the mean. Two-point correlations of two
designs differ by {within:.4f} (root mean square) within a component and by {between:.4f} across components.

## Times

Medians on {threads} thread(s), {size}³ voxels, warm: one prediction {predict:.0f} ms (encoder alone
{encode:.0f} ms), twelve designs {design:.2f} s, one solve (float32, residual 1e-3) {solve:.2f} s.

## Limits

- Trained on anisotropic Gaussian random fields alone, with axes of anisotropy along x, y and z. Volumes of
  other kinds are flagged by the novelty score at best.
- Valid for its material pair (above). The solver's numbers are those of trilinear hexahedra, one per voxel,
  which at contrast 50 are a few per cent stiffer than the continuum.
- {style}

## Configuration

```json
{configuration}
```
"""
