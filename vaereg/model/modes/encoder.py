"""Encoder of the modes: geometric statistics of a volume and its mode to q(z | x).

Letters: B batch, D latent size, K modes, S statistics, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from vaereg.microstructure.correlation import AXIS_LAGS, autocorrelation, axis_correlation, face_densities
from vaereg.microstructure.statistics import specific_surface

__all__ = [
    "PATHS",
    "STATISTICS",
    "ModeEncoder",
    "ModePosterior",
    "geometric_statistics",
    "lineal_paths",
    "log_faces",
    "permute_statistics",
]

PATHS = (1, 2, 3, 4, 6, 8, 12)
"""Steps of the lineal path [voxel]."""
_BANDS = 7
"""Wave numbers of the spectrum along each axis, in whole waves in 32 voxels."""
_BAND_EDGE = 32
"""Length that the wave numbers count waves in [voxel]."""
_FEWEST_FACES = 2e-3
"""Least face density whose logarithm is taken [faces/voxel]."""
_GROUPS = (3 * len(AXIS_LAGS), 3 * len(PATHS), 3 * len(PATHS), 3, 1, 1, 3 * _BANDS)
"""Numbers of statistics of a kind, in the order of `geometric_statistics`."""
STATISTICS = sum(_GROUPS)
"""Number S of statistics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModePosterior:
    """q(z | x, k): a normal distribution with independent directions."""

    mean: Tensor
    """Means, shape (B, D)."""
    std: Tensor
    """Standard deviations, shape (B, D)."""

    def sample(self, *, generator: torch.Generator) -> Tensor:
        """Reparameterised latent vectors, shape (B, D)."""
        noise = torch.randn(self.mean.shape, generator=generator, device=generator.device).to(self.mean)
        return self.mean + self.std * noise


class ModeEncoder(nn.Module):
    """Statistics and mode to the latent distribution; statistics alone to the mode.

    Args:
        latent: Size D of z.
        modes: Number K of modes.
        hidden: Width of the networks.
    """

    location: Tensor
    spread: Tensor

    def __init__(self, latent: int, modes: int, hidden: int = 160) -> None:
        super().__init__()
        self.modes = modes
        self.posterior = nn.Sequential(
            nn.Linear(STATISTICS + modes, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * latent),
        )
        self.register_buffer("location", torch.zeros(STATISTICS))
        self.register_buffer("spread", torch.ones(STATISTICS))

    def set_scaling(self, statistics: Tensor) -> None:
        """Standardise over statistics of the training set, shape (N, S)."""
        self.location.copy_(statistics.mean(0))
        self.spread.copy_(statistics.std(0) + 1e-3)

    def forward(self, statistics: Tensor, mode: Tensor) -> ModePosterior:
        """q(z | x, k) of statistics, shape (B, S), and modes, shape (B,)."""
        standardised = (statistics - self.location) / self.spread
        condition = nn.functional.one_hot(mode, self.modes).to(standardised)
        mean, raw = self.posterior(torch.cat([standardised, condition], -1)).chunk(2, -1)
        return ModePosterior(mean=mean, std=nn.functional.softplus(raw - 1.0) + 1e-3)


@torch.no_grad()
def geometric_statistics(volumes: Tensor) -> Tensor:
    """Statistics that tell lengths along the axes, shape (B, S), of volumes, shape (B, 1, X, Y, Z).

    Autocorrelation along the axes, lineal path of both phases, a third of the logarithms of face density and
    of specific surface, volume fraction, and the power of the first waves along the axes. All are exact, and
    none needs training.
    """
    fraction = volumes.mean((1, 2, 3, 4))[:, None]
    parts = [
        axis_correlation(autocorrelation(volumes)),
        lineal_paths(volumes),
        log_faces(volumes) / 3.0,
        _log_surface(volumes) / 3.0,
        fraction,
        _bands(volumes),
    ]
    return torch.cat(parts, -1)


def permute_statistics(statistics: Tensor, axes: Sequence[int]) -> Tensor:
    """Statistics of volumes whose axes are permuted, as by `torch.permute`, shape (B, S); S may be that of
    the first kinds alone.
    """
    sizes = _GROUPS[: list(accumulate(_GROUPS)).index(statistics.shape[1]) + 1]
    parts = [
        part if part.shape[1] == 1 else part.unflatten(1, (3, -1))[:, list(axes)].flatten(1)
        for part in statistics.split(sizes, 1)
    ]
    return torch.cat(parts, 1)


def lineal_paths(volumes: Tensor) -> Tensor:
    """Probability that a segment along an axis lies in one phase, shape (B, 6 len(PATHS)) [-].

    Stiff phase first, then the soft one; x, y, z within; lengths `PATHS` within (Lu & Torquato 1992,
    doi:10.1103/PhysRevA.45.922). Differentiable in soft volumes.
    """
    result = []
    for phase in (volumes, 1.0 - volumes):
        for axis in (2, 3, 4):
            whole = phase
            for step in range(1, PATHS[-1] + 1):
                whole = whole * phase.roll(-step, axis)
                if step in PATHS:
                    result.append(whole.mean((1, 2, 3, 4)))
    return torch.stack(result, 1)


def log_faces(volumes: Tensor) -> Tensor:
    """Logarithm of the density of faces normal to x, y, z, shape (B, 3), see `face_densities`."""
    return face_densities(volumes).clamp_min(_FEWEST_FACES).log()


def _log_surface(volumes: Tensor) -> Tensor:
    """Logarithm of the specific surface [1/voxel], shape (B, 1), see `specific_surface`."""
    surface = [specific_surface(volume) for volume in volumes.squeeze(1).cpu().numpy()]
    return torch.tensor(surface).to(volumes).clamp_min(_FEWEST_FACES).log()[:, None]


def _bands(volumes: Tensor) -> Tensor:
    """Share of the power in waves of 0 to 6 periods in 32 voxels along each axis, shape (B, 3 · 7)."""
    phase = volumes.squeeze(1)
    spectrum = torch.fft.fftn(phase - phase.mean((1, 2, 3), keepdim=True), dim=(1, 2, 3))
    power = spectrum.real.square() + spectrum.imag.square()
    power = power / power.sum((1, 2, 3), keepdim=True).clamp_min(1e-12)
    bands = []
    for axis in (1, 2, 3):
        along = power.sum([dimension for dimension in (1, 2, 3) if dimension != axis])
        size = along.shape[1]
        index = (torch.fft.fftfreq(size, device=along.device).abs() * _BAND_EDGE).round().long()
        in_bands = index < _BANDS
        band = along.new_zeros(len(along), _BANDS)
        bands.append(band.index_add(1, index[in_bands], along[:, in_bands]))
    return torch.cat(bands, -1)
