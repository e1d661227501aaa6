"""Expected statistics of what the constructive decoder builds, as a function of its geometry.

A decoding is one realisation of few cells: its statistics are noisy, and so are their gradients. The
surrogate is fitted to thousands of decodings of random geometries before the training of the modes begins;
it gives every volume of a batch the expectation that its geometry leads to, without building anything.

Letters: B batch, G numbers of the geometry, K modes, S statistics.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from vaereg.microstructure.correlation import AXIS_LAGS
from vaereg.model.modes.catalogue import MODES
from vaereg.model.modes.constructive.decoder import BUILT, ConstructiveDecoder
from vaereg.model.modes.constructive.geometry import LENGTHS, START, Geometry
from vaereg.model.modes.encoder import PATHS, geometric_statistics, permute_statistics
from vaereg.model.networks import cut
from vaereg.training.modes.data import ORDERS, ModeData, permuted_lengths

__all__ = ["EXPECTED", "StatisticsSurrogate", "fit_surrogate"]

EXPECTED = (3 * len(AXIS_LAGS), 6 * len(PATHS), 3, 1)
"""Numbers of the statistics that are expected, the first of `geometric_statistics`: correlation along the
axes, lineal path of both phases, a third of the logarithmic face density, and one of the specific surface."""
_READ = {
    "cells": ("spacing_x", "spacing_y", "spacing_z", "spread", "warp"),
    "layers": ("spacing_x", "spacing_y", "spacing_z", "spread", "warp"),
    "bodies": tuple(name for name in LENGTHS if name != "spread"),
}
"""Numbers of the geometry that each construction reads."""
_WEIGHTS = slice(LENGTHS.index("weight_x"), LENGTHS.index("weight_z") + 1)
_JITTER = 0.15
"""Standard deviation of the logarithms of the geometries about those of the recipes [-]."""
_UNTOLD = 0.6
"""The same for numbers that a recipe does not tell, about those of an untrained decoder [-]."""
_FRACTION_JITTER = 0.02
"""Standard deviation of the volume fractions about those of the volumes [-]."""
_BATCH = 256
_LEARNING_RATE, _WEIGHT_DECAY = 3e-3, 1e-2
_LOG_NOISE = (-6.0, 2.0)
"""Ends of the logarithm of the noise of standardised statistics [-]."""


class StatisticsSurrogate(nn.Module):
    """Geometry, volume fraction and mode to the expected statistics of a decoding.

    A cell holds a whole number of layers, and its statistics jump from one to the next: the spacing that is
    read is that of the number that gets built. Recipes tell this number, and no gradients pass.

    Its noise, the standard deviation of a realisation, is learnt beside the expectation, which follows those
    geometries the most closely whose statistics vary the least.

    Args:
        edge: Voxels per edge of what is decoded.
        hidden: Width of the network.
    """

    reads_length: Tensor
    layered: Tensor
    location: Tensor
    spread: Tensor

    def __init__(self, edge: int, hidden: int = 256) -> None:
        super().__init__()
        self.edge = edge
        statistics = sum(EXPECTED)
        self.layers = nn.Sequential(
            nn.Linear(len(LENGTHS) + 3 + 1 + len(MODES), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * statistics),
        )
        reads_length = [
            [float(name in _READ.get(mode.construction, ())) for name in LENGTHS] for mode in MODES
        ]
        self.register_buffer("reads_length", torch.tensor(reads_length), persistent=False)
        self.register_buffer(
            "layered", torch.tensor([mode.construction == "layers" for mode in MODES]), persistent=False
        )
        self.register_buffer("location", torch.zeros(len(MODES), statistics))
        self.register_buffer("spread", torch.ones(len(MODES), statistics))

    def forward(self, geometry: Geometry, fraction: Tensor, mode: Tensor) -> Tensor:
        """Expected statistics, shape (B, S), at volume fractions and of modes, shape (B,) both."""
        standardised, _ = self.standardised(geometry, fraction, mode)
        return self.location[mode] + self.spread[mode] * standardised

    def standardised(self, geometry: Geometry, fraction: Tensor, mode: Tensor) -> tuple[Tensor, Tensor]:
        """Expected statistics, standardised by mode, and logarithms of their noise, shape (B, S) each."""
        layers = self.edge / geometry.spacing.detach().clamp_max(self.edge)
        spacing = torch.where(self.layered[mode][:, None], self.edge / layers.round(), geometry.spacing)
        logs = torch.cat([spacing, geometry.numbers[:, 3:]], 1).log()
        weights = logs[:, _WEIGHTS] - logs[:, _WEIGHTS].mean(1, keepdim=True)  # their ratio alone counts
        logs = torch.cat([logs[:, : _WEIGHTS.start] - 2.0, weights, logs[:, _WEIGHTS.stop :]], 1)
        alone = torch.exp(-self.edge / spacing)  # chance of no other point along the edge
        one_hot = nn.functional.one_hot(mode, len(MODES)).to(logs)
        inputs = torch.cat([self.reads_length[mode] * logs, alone, fraction.logit(1e-3)[:, None], one_hot], 1)
        expected, noise = self.layers(inputs).chunk(2, 1)
        return expected, noise.clamp(*_LOG_NOISE)


def fit_surrogate(
    decoder: ConstructiveDecoder,
    data: ModeData,
    *,
    edge: int,
    builds: int,
    steps: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> StatisticsSurrogate:
    """Build random geometries about those of the recipes, and fit their statistics.

    Args:
        decoder: The decoder of the modes; its weights are not used.
        data: Volumes of the training set.
        edge: Voxels per edge of what is built.
        builds: Number of volumes that are built.
        steps: Steps of the fit.
        seed: Seed of geometries, realisations and fit.
        on_progress: Called with the volumes that are built, and with their number.
    """
    device = decoder.geometry.lowest.device
    generator = torch.Generator().manual_seed(seed)
    geometry, fraction, mode = _geometries(decoder, data, builds, generator)
    seeds = torch.randint(2**62, (builds,), generator=generator).tolist()
    statistics = _build(decoder, geometry, fraction, mode, edge, seeds, on_progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        surrogate = StatisticsSurrogate(edge)
    _fit(surrogate, geometry, fraction, mode, statistics, steps, generator)
    return surrogate.to(device).requires_grad_(False)


def _geometries(
    decoder: ConstructiveDecoder, data: ModeData, count: int, generator: torch.Generator
) -> tuple[Geometry, Tensor, Tensor]:
    """Geometries about those of the recipes, with volume fractions and modes; all modes equally frequent."""
    by_mode = {index: torch.nonzero(data.mode == index).flatten() for index in BUILT}
    candidates = [by_mode[BUILT[place % len(BUILT)]] for place in range(count)]
    rows = torch.stack([rows[torch.randint(len(rows), (), generator=generator)] for rows in candidates])
    order = torch.randint(len(ORDERS), (count,), generator=generator)
    _, logs, supervision, _ = data.permuted(rows, order)
    untold = torch.tensor(START).log() + _UNTOLD * torch.randn(logs.shape, generator=generator)
    logs = torch.where(
        supervision.bool(), logs + _JITTER * torch.randn(logs.shape, generator=generator), untold
    )
    jitter = _FRACTION_JITTER * torch.randn(count, generator=generator)
    fraction = (data.fraction[rows] + jitter).clamp(0.02, 0.98)
    return decoder.geometry.within(logs), fraction, data.mode[rows]


@torch.no_grad()
def _build(
    decoder: ConstructiveDecoder,
    geometry: Geometry,
    fraction: Tensor,
    mode: Tensor,
    edge: int,
    seeds: list[int],
    on_progress: Callable[[int, int], None] | None,
) -> Tensor:
    """Statistics of a realisation of each geometry, shape (B, S)."""
    device, statistics = decoder.geometry.lowest.device, []
    for start in range(0, len(mode), len(BUILT)):
        rows = slice(start, start + len(BUILT))
        fields = decoder.build(
            Geometry(numbers=geometry.numbers[rows].to(device)),
            mode[rows],
            fraction[rows],
            (edge, edge, edge),
            generators=[np.random.default_rng(seed) for seed in seeds[rows]],
        )
        volumes = cut(fields, fraction[rows].to(device))
        statistics.append(geometric_statistics(volumes)[:, : sum(EXPECTED)].cpu())
        if on_progress:
            on_progress(min(start + len(BUILT), len(mode)), len(mode))
    return torch.cat(statistics)


def _fit(
    surrogate: StatisticsSurrogate,
    geometry: Geometry,
    fraction: Tensor,
    mode: Tensor,
    statistics: Tensor,
    steps: int,
    generator: torch.Generator,
) -> None:
    """Fit a surrogate to decodings whose axes are permuted at random.

    The loss is the negative logarithm of a normal density, weighted by its standard deviation, so that noisy
    statistics are not given up (Seitzer et al. 2022, arXiv:2203.09168, with beta = 1/2).
    """
    for index in BUILT:
        turned = torch.cat([permute_statistics(statistics[mode == index], axes) for axes in ORDERS])
        surrogate.location[index] = turned.mean(0)
        surrogate.spread[index] = turned.std(0) + 1e-3
    optimiser = torch.optim.AdamW(surrogate.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        rows = torch.randint(len(mode), (min(_BATCH, len(mode)),), generator=generator)
        axes, modes = ORDERS[step % len(ORDERS)], mode[rows]
        target = permute_statistics(statistics[rows], axes)
        target = (target - surrogate.location[modes]) / surrogate.spread[modes]
        turned = Geometry(numbers=geometry.numbers[rows][:, permuted_lengths(axes)])
        expected, noise = surrogate.standardised(turned, fraction[rows], modes)
        density = 0.5 * ((expected - target) / noise.exp()).square() + noise
        loss = (noise.detach().exp() * density).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
