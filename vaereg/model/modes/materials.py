"""Properties of known volumes with any pair of phases, from those with the reference pair.

The place of the stiffness between its bounds, T = S^-1/2 (C - R) S^-1/2 with S = V - R (Voigt and Reuss), has
nearly the same order for all pairs (rank correlation 0.96 to 0.99). A small network moves its logit,
G' = a G + b I + d J, where J projects on the hydrostatic part: isotropic, so it turns with the volume. A
surrogate that costs no solve; it finds volumes near a target, and solver-based tiers judge what it finds.

Letters: N volumes, n the size 6 (stiffness, Mandel) or 3 (conductivity) of the matrices.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaereg.elasticity import bulk_and_shear, mandel_to_voigt, voigt_to_mandel
from vaereg.materials import Phase, TwoPhase

__all__ = ["REFERENCE_PAIR", "PairMap", "conductivity_at", "fit_pair_map", "stiffness_at"]

REFERENCE_PAIR = TwoPhase(Phase("", 120.0, 0.3, conductivity=1.0), Phase("", 2.4, 0.3, conductivity=0.02))
"""Pair of phases that the modes are trained with."""

_LEAST = 1e-4
"""Distance of the eigenvalues of T from 0 and 1, so that their logits are finite [-]."""
_FLOOR = 1e-5
"""Ratio of moduli or conductivities that is added under logarithms: that of a void [-]."""
_INPUTS = 8
"""Numbers that the network reads."""


class PairMap(nn.Module):
    """Network that moves the place between the bounds from the reference pair to another.

    Args:
        hidden: Width of the network.
    """

    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        last = nn.Linear(hidden, 3)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Linear(_INPUTS, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last
        )

    def forward(self, logits: Tensor, numbers: Tensor, fraction: Tensor) -> Tensor:
        """Logits of the place with another pair, shape (N, n, n).

        Args:
            logits: Logits with the reference pair, shape (N, n, n).
            numbers: Numbers of the other pair, shape (N, 5).
            fraction: Volume fraction of the stiff phase, shape (N,) [-].
        """
        size = logits.shape[-1]
        trace = logits.diagonal(dim1=-2, dim2=-1)
        hydrostatic = _hydrostatic(size).to(logits)
        along = (logits * hydrostatic).sum((-2, -1)) if size == 6 else trace.mean(-1)
        inputs = [numbers, torch.logit(fraction, 1e-3)[:, None], along[:, None], trace.mean(-1)[:, None]]
        factor, level, bulk = self.layers(torch.cat(inputs, -1) / _SCALES.to(logits)).unbind(-1)
        unit = torch.eye(size).to(logits)
        result = (1.0 + factor)[:, None, None] * logits + level[:, None, None] * unit
        return result + bulk[:, None, None] * hydrostatic


_SCALES = torch.tensor([2.0, 2.0, 2.0, 0.3, 0.3, 1.0, 2.0, 2.0])
"""Scale of each input of the network."""


def stiffness_at(
    network: PairMap, stiffness: NDArray[np.float64], fraction: NDArray[np.float64], pair: TwoPhase
) -> NDArray[np.float64]:
    """Stiffness with a pair of phases, shape (N, 6, 6) [GPa], Voigt order with engineering shear.

    Args:
        network: Fitted map.
        stiffness: Stiffness with `REFERENCE_PAIR`, shape (N, 6, 6) [GPa].
        fraction: Volume fraction of the stiff phase, shape (N,) [-].
        pair: The other pair.
    """
    if np.allclose(elastic_numbers(pair), elastic_numbers(REFERENCE_PAIR)):
        return stiffness * (pair.e_stiff / REFERENCE_PAIR.e_stiff)
    share = torch.from_numpy(np.asarray(fraction, dtype=np.float64))
    with torch.inference_mode():
        reference = torch.from_numpy(voigt_to_mandel(stiffness))
        logits = _logits(reference, *_elastic_bounds(share, REFERENCE_PAIR))
        numbers = torch.from_numpy(elastic_numbers(pair)).expand(len(share), -1)
        lower, root = _elastic_bounds(share, pair)
        pair_logits = network(logits, numbers, share)
        return mandel_to_voigt(_between(pair_logits, lower, root).numpy())


def conductivity_at(
    network: PairMap, conductivity: NDArray[np.float64], fraction: NDArray[np.float64], pair: TwoPhase
) -> NDArray[np.float64] | None:
    """Conductivity with a pair of phases, shape (N, 3, 3) [W/(m K)]; None where the phases have none.

    Args:
        network: Fitted map.
        conductivity: Conductivity with `REFERENCE_PAIR`, shape (N, 3, 3) [W/(m K)].
        fraction: Volume fraction of the stiff phase, shape (N,) [-].
        pair: The other pair.
    """
    if pair.stiff.conductivity is None or pair.soft.conductivity is None:
        return None
    share = torch.from_numpy(np.asarray(fraction, dtype=np.float64))
    with torch.inference_mode():
        reference = torch.from_numpy(np.asarray(conductivity, dtype=np.float64))
        logits = _logits(reference, *_thermal_bounds(share, REFERENCE_PAIR))
        numbers = torch.from_numpy(thermal_numbers(pair)).expand(len(share), -1)
        lower, root = _thermal_bounds(share, pair)
        return _between(network(logits, numbers, share), lower, root).numpy()


def elastic_numbers(pair: TwoPhase) -> NDArray[np.float64]:
    """Numbers of a pair that the map of the stiffness reads, shape (5,)."""
    (bulk, shear), (soft_bulk, soft_shear) = bulk_and_shear(pair)
    ratios = (pair.e_soft / pair.e_stiff, soft_bulk / bulk, soft_shear / shear)
    logs = [-math.log10(ratio + _FLOOR) for ratio in ratios]
    return np.array([*logs, pair.nu_stiff, pair.nu_soft])


def thermal_numbers(pair: TwoPhase) -> NDArray[np.float64]:
    """Numbers of a pair that the map of the conductivity reads, shape (5,)."""
    ratio = math.log10((pair.stiff.conductivity or 0.0) + _FLOOR) - math.log10(
        (pair.soft.conductivity or 0.0) + _FLOOR
    )
    return np.array([ratio, max(ratio, 0.0), max(-ratio, 0.0), float(ratio > 0.0), 0.0])


def fit_pair_map(
    reference: NDArray[np.float64],
    fraction: NDArray[np.float64],
    pairs: list[TwoPhase],
    truth: NDArray[np.float64],
    *,
    steps: int = 1500,
    seed: int = 0,
) -> PairMap:
    """Fit the map to volumes that were solved with the reference pair and with another one.

    Args:
        reference: With the reference pair, shape (N, n, n), stiffness in Voigt order [GPa] or conductivity.
        fraction: Volume fraction of the stiff phase, shape (N,) [-].
        pairs: The other pair of each, N of them.
        truth: With the other pair, shape (N, n, n).
        steps: Steps of the optimiser.
        seed: Seed of initialisation and batches.
    """
    elastic = reference.shape[-1] == 6
    share = torch.from_numpy(np.asarray(fraction, dtype=np.float64))
    bounds, numbers = (_elastic_bounds, elastic_numbers) if elastic else (_thermal_bounds, thermal_numbers)
    convert = voigt_to_mandel if elastic else np.asarray
    logits = _logits(torch.from_numpy(convert(reference)), *bounds(share, REFERENCE_PAIR))
    ends = [bounds(share[row : row + 1], pair) for row, pair in enumerate(pairs)]
    lower, root = (torch.cat([pair[place] for pair in ends]) for place in range(2))
    pair_numbers = torch.from_numpy(np.stack([numbers(pair) for pair in pairs]))
    target = _logits(torch.from_numpy(convert(truth)), lower, root)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PairMap().double()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(share), (min(256, len(share)),), generator=generator)
        prediction = network(logits[rows], pair_numbers[rows], share[rows])
        off = (prediction - target[rows]).square().sum((-2, -1))
        loss = (off / (1.0 + off.detach())).mean()  # heavy tails: walls that are nearly cut
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def _hydrostatic(size: int) -> Tensor:
    """Projection on the hydrostatic part, Mandel, shape (6, 6); zero for the size 3."""
    projection = torch.zeros(size, size)
    if size == 6:
        projection[:3, :3] = 1.0 / 3.0
    return projection


def _elastic_bounds(share: Tensor, pair: TwoPhase) -> tuple[Tensor, Tensor]:
    """Reuss bound and root of Voigt minus Reuss, Mandel, shape (N, 6, 6) each [GPa]."""
    stiff, soft = bulk_and_shear(pair)
    bulk, shear = (_means(share, *moduli) for moduli in zip(stiff, soft, strict=True))
    projection = _hydrostatic(6).to(share)
    deviatoric = torch.eye(6).to(share) - projection

    def isotropic(first: Tensor, second: Tensor) -> Tensor:
        return first[:, None, None] * projection + second[:, None, None] * deviatoric

    lower = isotropic(3.0 * bulk[0], 2.0 * shear[0])
    return lower, isotropic((3.0 * bulk[1]).sqrt(), (2.0 * shear[1]).sqrt())


def _thermal_bounds(share: Tensor, pair: TwoPhase) -> tuple[Tensor, Tensor]:
    """Harmonic mean and root of arithmetic minus harmonic mean, shape (N, 3, 3) each [W/(m K)]."""
    lower, height = _means(share, pair.stiff.conductivity or 0.0, pair.soft.conductivity or 0.0)
    unit = torch.eye(3).to(share)
    return lower[:, None, None] * unit, height.sqrt()[:, None, None] * unit


def _means(share: Tensor, stiff: float, soft: float) -> tuple[Tensor, Tensor]:
    """Harmonic mean of two values, and how much larger the arithmetic one is, shape (N,) each."""
    upper = share * stiff + (1.0 - share) * soft
    lower = (
        torch.zeros_like(share) if min(stiff, soft) == 0.0 else 1.0 / (share / stiff + (1.0 - share) / soft)
    )
    return lower, (upper - lower).clamp_min(1e-12 * max(stiff, soft))


def _logits(matrices: Tensor, lower: Tensor, root: Tensor) -> Tensor:
    """Logits of the place between the bounds, shape (N, n, n)."""
    inverse = torch.linalg.inv(root)
    values, vectors = torch.linalg.eigh(inverse @ (matrices.double() - lower) @ inverse)
    return vectors * torch.logit(values.clamp(_LEAST, 1.0 - _LEAST))[:, None] @ vectors.mT


def _between(logits: Tensor, lower: Tensor, root: Tensor) -> Tensor:
    """Matrices between the bounds, shape (N, n, n)."""
    values, vectors = torch.linalg.eigh(logits)
    return lower + root @ (vectors * torch.sigmoid(values)[:, None] @ vectors.mT) @ root
