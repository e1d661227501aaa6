"""Training, calibration and test figures of the regressor for any pair of phases.

Letters: N labels, B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor, nn

from vaereg.elasticity import voigt_to_mandel
from vaereg.errors import InputError
from vaereg.model.pair_features import STEPS, PairFeatures, pair_features
from vaereg.model.pair_model import (
    DECADES,
    RESIDUAL,
    PairAnswer,
    PairModel,
    answer,
    decade_of,
    largest_step,
    novelty_inputs,
)
from vaereg.model.pair_network import PairRegressor, between_bounds
from vaereg.training.pair_labels import PairLabels

__all__ = ["answer_labels", "fit_pair_model", "pair_figures", "stopping_places"]

_BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 64, 2e-3, 1e-3
_LOSS_FLOOR = 1e-5
"""Number under the root of the loss, so that its slope stays finite."""
_LARGEST_LOSS = 50.0
_VOID_SHARE = 1e-5
"""Share of the Voigt bound that is added to the stiffness of cells with a void: some carry no load [-]."""
_NOVEL = 0.995
"""Part of the labels of the calibration whose novelty is below 1."""
_CARRIES = 1e-4
"""Least eigenvalue of the stiffness, over E of the stiff phase, of cells that relative errors are of [-]."""


@dataclass(frozen=True, slots=True)
class _Examples:
    """Inputs and truth of many labels at many steps."""

    matrices: Tensor
    scalars: Tensor
    gap: Tensor
    """Inverse root of the stiffness, times the root of U - R, shape (M, 6, 6)."""
    lower: Tensor
    """Reuss bound between inverse roots of the stiffness, shape (M, 6, 6)."""


def stopping_places(labels: PairLabels, residual: float = RESIDUAL) -> NDArray[np.int64]:
    """Place in `STEPS` at which the iteration stops for each label, shape (N,)."""
    places = np.empty(len(labels), dtype=np.int64)
    for row, pair in enumerate(labels.pairs):
        allowed = [place for place, step in enumerate(STEPS) if 1 <= step <= largest_step(pair)]
        small = [place for place in allowed if labels.residuals[row, place] <= residual]
        places[row] = small[0] if small else allowed[-1]
    return places


def fit_pair_model(
    training: PairLabels,
    calibration: PairLabels,
    *,
    steps: int = 4000,
    hidden: int = 256,
    seed: int = 0,
    card: dict[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PairModel:
    """Train one network for all numbers of iterations, and calibrate its spreads.

    Args:
        training: Labels that the network is trained on, and whose inputs are not novel.
        calibration: Other labels, for the spreads and for the distance that is novel.
        steps: Optimisation steps.
        hidden: Width of the network.
        seed: Seed of initialisation, batches and symmetries.
        card: Plain facts, JSON-serialisable.
        on_progress: Called with the steps that are done and their number.

    Raises:
        InputError: There are fewer than two labels of either kind.
    """
    if min(len(training), len(calibration)) < 2:
        raise InputError(
            f"expected at least two labels for training and calibration, got {len(training)} "
            f"and {len(calibration)}"
        )
    network = _train(training, steps, hidden, seed, on_progress)
    inputs = np.concatenate(
        [novelty_inputs(_features(training, np.full(len(training), place))) for place in range(1, len(STEPS))]
    )
    centre = inputs.mean(0)
    values, axes = np.linalg.eigh(np.cov((inputs - centre).T))
    whitening = axes / np.sqrt(np.maximum(values, 1e-6 * values.max()))
    own = novelty_inputs(_features(calibration, stopping_places(calibration)))
    distance = np.sqrt(np.square((own - centre) @ whitening).mean(1))
    model = PairModel(
        network=network,
        spread_factor=np.ones((len(DECADES), 3)),
        novelty_mean=centre,
        novelty_whitening=whitening / np.quantile(distance, _NOVEL),
        card=card or {},
    )
    return PairModel(
        network=network,
        spread_factor=_spread_factors(model, calibration),
        novelty_mean=model.novelty_mean,
        novelty_whitening=model.novelty_whitening,
        card=model.card,
    )


def answer_labels(model: PairModel, labels: PairLabels, residual: float = RESIDUAL) -> PairAnswer:
    """Stiffness of labelled volumes after the iterations that the residual asks for."""
    places = stopping_places(labels, residual)
    uppers = labels.uppers[np.arange(len(labels)), places]
    return answer(model, _features(labels, places), uppers, labels.pairs)


def pair_figures(model: PairModel, labels: PairLabels, residual: float = RESIDUAL) -> dict[str, Any]:
    """Test figures by decade of contrast: relative Frobenius errors, beside those of the upper bound alone.

    Cells that carry no load in some direction are counted, but have no relative error.

    Returns:
        By decade, and over all: number of `volumes`, mean `iterations` and `solver_iterations`, `mean`
        and `median` error, `upper_mean` and `upper_median` of the bound, `coverage_90` of C11 ... C66, and
        the share that is `novel`; JSON-serialisable.
    """
    answers, places = answer_labels(model, labels, residual), stopping_places(labels, residual)
    uppers = labels.uppers[np.arange(len(labels)), places]
    truth = voigt_to_mandel(labels.stiffness)
    carrying = np.linalg.eigvalsh(truth)[:, 0] > _CARRIES
    size = np.where(carrying, np.linalg.norm(truth, axis=(1, 2)), 1.0)
    error, bound = (
        np.linalg.norm(voigt_to_mandel(matrix) - truth, axis=(1, 2)) / size
        for matrix in (answers.mean, uppers)
    )
    width = float(norm.ppf(0.95)) * answers.std
    covered = np.diagonal(np.abs(answers.mean - labels.stiffness) <= width, axis1=1, axis2=2).mean(1)
    decades = decade_of(labels.pairs)
    groups = {name: decades == index for index, name in enumerate(DECADES)}
    figures: dict[str, Any] = {}
    for name, rows in (groups | {"all": np.ones(len(labels), dtype=bool)}).items():
        rows = rows & carrying
        if not rows.any():
            continue
        figures[name] = {
            "volumes": int(rows.sum()),
            "iterations": float(np.array(STEPS)[places[rows]].mean()),
            "solver_iterations": float(labels.iterations[rows].mean()),
            "mean": float(error[rows].mean()),
            "median": float(np.median(error[rows])),
            "upper_mean": float(bound[rows].mean()),
            "upper_median": float(np.median(bound[rows])),
            "coverage_90": float(covered[rows].mean()),
            "novel": float((answers.novelty[rows] > 1.0).mean()),
        }
    return figures


def _features(labels: PairLabels, places: NDArray[np.int64]) -> PairFeatures:
    """Inputs of each label at a place in `STEPS` of its own, in the order of the labels."""
    parts, order = [], []
    pairs = labels.pairs
    for place in np.unique(places):
        rows = np.flatnonzero(places == place)
        parts.append(
            pair_features(
                labels.fraction[rows],
                [pairs[row] for row in rows],
                labels.uppers[rows, place - 1 : place + 1],
                labels.energies[rows, place - 1 : place + 1],
                STEPS[place],
                labels.residuals[rows, place],
            )
        )
        order.append(rows)
    back = np.argsort(np.concatenate(order))
    return PairFeatures(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])[back]
            for name in ("matrices", "scalars", "lower", "gap")
        }
    )


def _examples(labels: PairLabels) -> _Examples:
    """All labels at all steps."""
    void = np.array([pair.has_void for pair in labels.pairs])[:, None, None]
    voigt = voigt_to_mandel(labels.uppers[:, 0])
    shift = _VOID_SHARE * void * voigt
    columns: list[tuple[NDArray[np.float64], ...]] = []
    truth = voigt_to_mandel(labels.stiffness) + shift + 1e-10 * voigt
    inverse = np.linalg.inv(np.linalg.cholesky(truth))
    for place in range(1, len(STEPS)):
        features = _features(labels, np.full(len(labels), place))
        lower = inverse @ (features.lower + shift) @ inverse.swapaxes(1, 2)
        columns.append((features.matrices, features.scalars, inverse @ features.gap, lower))
    return _Examples(
        *(torch.from_numpy(np.concatenate(column)).float() for column in zip(*columns, strict=True))
    )


def _train(
    labels: PairLabels,
    steps: int,
    hidden: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None,
) -> PairRegressor:
    examples = _examples(labels)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PairRegressor(hidden)
    network.set_scaling(examples.matrices, examples.scalars)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    count = len(examples.scalars)
    for step in range(steps):
        rows = torch.randint(count, (_BATCH,), generator=generator)
        turns = torch.randint(len(network.symmetries), (_BATCH,), generator=generator)
        share = between_bounds(network.turned(examples.matrices[rows], examples.scalars[rows], turns)).float()
        gap = examples.gap[rows]
        loss = _distance(examples.lower[rows] + gap @ share @ gap.transpose(1, 2)).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if on_progress and (step + 1) % 100 == 0:
            on_progress(step + 1, steps)
    return network.eval().requires_grad_(False)


def _distance(ratio: Tensor) -> Tensor:
    """Distance of matrices from the identity that is the same for their inverses, shape (B,) [-]."""
    excess = ratio.diagonal(dim1=1, dim2=2).sum(1) + torch.linalg.inv(ratio).diagonal(dim1=1, dim2=2).sum(1)
    return ((excess - 12.0).clamp_min(0.0) + _LOSS_FLOOR).sqrt().clamp_max(_LARGEST_LOSS)


def _spread_factors(model: PairModel, labels: PairLabels) -> NDArray[np.float64]:
    """Factors with which a Gaussian's central 90 % cover 90 % of the errors, by decade and kind, (5, 3).

    A decade of fewer than ten labels takes the factors of all.
    """
    answers = answer_labels(model, labels)
    ratio = np.abs(answers.mean - labels.stiffness) / np.maximum(answers.std, 1e-12)
    kinds = [ratio[:, range(3), range(3)], ratio[:, range(3, 6), range(3, 6)]]
    kinds.append(ratio[:, *np.triu_indices(6, 1)])
    decades = decade_of(labels.pairs)
    factors = np.empty((len(DECADES), len(kinds)))
    for decade in range(len(DECADES)):
        rows = decades == decade if (decades == decade).sum() >= 10 else np.ones(len(labels), dtype=bool)
        factors[decade] = [np.quantile(kind[rows], 0.9) / norm.ppf(0.95) for kind in kinds]
    return factors
