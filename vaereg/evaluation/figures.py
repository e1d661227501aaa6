"""Test figures of a model: forward errors, calibration, novelty, components, samples, designs, times.

`evaluate` gathers everything that the model card says. `generative` measures the
components and the samples of the decoder, `solved_designs` the designs, checked by the solver.

Letters: N volumes, T properties.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from vaereg.elasticity import PROPERTIES, diagonal_properties
from vaereg.errors import InputError
from vaereg.evaluation.generative import component_figures, decoder_figures
from vaereg.evaluation.solved_designs import SOLVER_TOLERANCE, inverse_figures
from vaereg.executors import Workers, check_workers
from vaereg.inverse.direct import design
from vaereg.io.datasets import Dataset, known_indices
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.pairs.regressor import load_pair_model, predict_stiffness
from vaereg.model.prediction import log_interval, predict
from vaereg.solver.homogenization import homogenize

__all__ = [
    "evaluate",
    "figures_by_family",
    "forward_figures",
    "held_out_families",
    "held_out_rows",
]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Nominal coverages at which the intervals are checked [-]."""
MOST_HELD_OUT = 500
"""Volumes of families left out of training that are measured."""
MOST_PARITY = 300
"""Volumes whose predictions are listed one by one."""

_AXIAL = slice(0, 3)


def evaluate(
    checkpoint: Checkpoint,
    dataset: Dataset,
    *,
    split: str = "test",
    targets: int = 30,
    count: int = 12,
    workers: Workers = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Every figure of the model card.

    The keys of the result:

    - `checkpoint`, `data`, `hardware`: what was measured on what;
    - `forward`: `pairs`, which `predict` answers with, `guided` and `encoder`, which rank designs, and
      `volume_fraction_only`, a baseline, each with figures as of `forward_figures`; `in_distribution`;
      `reliability`; `parity`;
    - `held_out`: the same figures of families that training left out; absent where there are none;
    - `novelty`: share of volumes that are flagged as unlike the training set;
    - `components`: what each component of the prior stands for; `decoder`: samples against the data;
    - `inverse_one`, `inverse`, `inverse_six`: designs for C11, for C11, C22, C33, and for all properties;
    - `timings` [s].

    Args:
        checkpoint: Trained model.
        dataset: Labelled volumes. Baselines are fitted to its training split.
        split: Part that is measured, without the families that training left out.
        targets: Volumes of the split whose properties are asked for in inverse design.
        count: Designs per target.
        workers: Number of processes that solve the designs, or an executor.
        on_progress: Called with the designs that are solved and their number.

    Returns:
        Nested plain values, JSON-serialisable; errors are relative (0.01 = 1 %), lengths in voxels.

    Raises:
        InputError: The split has fewer volumes than `targets`, an argument is not positive, or the data are
            of other materials than the checkpoint.
    """
    left_out = held_out_families(checkpoint)
    indices = known_indices(dataset, split, left_out)
    if min(targets, count) < 1:
        raise InputError(f"expected at least one target and one design, got {targets} and {count}")
    check_workers(workers)
    if len(indices) < targets:
        raise InputError(f"expected at least {targets} volumes in the split {split!r}, got {len(indices)}")
    if dataset.plan.materials != (materials := checkpoint.model.materials.moduli()):
        raise InputError(
            f"expected data of the checkpoint's materials {materials}, got {dataset.plan.materials}"
        )
    training = known_indices(dataset, "train", left_out)
    held_out = held_out_rows(dataset, left_out)
    forward, novelty = _forward(checkpoint, dataset, training, indices)
    metrics: dict[str, Any] = {
        "checkpoint": checkpoint.hash,
        "data": {**dataclasses.asdict(dataset.plan), "split": split, "volumes": len(indices)},
        "hardware": _hardware(),
        "forward": forward,
    }
    if len(held_out):
        metrics["held_out"], novelty["held_out"] = _held_out(checkpoint, dataset, held_out)
    metrics["novelty"] = novelty | {"strange": _strange(checkpoint, dataset.plan.size)}
    metrics["components"] = component_figures(checkpoint, dataset, indices)
    metrics["decoder"] = decoder_figures(checkpoint, dataset, indices)
    metrics |= inverse_figures(
        checkpoint, dataset, training, indices[:targets], count, workers=workers, on_progress=on_progress
    )
    metrics["timings"] = _timings(checkpoint, dataset.volumes(indices[:1])[0])
    return metrics


def held_out_families(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Families that the training of a model left out."""
    return checkpoint.config.training.held_out


def held_out_rows(dataset: Dataset, left_out: tuple[str, ...]) -> NDArray[np.intp]:
    """Volumes of families that training left out, of all splits, ascending; a random choice of many."""
    rows = np.flatnonzero(np.isin(dataset.samples.family, left_out))
    sample = np.random.default_rng(0).permutation(rows)[:MOST_HELD_OUT]
    return np.sort(sample)


def forward_figures(
    mean: NDArray[np.float64], truth: NDArray[np.float64], std: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Error figures of predictions, shape (N, T) [GPa]: per property, and over C11, C22, C33 together.

    R² is None where the truth does not vary.
    """
    relative = np.abs(mean / truth - 1.0)
    figures: dict[str, Any] = {
        "mape": _by_property(relative.mean(0)),
        "mape_axial": float(relative[:, _AXIAL].mean()),
        "median_axial": float(np.median(relative[:, _AXIAL])),
        "r2": _r2(mean, truth),
    }
    if std is not None:
        figures["coverage_90"] = _by_property(_covered(mean, truth, std, 0.9).mean(0))
    return figures


def figures_by_family(
    mean: NDArray[np.float64],
    truth: NDArray[np.float64],
    family: NDArray[np.str_],
    std: NDArray[np.float64] | None = None,
) -> dict[str, dict[str, Any]]:
    """`forward_figures` of each family, with its number of volumes; `family` has shape (N,)."""
    figures = {}
    for name in np.unique(family):
        rows = family == name
        errors = forward_figures(mean[rows], truth[rows], None if std is None else std[rows])
        figures[str(name)] = {"volumes": int(rows.sum()), **errors}
    return figures


def _by_property(values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(PROPERTIES, values.tolist(), strict=True))


def _r2(mean: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float | None]:
    variation = np.square(truth - truth.mean(0)).sum(0)
    residual = np.square(mean - truth).sum(0)
    return {
        name: 1.0 - float(residual[i] / variation[i]) if variation[i] > 0.0 else None
        for i, name in enumerate(PROPERTIES)
    }


def _covered(
    mean: NDArray[np.float64], truth: NDArray[np.float64], std: NDArray[np.float64], level: float
) -> NDArray[np.bool_]:
    """True where the central interval at a nominal coverage, that of `log_interval`, holds the truth, shape
    (N, T).
    """
    least, most = log_interval(mean, std, level)
    return (least <= truth) & (truth <= most)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answers:
    """Properties as one regressor has them."""

    mean: NDArray[np.float64]
    """Shape (N, T) [GPa]."""
    std: NDArray[np.float64]
    """Standard deviations, shape (N, T) [GPa]."""


def _tier(answers: _Answers, truth: NDArray[np.float64], family: NDArray[np.str_]) -> dict[str, Any]:
    by_family = figures_by_family(answers.mean, truth, family, answers.std)
    return {
        **forward_figures(answers.mean, truth, answers.std),
        "mape_axial_by_family": {name: item["mape_axial"] for name, item in by_family.items()},
        "by_family": by_family,
    }


def _answers(
    checkpoint: Checkpoint, volumes: NDArray[np.uint8], materials: TwoPhase
) -> tuple[dict[str, _Answers], NDArray[np.bool_]]:
    """Answers of the regressor for any pair and of both of the checkpoint, and which volumes are familiar."""
    predictions = predict_stiffness(load_pair_model(), list(volumes), [materials], lower_bound=False)
    answers = {
        "pairs": _Answers(
            mean=diagonal_properties(predictions.mean), std=diagonal_properties(predictions.std)
        )
    }
    guided, encoder = (predict(checkpoint, volumes, guided=choice) for choice in (True, False))
    for name, item in (("guided", guided), ("encoder", encoder)):
        answers[name] = _Answers(mean=item.mean, std=item.std)
    return answers, guided.in_distribution


def _forward(
    checkpoint: Checkpoint, dataset: Dataset, training: NDArray[np.intp], indices: NDArray[np.intp]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of all tiers and of the baseline, and the novelty of the volumes."""
    properties = diagonal_properties(dataset.samples.stiffness)
    truth, family = properties[indices], dataset.samples.family[indices]
    materials = TwoPhase.from_dict(dataset.plan.materials)
    predictions, familiar = _answers(checkpoint, dataset.volumes(indices), materials)
    figures: dict[str, Any] = {name: _tier(item, truth, family) for name, item in predictions.items()}
    figures["in_distribution"] = float(familiar.mean())
    fraction = dataset.samples.volume_fraction[:, None]
    baseline = [
        HistGradientBoostingRegressor(random_state=0)
        .fit(fraction[training], np.log(properties[training, i]))
        .predict(fraction[indices])
        for i in range(len(PROPERTIES))
    ]
    figures["volume_fraction_only"] = forward_figures(np.exp(np.stack(baseline, axis=1)), truth)
    figures["reliability"] = {
        "nominal": list(LEVELS),
        **{
            name: {
                key: [float(_covered(item.mean, truth, item.std, level)[:, i].mean()) for level in LEVELS]
                for i, key in enumerate(PROPERTIES)
            }
            for name, item in predictions.items()
        },
    }
    figures["parity"] = _parity(predictions, truth, family)
    return figures, {"split": 1.0 - figures["in_distribution"]}


def _parity(
    predictions: dict[str, _Answers], truth: NDArray[np.float64], family: NDArray[np.str_]
) -> dict[str, Any]:
    """Truth and predictions volume by volume [GPa], to four digits."""
    places = np.sort(np.random.default_rng(0).permutation(len(truth))[:MOST_PARITY])

    def columns(values: NDArray[np.float64]) -> dict[str, list[float]]:
        listed = [[float(f"{value:.4g}") for value in column] for column in values[places].T]
        return dict(zip(PROPERTIES, listed, strict=True))

    return {
        "family": family[places].tolist(),
        "truth": columns(truth),
        **{
            name: {"mean": columns(item.mean), "std": columns(item.std)} for name, item in predictions.items()
        },
    }


def _held_out(
    checkpoint: Checkpoint, dataset: Dataset, rows: NDArray[np.intp]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Figures of families that training left out, and the share of each that is flagged as novel."""
    truth = diagonal_properties(dataset.samples.stiffness[rows])
    family = dataset.samples.family[rows]
    materials = TwoPhase.from_dict(dataset.plan.materials)
    predictions, familiar = _answers(checkpoint, dataset.volumes(rows), materials)
    figures: dict[str, Any] = {"volumes": len(rows)}
    for name, item in predictions.items():
        tier = _tier(item, truth, family)
        tier["mape_axial_mean_of_families"] = float(np.mean(list(tier["mape_axial_by_family"].values())))
        figures[name] = tier
    return figures, {str(name): 1.0 - float(familiar[family == name].mean()) for name in np.unique(family)}


def _strange(checkpoint: Checkpoint, size: int) -> dict[str, float]:
    """Share of volumes that are flagged as novel, of kinds that no generator makes."""
    numbers = np.random.default_rng(0)
    dot = np.zeros((size,) * 3, dtype=np.uint8)
    dot[0, 0, 0] = 1
    checkerboard = (np.indices(dot.shape).sum(0) % 2).astype(np.uint8)
    noise = [
        (numbers.random(dot.shape) < fraction).astype(np.uint8) for fraction in np.linspace(0.2, 0.8, 13)
    ]
    kinds = {"random voxels": noise, "one voxel": [dot, 1 - dot], "checkerboard": [checkerboard]}
    return {
        name: 1.0 - float(predict(checkpoint, volumes).in_distribution.mean())
        for name, volumes in kinds.items()
    }


def _timings(checkpoint: Checkpoint, volume: NDArray[np.uint8]) -> dict[str, float]:
    """Median wall times on this machine, warm [s]; fourfold: of four times as many voxels per edge."""
    middle = float(np.median(checkpoint.fitted.property_quantiles[:, 0]))
    target = {"C11": middle}
    large = np.tile(volume, (4, 4, 4))
    return {
        "predict_one": _median_time(lambda: predict(checkpoint, volume[None])),
        "encode_one": _median_time(lambda: predict(checkpoint, volume[None], guided=False)),
        "predict_fourfold": _median_time(lambda: predict(checkpoint, large[None]), 1),
        "encode_fourfold": _median_time(lambda: predict(checkpoint, large[None], guided=False), 1),
        "design_twelve": _median_time(lambda: design(checkpoint, target, 12, volume.shape[0])),
        "solve_one_float32_1e-3": _median_time(
            lambda: homogenize(volume, checkpoint.model.materials, rtol=SOLVER_TOLERANCE, dtype=np.float32)
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


def _hardware() -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": round(os.getloadavg()[0], 2),
    }
