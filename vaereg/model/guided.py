"""Physics-guided regressor: a few iterations of the solver, corrected by learning.

Three iterations of conjugate gradients cost a small part of a solve. Their energies are upper bounds that
fall towards the stiffness. A network learns how far they still have to fall: a ratio between 0 and 1 in the
bounded parameterisation t = (C - Reuss) / (Voigt - Reuss). The network reads the bounds, the volume
fraction and the prediction of the encoder's regressor.

Letters: N volumes, T properties, I iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaereg.elasticity import AXIS_ORDERS, PROPERTIES, properties_from_ratio, voigt_reuss_ratio
from vaereg.materials import TwoPhase
from vaereg.model.networks import GuidedRegressor
from vaereg.solver.homogenization import iterated_bounds
from vaereg.workers import pool_threads

__all__ = ["ITERATIONS", "fit_guided", "guide", "guided_inputs", "upper_bounds"]

ITERATIONS = 3
"""Conjugate-gradient iterations, in float32."""

_PRESENTED, _FEWEST_EPOCHS, _MOST_EPOCHS = 500_000, 60, 240
"""Volumes that the network is shown while it is trained, and the epochs that this may take: 60 epochs of the
8,600 volumes of version 0.1, and as many steps for fewer volumes."""
_LEARNING_RATE, _LATER_LEARNING_RATE = 2e-3, 1e-3
"""Peak learning rates (AdamW) of a new network, and of one that goes on."""

_SMALLEST = 1e-4
"""Floor of a place between the bounds, where its logarithm is taken."""


def upper_bounds(
    volumes: Sequence[NDArray[np.uint8]],
    materials: TwoPhase,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Upper bounds on C11 ... C66 after 1, 2, ... iterations of the solver, shape (N, I, T) [GPa].

    Args:
        volumes: Phases 0 and 1, each of shape (X, Y, Z); a thread per processor works on them.
        materials: The two phases.
        on_progress: Called with the volumes that are done and their number.
    """
    bounds = np.empty((len(volumes), ITERATIONS, len(PROPERTIES)))
    if on_progress:
        on_progress(0, len(volumes))
    with ThreadPoolExecutor(pool_threads()) as threads:
        solve = partial(iterated_bounds, materials=materials, iterations=ITERATIONS)
        for row, falling in enumerate(threads.map(solve, volumes)):
            bounds[row] = falling
            if on_progress:
                on_progress(row + 1, len(volumes))
    return bounds


def guided_inputs(
    bounds: NDArray[np.float64],
    fraction: NDArray[np.float64],
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    materials: TwoPhase,
) -> Tensor:
    """Inputs of the network, one row per quantity and one column per property, shape (N, I + 3, T).

    Args:
        bounds: From `upper_bounds`, shape (N, I, T) [GPa].
        fraction: Volume fraction of the stiff phase, shape (N,) [-].
        mean: Properties by the encoder's regressor, shape (N, T) [GPa].
        spread: Standard deviation of their logarithm, shape (N, T) [-].
        materials: The two phases.
    """
    falling = voigt_reuss_ratio(bounds, fraction[:, None], materials).clip(_SMALLEST, 1.0)
    place = voigt_reuss_ratio(mean, fraction, materials).clip(_SMALLEST, 1.0)
    constant = np.broadcast_to(fraction[:, None], mean.shape)
    rows = np.concatenate([np.log(falling), np.stack([np.log(place), np.log(spread), constant], 1)], 1)
    return torch.from_numpy(rows.astype(np.float32))


def guide(
    network: GuidedRegressor,
    bounds: NDArray[np.float64],
    fraction: NDArray[np.float64],
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    materials: TwoPhase,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Properties (N, T) [GPa] and their logarithmic spread (N, T); arguments as in `guided_inputs`.

    The answer is averaged over the permutations of the axes, so that it turns with the volume.
    """
    inputs = guided_inputs(bounds, fraction, mean, spread, materials)
    last = voigt_reuss_ratio(bounds[:, -1], fraction, materials)
    logs, spreads = [], []
    with torch.inference_mode():
        for order in map(list, AXIS_ORDERS):
            ratio, own_spread = network(inputs[..., order])
            back = np.argsort(order)
            properties = properties_from_ratio(last[:, order] * ratio.numpy(), fraction, materials)
            logs.append(np.log(properties)[:, back])
            spreads.append(own_spread.numpy()[:, back])
    return np.exp(np.mean(logs, 0)), np.mean(spreads, 0).astype(np.float64)


def fit_guided(
    inputs: Tensor,
    last: NDArray[np.float64],
    fraction: NDArray[np.float64],
    properties: NDArray[np.float64],
    materials: TwoPhase,
    *,
    start: GuidedRegressor | None = None,
    epochs: int | None = None,
) -> GuidedRegressor:
    """Train the network on volumes with known properties, in all permutations of the axes.

    Args:
        inputs: From `guided_inputs`, shape (N, I + 3, T).
        last: Last bounds, shape (N, T) [GPa].
        fraction: Volume fractions, shape (N,) [-].
        properties: By the converged solver, shape (N, T) [GPa].
        materials: The two phases.
        start: Trained network to go on with; a new one if left out.
        epochs: Passes over the volumes; by their number if left out.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = GuidedRegressor(inputs.shape[2])
    if start is None:
        network.set_scaling(inputs)
    else:
        network.load_state_dict(start.state_dict())
    if epochs is None:
        epochs = int(np.clip(_PRESENTED // len(inputs), _FEWEST_EPOCHS, _MOST_EPOCHS))
    lower = torch.from_numpy(properties_from_ratio(np.zeros_like(last), fraction, materials)).float()
    height = torch.from_numpy(last).float() - lower
    truth = torch.from_numpy(np.log(properties)).float()
    orders = torch.tensor(AXIS_ORDERS)
    rate = _LEARNING_RATE if start is None else _LATER_LEARNING_RATE
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=generator).split(64):
            order = orders[torch.randint(len(orders), (len(rows),), generator=generator)]
            turned = inputs[rows].gather(2, order[:, None].expand(-1, inputs.shape[1], -1))
            ratio, spread = network(turned)
            predicted = lower[rows].gather(1, order) + height[rows].gather(1, order) * ratio
            error = predicted.log() - truth[rows].gather(1, order)
            likelihood = 0.5 * (error.detach() / spread).square() + spread.log()
            loss = 50.0 * error.abs().mean() + 0.1 * likelihood.mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)
