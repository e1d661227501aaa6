"""Training and calibration of the regressor for any pair of phases.

The labels are split into parts. One network is trained without each part, and answers for it: spreads and
the share of the upper bound are calibrated on answers to volumes that a network has not seen. The model
averages all of them.

Letters: N labels, M examples, B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaereg.elasticity import voigt_to_mandel
from vaereg.errors import InputError
from vaereg.model.pairs.calibration import DECADES, SPREAD_FEATURES, decade_of, spread_features
from vaereg.model.pairs.features import STEPS, SYMMETRIES, PairFeatures, pair_features
from vaereg.model.pairs.network import PairRegressor, between_bounds, gaps_of
from vaereg.model.pairs.regressor import (
    FAST_RESIDUAL,
    RESIDUAL,
    VOID_ENERGY,
    PairAnswer,
    PairModel,
    answer,
    novelty_inputs,
)
from vaereg.solver.bounds import residual_over_bound
from vaereg.training.pairs.labels import PairLabels, joined
from vaereg.training.pairs.spreads import spread_weights

__all__ = [
    "PARTS",
    "answer_labels",
    "calibrated",
    "carries_load",
    "fit_pair_model",
    "stopping_places",
]

PARTS = 4
"""Parts of the labels, and networks."""
_BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 64, 2e-3, 1e-3
_LOSS_FLOOR = 1e-5
"""Number under the root of the loss, so that its slope stays finite."""
_LARGEST_LOSS = 50.0
_VOID_SHARE = 1e-5
"""Share of the Voigt bound that is added to the stiffness of cells with a void: some carry no load [-]."""
_NOVEL = 0.99
"""Part of the labels whose novelty is below 1, where the network has not seen them."""
_CARRIES = 1e-4
"""Least eigenvalue of the stiffness, over E of the stiff phase, of cells that relative errors are of [-]."""
_LEARNED_RESIDUAL = 0.02
"""Relative residual after which a label's further steps are not learned from: there is nothing to correct."""
_SHARES = np.linspace(0.0, 1.0, 21)
"""Shares of the upper bound that are tried [-]."""
_FAR = 0.05
"""Part of the labels whose stiffness is further below the bound than answers are [-]."""
_FEWEST = 10
"""Labels of a decade below which it takes what is fitted to all."""


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
    ratio = residual_over_bound(labels.uppers, labels.energies)
    void = np.array([pair.has_void for pair in labels.pairs])
    small = (labels.residuals <= residual) & (ratio <= residual * np.where(void, VOID_ENERGY, 1.0)[:, None])
    small[:, 0], small[:, -1] = False, True
    return small.argmax(axis=1)


def carries_load(labels: PairLabels) -> NDArray[np.bool_]:
    """Whether a cell carries load in every direction, so that errors relative to it have a meaning, (N,)."""
    return np.linalg.eigvalsh(voigt_to_mandel(labels.stiffness))[:, 0] > _CARRIES


def fit_pair_model(
    labels: PairLabels,
    *,
    steps: int = 4000,
    hidden: int = 256,
    parts: int = PARTS,
    seed: int = 0,
    card: dict[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PairModel:
    """Train one network for each part of the labels that is left out, and calibrate their answers to it.

    Args:
        labels: Labels in an order that is random.
        steps: Optimisation steps of each network.
        hidden: Width of the networks.
        parts: Number of parts.
        seed: Seed of initialisation, batches and symmetries.
        card: Plain facts, JSON-serialisable.
        on_progress: Called with the steps of all networks that are done and their number.

    Raises:
        InputError: There are fewer than two parts, or fewer than two labels for each.
    """
    if parts < 2 or len(labels) < 2 * parts:
        raise InputError(f"expected two labels for each of two or more parts, got {len(labels)} and {parts}")
    part = np.arange(len(labels)) % parts
    networks = []
    for left_out in range(parts):

        def report(step: int, count: int, before: int = left_out * steps) -> None:
            if on_progress:
                on_progress(before + step, parts * count)

        networks.append(_train(labels.rows(part != left_out), steps, hidden, seed + left_out, report))
    learnt_inputs = [
        novelty_inputs(_features(labels.rows(rows), np.full(int(rows.sum()), place)))
        for place in range(1, len(STEPS))
        if (rows := _to_be_learned(labels, place)).any()
    ]
    inputs = np.concatenate(learnt_inputs)
    centre = inputs.mean(0)
    values, axes = np.linalg.eigh(np.cov((inputs - centre).T))
    whitening = axes / np.sqrt(np.maximum(values, 1e-6 * values.max()))
    stopping_inputs = novelty_inputs(_features(labels, stopping_places(labels)))
    distance = np.sqrt(np.square((stopping_inputs - centre) @ whitening).mean(1))
    model = PairModel(
        networks=tuple(networks),
        upper_share=np.zeros(len(DECADES)),
        largest_gap=np.full(len(DECADES), np.inf),
        spread_weights=np.zeros((2, 3, len(SPREAD_FEATURES))),
        novelty_mean=centre,
        novelty_whitening=whitening / np.quantile(distance, _NOVEL),
        card=card or {},
    )
    return calibrated(model, labels)


def calibrated(model: PairModel, labels: PairLabels, unseen: PairLabels | None = None) -> PairModel:
    """The model with shares and spreads that fit the answers to labels which a network has not seen.

    Args:
        model: Model of `fit_pair_model`.
        labels: The labels of its training, in the same order.
        unseen: Further labels, which no network has seen. Given, spreads are those of the answers to these by
            all networks; else those of the answers to the others by one network, whose errors are larger.
    """
    plain = replace(
        model,
        upper_share=np.zeros(len(DECADES)),
        largest_gap=_largest_gaps(labels if unseen is None else joined([labels, unseen])),
        spread_weights=np.zeros((2, 3, len(SPREAD_FEATURES))),
    )
    plain = replace(plain, upper_share=_upper_shares(_unseen_answers(plain, labels, RESIDUAL), labels))
    weights = []
    for residual in (RESIDUAL, FAST_RESIDUAL):
        told = labels if unseen is None else unseen
        answers = (_unseen_answers if unseen is None else answer_labels)(plain, told, residual)
        rows = carries_load(told)
        iterations = np.array(STEPS, dtype=np.float64)[stopping_places(told, residual)]
        pairs, sizes = told.pairs, told.size.astype(np.float64)
        inputs = spread_features(pairs, sizes, iterations, told.fraction, answers.mean)
        weights.append(spread_weights(answers.rows(rows), told.stiffness[rows], inputs[rows]))
    return replace(plain, spread_weights=np.array(weights))


def answer_labels(model: PairModel, labels: PairLabels, residual: float = RESIDUAL) -> PairAnswer:
    """Stiffness of labelled volumes after the iterations that the residual asks for."""
    places, rows = stopping_places(labels, residual), np.arange(len(labels))
    return answer(
        model,
        _features(labels, places),
        labels.uppers[rows, places],
        labels.energies[rows, places],
        labels.pairs,
        labels.size.astype(np.float64),
        fast=residual > RESIDUAL,
    )


def _unseen_answers(model: PairModel, labels: PairLabels, residual: float) -> PairAnswer:
    """Answers by the network that was trained without the label, in the order of the labels."""
    part = np.arange(len(labels)) % len(model.networks)
    mean, std = np.empty((len(labels), 6, 6)), np.empty((len(labels), 6, 6))
    novelty = np.empty(len(labels))
    for left_out, network in enumerate(model.networks):
        rows = np.flatnonzero(part == left_out)
        answers = answer_labels(replace(model, networks=(network,)), labels.rows(rows), residual)
        mean[rows], std[rows], novelty[rows] = answers.mean, answers.std, answers.novelty
    return PairAnswer(mean=mean, std=std, novelty=novelty)


def _features(labels: PairLabels, places: NDArray[np.int64]) -> PairFeatures:
    """Inputs of each label at a place in `STEPS` of its own, in the order of the labels."""
    collected, order = [], []
    pairs = labels.pairs
    for place in np.unique(places):
        rows = np.flatnonzero(places == place)
        collected.append(
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
            name: np.concatenate([getattr(features, name) for features in collected])[back]
            for name in ("matrices", "scalars", "lower", "gap")
        }
    )


def _to_be_learned(labels: PairLabels, place: int) -> NDArray[np.bool_]:
    """Labels with something to correct before a place in `STEPS`, and with bounds there, shape (N,)."""
    return (labels.reached > place) & (labels.residuals[:, place - 1] > _LEARNED_RESIDUAL)


def _examples(labels: PairLabels) -> _Examples:
    """All labels at the steps with something to correct."""
    void = np.array([pair.has_void for pair in labels.pairs])[:, None, None]
    voigt = voigt_to_mandel(labels.uppers[:, 0])
    shift = _VOID_SHARE * void * voigt
    columns: list[tuple[NDArray[np.float64], ...]] = []
    truth = voigt_to_mandel(labels.stiffness) + shift + 1e-10 * voigt
    inverse = np.linalg.inv(np.linalg.cholesky(truth))
    for place in range(1, len(STEPS)):
        rows = np.flatnonzero(_to_be_learned(labels, place))
        if len(rows) == 0:
            continue
        features = _features(labels.rows(rows), np.full(len(rows), place))
        root = inverse[rows]
        lower = root @ (features.lower + shift[rows]) @ root.swapaxes(1, 2)
        columns.append((features.matrices, features.scalars, root @ features.gap, lower))
    return _Examples(
        *(torch.from_numpy(np.concatenate(column)).float() for column in zip(*columns, strict=True))
    )


def _train(
    labels: PairLabels,
    steps: int,
    hidden: int,
    seed: int,
    on_progress: Callable[[int, int], None],
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
        turns = torch.randint(len(SYMMETRIES), (_BATCH,), generator=generator)
        share = between_bounds(network.turned(examples.matrices[rows], examples.scalars[rows], turns)).float()
        gap = examples.gap[rows]
        loss = _distance(examples.lower[rows] + gap @ share @ gap.transpose(1, 2)).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            on_progress(step + 1, steps)
    return network.eval().requires_grad_(False)


def _distance(ratio: Tensor) -> Tensor:
    """Distance of matrices from the identity that is the same for their inverses, shape (B,) [-]."""
    excess = ratio.diagonal(dim1=1, dim2=2).sum(1) + torch.linalg.inv(ratio).diagonal(dim1=1, dim2=2).sum(1)
    return ((excess - 12.0).clamp_min(0.0) + _LOSS_FLOOR).sqrt().clamp_max(_LARGEST_LOSS)


def _upper_shares(answers: PairAnswer, labels: PairLabels) -> NDArray[np.float64]:
    """Share of the upper bound with the least mean error, by decade, shape (5,) [-]."""
    places = stopping_places(labels)
    truth, mean = voigt_to_mandel(labels.stiffness), voigt_to_mandel(answers.mean)
    upper = voigt_to_mandel(labels.uppers[np.arange(len(labels)), places])
    carrying, decades = carries_load(labels), decade_of(labels.pairs)
    shares = np.zeros(len(DECADES))
    for decade in range(len(DECADES)):
        rows = _or_all(carrying & (decades == decade), carrying)
        size = np.linalg.norm(truth[rows], axis=(1, 2))
        errors = [
            np.mean(
                np.linalg.norm((1.0 - share) * mean[rows] + share * upper[rows] - truth[rows], axis=(1, 2))
                / size
            )
            for share in _SHARES
        ]
        shares[decade] = _SHARES[int(np.argmin(errors))]
    return shares


def _largest_gaps(labels: PairLabels) -> NDArray[np.float64]:
    """Gap of `near_the_bound` that all labels but a part `_FAR` have where they stop, by decade, (5,) [-]."""
    rows, places = np.arange(len(labels)), stopping_places(labels)
    matrices = labels.stiffness, labels.uppers[rows, places], labels.energies[rows, places]
    gaps, decades = gaps_of(*map(voigt_to_mandel, matrices)), decade_of(labels.pairs)
    every = np.ones(len(labels), dtype=np.bool_)
    return np.array(
        [np.quantile(gaps[_or_all(decades == decade, every)], 1.0 - _FAR) for decade in range(len(DECADES))]
    )


def _or_all(rows: NDArray[np.bool_], every: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return rows if rows.sum() >= _FEWEST else every
