"""The full stiffness for any pair of phases: a few iterations of the solver, corrected by learning.

The solver iterates until its residual is small, at most `MAX_STEP` iterations. Then the stiffness lies
between two matrices, guaranteed (`vaereg.solver.bounds`), and the regressor says where.

Letters: N volumes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vaereg.elasticity import mandel_to_voigt, voigt_to_mandel
from vaereg.errors import InputError
from vaereg.materials import TwoPhase
from vaereg.microstructure.volume import as_two_phase
from vaereg.model.checkpoint import CheckpointError, save_state, shipped_file
from vaereg.model.pairs.calibration import decade_of, spread_features
from vaereg.model.pairs.features import FRACTION, LOG_STEP, STEPS, PairFeatures, pair_features
from vaereg.model.pairs.network import (
    ROUNDING,
    PairRegressor,
    StepAnswer,
    near_the_bound,
    stiffness_between,
)
from vaereg.model.pairs.voids import carried_by, with_voids
from vaereg.solver.bounds import StiffnessBounds, StrainEnergies, bound_stiffness, residual_over_bound
from vaereg.workers import thread_map

__all__ = [
    "CONDUCTION_RESIDUAL",
    "DEFAULT_PAIR_MODEL",
    "FAST_RESIDUAL",
    "RESIDUAL",
    "VOID_ENERGY",
    "PairAnswer",
    "PairModel",
    "StiffnessPrediction",
    "answer",
    "load_pair_model",
    "novelty_inputs",
    "predict_stiffness",
    "save_pair_model",
]

RESIDUAL, FAST_RESIDUAL = 0.05, 0.1
"""Relative residual, and residual over the bound, at which the iteration stops [-]. At 0.05 the bound alone
is 0.6 % above the stiffness in the mean over contrasts of 1 to 1e4; without the second, 4 %."""
VOID_ENERGY = 0.6
"""Factor of the residual over the bound with a void: some directions carry far less load than others [-]."""
CONDUCTION_RESIDUAL = 1e-3
"""Relative residual at which the conductivity, which is always solved, counts as solved [-]."""
EARLIER_STEPS = STEPS[3:]
"""Iterations after which earlier predictions are returned: after fewer they tell little, and cost time."""
MAX_STEP = 40
"""Most iterations: the residuals ask for as many only where stiff inclusions touch nothing."""
HARD_CONTRAST = 1000.0
"""Ratio of Young's moduli from which percolation through necks decides: caution where novel."""
DEFAULT_PAIR_MODEL = shipped_file("pairs.pt")
"""The shipped regressor."""
FORMAT_VERSION = 4
_ARRAYS = ("upper_share", "largest_gap", "spread_weights", "novelty_mean", "novelty_whitening")

_KINDS = np.where(np.eye(6), [0, 0, 0, 1, 1, 1], 2).astype(np.int64)
"""Kind of each entry of the stiffness: 0 axial, 1 shear, 2 coupling."""
_RESIDUAL_SHARE, _LEAST_SHARE = 0.3, 1e-6
"""Shares of the stiffness that are added to the energies of the residual before spreads are taken from their
root: times the square of the residual over the bound, and so that none is zero [-]; the best of six."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairModel:
    """Trained regressor with its calibration. Shared between users: never changed in place."""

    networks: tuple[PairRegressor, ...]
    """Networks in evaluation mode, each trained on another part of the labels; their G are averaged."""
    upper_share: NDArray[np.float64]
    """Share of the upper bound in the answer, by decade, shape (5,) [-]."""
    largest_gap: NDArray[np.float64]
    """Largest eigenvalue of U - C relative to the energy of the residual that an answer has, by decade, shape
    (5,) [-]."""
    spread_weights: NDArray[np.float64]
    """Weights of `SPREAD_FEATURES` in the logarithm of the standard deviation over what the residual says, by
    stop (full, fast) and kind of entry, shape (2, 3, F)."""
    novelty_mean: NDArray[np.float64]
    """Mean of `novelty_inputs` over the training set, shape (F,)."""
    novelty_whitening: NDArray[np.float64]
    """Map of centred inputs to unit covariance, in units of the distance that is novel, shape (F, F)."""
    card: dict[str, Any]
    """Plain facts on data, training and figures."""
    hash: str = ""
    """First 16 hexadecimal digits of the SHA-256 of the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAnswer:
    """Stiffness of volumes in units of Young's modulus of the stiff phase."""

    mean: NDArray[np.float64]
    """Voigt order, shape (N, 6, 6)."""
    std: NDArray[np.float64]
    """Calibrated standard deviation of each entry, shape (N, 6, 6)."""
    novelty: NDArray[np.float64]
    """Distance from the training set, shape (N,) [-]; above 1 is novel."""

    def rows(self, chosen: NDArray[np.bool_]) -> PairAnswer:
        """Some of the volumes."""
        return PairAnswer(mean=self.mean[chosen], std=self.std[chosen], novelty=self.novelty[chosen])


@dataclass(frozen=True, kw_only=True, slots=True)
class StiffnessPrediction:
    """Predicted stiffness of N volumes, Voigt order with engineering shear."""

    mean: NDArray[np.float64]
    """Stiffness, shape (N, 6, 6) [GPa]."""
    std: NDArray[np.float64]
    """Calibrated standard deviation of each entry, shape (N, 6, 6) [GPa]."""
    lower: NDArray[np.float64]
    """Guaranteed lower bound in the Loewner order, shape (N, 6, 6) [GPa]; zero if a phase is a void."""
    upper: NDArray[np.float64]
    """Guaranteed upper bound in the Loewner order, shape (N, 6, 6) [GPa]."""
    iterations: NDArray[np.int64]
    """Iterations of the solver, shape (N,)."""
    residual: NDArray[np.float64]
    """Largest relative residual after them, shape (N,) [-]."""
    novelty: NDArray[np.float64]
    """Distance from the training set, shape (N,) [-]."""
    in_distribution: NDArray[np.bool_]
    """True where the novelty is at most 1, shape (N,)."""
    sensitivity: tuple[StrainEnergies, ...] = ()
    """What each voxel of every volume contributes to its stiffness, where asked for."""
    carried: tuple[NDArray[np.float64] | None, ...] = ()
    """Projection on the strains that each volume resists, see `voids.carried_by`."""
    answers: tuple[dict[int, StepAnswer], ...] = ()
    """Predictions of every volume by the number of iterations: the last one, and each of `EARLIER_STEPS` that
    was passed where these are asked for; none where nothing was left to predict."""


def novelty_inputs(features: PairFeatures) -> NDArray[np.float64]:
    """Numbers that know no axis, by which volumes are compared with the training set, shape (N, F)."""
    normals, shears = features.matrices[..., [0, 6, 11]], features.matrices[..., [15, 18, 20]]
    return np.concatenate([normals.mean(-1), shears.mean(-1), features.scalars], axis=1)


def answer(
    model: PairModel,
    features: PairFeatures,
    uppers: NDArray[np.float64],
    energies: NDArray[np.float64],
    pairs: Sequence[TwoPhase],
    sizes: NDArray[np.float64],
    *,
    fast: bool = False,
) -> PairAnswer:
    """Stiffness and its spread from the inputs of the regressor.

    Above `HARD_CONTRAST` a novel volume is drawn towards its upper bound, which holds for any volume. No
    answer is further below the bound than the energy of the residual tells: a cell that the iterations have
    solved, as they soon solve layers, has its bound for an answer.

    Args:
        model: Trained regressor.
        features: Its inputs.
        uppers: Upper bounds, Voigt order, shape (N, 6, 6) [E of the stiff phase].
        energies: Energies of the preconditioned residual, like `uppers`, shape (N, 6, 6).
        pairs: Phases of each volume.
        sizes: Voxels per edge of each volume (of other cells than cubes, the geometric mean), shape (N,).
        fast: Spreads of iterations that stopped at `FAST_RESIDUAL`.
    """
    decades = decade_of(pairs)
    upper, stiffness = voigt_to_mandel(uppers), stiffness_between(model.networks, features)
    whitened = (novelty_inputs(features) - model.novelty_mean) @ model.novelty_whitening
    novelty = np.sqrt(np.square(whitened).mean(1))
    hard = np.array([pair.contrast > HARD_CONTRAST for pair in pairs])
    share = np.where(hard, 1.0 - 1.0 / np.maximum(novelty, 1.0), 0.0)
    share = np.maximum(share, model.upper_share[decades])[:, None, None]
    stiffness = (1.0 - share) * stiffness + share * upper
    residual_energy = voigt_to_mandel(energies)
    stiffness = near_the_bound(stiffness, upper, residual_energy, model.largest_gap[decades])
    diagonal, residual_diagonal = (
        np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 0.0) for matrix in (stiffness, residual_energy)
    )
    ratio = residual_over_bound(uppers, energies)[:, None]
    scale = np.sqrt(residual_diagonal + (_RESIDUAL_SHARE * ratio**2 + _LEAST_SHARE) * diagonal + ROUNDING)
    iterations, fraction = np.exp(features.scalars[:, LOG_STEP]), features.scalars[:, FRACTION]
    inputs = spread_features(pairs, sizes, iterations, fraction, stiffness)
    factor = np.exp(inputs @ model.spread_weights[int(fast)].T)[:, _KINDS]
    std = factor * scale[:, :, None] * scale[:, None, :]
    return PairAnswer(mean=mandel_to_voigt(stiffness), std=mandel_to_voigt(std), novelty=novelty)


def predict_stiffness(
    model: PairModel,
    volumes: Sequence[ArrayLike],
    pairs: Sequence[TwoPhase],
    *,
    fast: bool = False,
    residual: float | None = None,
    sensitivities: bool = False,
    lower_bound: bool = True,
    iterations: Sequence[int] | None = None,
    earlier: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> StiffnessPrediction:
    """Full stiffness of two-phase volumes, each with a pair of phases.

    Args:
        model: Trained regressor.
        volumes: Phases 0 and 1, each of shape (X, Y, Z).
        pairs: Phases of each volume, or one pair for all.
        fast: Stop at a residual of `FAST_RESIDUAL`.
        residual: Stop at this one [-]; at `RESIDUAL` if left out.
        sensitivities: Return what each voxel contributes to the stiffness as well.
        lower_bound: Compute the guaranteed lower bound, too; zero otherwise.
        iterations: Iterations of each volume, each one of `STEPS` above 0, whatever the residuals are.
        earlier: Return the predictions after fewer iterations as well, those of `EARLIER_STEPS`, of which
            there is one at least.
        on_progress: Called with the volumes that are done and their number.

    Raises:
        InputError: A volume is not two-phase, or there are as many pairs neither as volumes nor one.
    """
    fields = [as_two_phase(volume) for volume in volumes]
    if not fields:
        raise InputError("expected at least one volume, got none")
    phases = list(pairs) * len(fields) if len(pairs) == 1 else list(pairs)
    if len(phases) != len(fields):
        raise InputError(f"expected one pair of phases or {len(fields)}, got {len(phases)}")
    exchanged = [pair.e_stiff < pair.e_soft for pair in phases]
    for place, pair in enumerate(phases):
        if exchanged[place]:  # the regressor takes the stiff phase as voxel value 1
            fields[place], phases[place] = (1 - fields[place]).astype(np.uint8), pair.ordered()
    solve = partial(
        _bounds,
        residual=FAST_RESIDUAL if fast else residual or RESIDUAL,
        steps=STEPS[STEPS.index(EARLIER_STEPS[0]) - 1 :] if earlier else STEPS,
        sensitivities=sensitivities,
        lower_bound=lower_bound,
    )
    counts = [0] * len(fields) if iterations is None else list(iterations)
    rows, found = sorted(range(len(fields)), key=lambda row: -counts[row]), {}
    columns = ([column[row] for row in rows] for column in (fields, phases, counts))
    for row, result in zip(rows, thread_map(solve, *columns), strict=True):  # the longest begin first
        found[row] = result
        if on_progress:
            on_progress(len(found), len(fields))
    bounds: list[StiffnessBounds] = [found[row] for row in range(len(fields))]
    upper, lower = (np.array([getattr(bound, name) for bound in bounds]) for name in ("upper", "lower"))
    mean, std, novelty = upper.copy(), np.zeros_like(upper), np.zeros(len(fields))
    fraction = np.array([float(field.mean()) for field in fields])
    last = np.array([bound.iterations for bound in bounds])
    answers: tuple[dict[int, StepAnswer], ...] = tuple({} for _ in fields)
    sizes = np.array([float(field.size) ** (1.0 / 3.0) for field in fields])
    # after other numbers of iterations the solver had nothing left to do: the bound is the stiffness
    rows_after: dict[int, NDArray[np.intp]] = {}
    for step in STEPS[1:]:
        has_answer = [step in bound.steps[1:] and (earlier or bound.iterations == step) for bound in bounds]
        if len(rows := np.flatnonzero((fraction > 0.0) & (fraction < 1.0) & has_answer)):
            rows_after[step] = rows
    after = partial(_answers_after, model, bounds, phases, fraction, sizes, fast or iterations is not None)
    step_answers = thread_map(after, rows_after, rows_after.values())
    for (step, rows), step_answer in zip(rows_after.items(), step_answers, strict=True):
        for place, row in enumerate(rows):
            unit, own, at = phases[row].e_stiff, bounds[row], bounds[row].steps.index(step)
            matrices = {"upper": own.uppers[at], "residual_energy": own.residual_energies[at]}
            answers[row][step] = StepAnswer(mean=step_answer.mean[place] * unit, **matrices)
            if last[row] == step:
                mean[row], std[row] = answers[row][step].mean, step_answer.std[place] * unit
                novelty[row] = step_answer.novelty[place]
    carried = carried_by(fields, phases)
    mean, upper, std = with_voids(mean, upper, std, phases, carried)
    return StiffnessPrediction(
        mean=mean,
        std=std,
        lower=lower,
        upper=upper,
        iterations=last,
        residual=np.array([bound.residual for bound in bounds]),
        novelty=novelty,
        in_distribution=novelty <= 1.0,
        sensitivity=tuple(
            bound.sensitivity.negated() if is_exchanged else bound.sensitivity
            for is_exchanged, bound in zip(exchanged, bounds, strict=True)
            if bound.sensitivity is not None
        ),
        carried=carried,
        answers=answers,
    )


def _answers_after(
    model: PairModel,
    all_bounds: list[StiffnessBounds],
    all_pairs: list[TwoPhase],
    fraction: NDArray[np.float64],
    sizes: NDArray[np.float64],
    fast: bool,
    step: int,
    rows: NDArray[np.intp],
) -> PairAnswer:
    """Answers of some volumes after a number of iterations that all of these have passed."""
    bounds, pairs = [all_bounds[row] for row in rows], [all_pairs[row] for row in rows]
    places = [bound.steps.index(step) for bound in bounds]
    uppers, energies = (
        np.array([stack[place - 1 : place + 1] for stack, place in zip(stacks, places, strict=True)])
        for stacks in ([bound.uppers for bound in bounds], [bound.residual_energies for bound in bounds])
    )
    residual = np.array([bound.residuals[step] for bound in bounds])
    features = pair_features(fraction[rows], pairs, uppers, energies, step, residual)
    unit = np.array([pair.e_stiff for pair in pairs])[:, None, None]
    return answer(model, features, uppers[:, 1] / unit, energies[:, 1] / unit, pairs, sizes[rows], fast=fast)


def _bounds(
    field: NDArray[np.uint8],
    pair: TwoPhase,
    iterations: int,
    residual: float,
    steps: tuple[int, ...],
    sensitivities: bool,
    lower_bound: bool,
) -> StiffnessBounds:
    """Bounds after the given iterations; if these are 0, after those of `steps` that the residuals say."""
    place = STEPS.index(iterations)
    return bound_stiffness(
        field,
        pair,
        residual=0.0 if place else residual,
        energy=residual * (VOID_ENERGY if pair.has_void else 1.0),
        max_iter=iterations or MAX_STEP,
        steps=STEPS[place - 1 : place + 1] if place else steps,
        only_after_steps=True,
        sensitivities=sensitivities,
        lower_bound=lower_bound,
    )


def save_pair_model(path: Path, model: PairModel) -> None:
    """Write a trained regressor."""
    state = {
        "format_version": FORMAT_VERSION,
        "config": json.dumps({"hidden": model.networks[0].layers[0].out_features, "steps": STEPS}),
        "card": json.dumps(model.card),
        "weights": [network.state_dict() for network in model.networks],
        **{name: torch.from_numpy(getattr(model, name)) for name in _ARRAYS},
    }
    save_state(path, state)


def load_pair_model(path: Path | None = None) -> PairModel:
    """Read a trained regressor (`weights_only`: no code in the file is ever run).

    Args:
        path: File; the shipped regressor if left out, which is read once and shared: nobody changes it.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: The file is no such regressor, or one of another format version.
    """
    return _read_pair_model(path) if path else _shared_pair_model(DEFAULT_PAIR_MODEL)


def _read_pair_model(path: Path) -> PairModel:
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        config = json.loads(state["config"])
        if state["format_version"] != FORMAT_VERSION or tuple(config["steps"]) != STEPS:
            raise CheckpointError(f"{path} is of another version of the regressor")
        networks = []
        for weights in state["weights"]:
            network = PairRegressor(config["hidden"])
            network.load_state_dict(weights)
            networks.append(network.eval().requires_grad_(False))
        return PairModel(
            networks=tuple(networks),
            **{name: state[name].numpy() for name in _ARRAYS},
            card=json.loads(state["card"]),
            hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        )
    except CheckpointError:
        raise
    except Exception as error:  # torch raises many kinds for a file that is not its own
        raise CheckpointError(f"{path} is no regressor for any pair of phases") from error


_shared_pair_model = cache(_read_pair_model)
