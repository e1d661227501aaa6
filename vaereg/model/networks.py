"""Periodic 3D networks: tensors in and out, no probability.

Letters: B batch, D latent size, T properties, S statistics, C channels, X Y Z voxels. Volumes have shape (B,
1, X, Y, Z), stiff phase 1 and soft phase 0; every cube size is accepted because convolutions are circular
and pooling is global.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from vaereg.microstructure.correlation import AXIS_LAGS, autocorrelation, axis_correlation

__all__ = [
    "Decoder",
    "Encoder",
    "Head",
    "LatentRegressor",
    "SpectralFilter",
    "cut",
    "mixed_precision",
]


_GUIDED_ROWS = 6
"""Quantities per property that the guided regressor reads: three bounds, mean, spread, volume fraction."""

_BUMPS = 6
"""Radial functions of the spectral basis."""


def mixed_precision(inputs: Tensor, *, on_cpu: bool = False) -> torch.autocast:
    """Convolutions in bfloat16 where a network is trained; float32 elsewhere.

    Args:
        inputs: Input of the network.
        on_cpu: Use bfloat16 on a processor, too; a graphics card uses it wherever it has it.
    """
    enabled = torch.cuda.is_bf16_supported() if inputs.is_cuda else on_cpu
    return torch.autocast(inputs.device.type, torch.bfloat16, enabled=enabled and torch.is_grad_enabled())


class _Residual(nn.Module):
    """Two circular convolutions around a skip connection; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width, width, 3, padding=1, padding_mode="circular")
        self.second = nn.Conv3d(width, width, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.second(torch.relu(self.first(maps))))


class _Stage(nn.Module):
    """Halves the resolution, but for the first stage, and refines; channels from `before` to `width`."""

    def __init__(self, before: int | None, width: int) -> None:
        super().__init__()
        self.down = (
            nn.Conv3d(before, width, 4, stride=2, padding=1, padding_mode="circular") if before else None
        )
        self.block = _Residual(width)

    def forward(self, maps: Tensor) -> Tensor:
        return self.block(maps if self.down is None else torch.relu(self.down(maps)))


class Encoder(nn.Module):
    """Volume to statistics: a periodic CNN whose maps are pooled (mean and root mean square) at every scale.

    The volume fraction and the two-point correlation along the axes join the pooled maps: both are exact
    statistics that a network would otherwise have to approximate.

    Args:
        widths: Channels at 1/2, 1/4, 1/8 ... of the resolution.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.statistics = 2 * sum(widths) + 1 + 3 * len(AXIS_LAGS)
        self.bfloat16_on_cpu = False
        self.stem = nn.Conv3d(1, widths[0], 4, stride=2, padding=1, padding_mode="circular")
        self.stages = nn.ModuleList(
            _Stage(widths[i - 1] if i else None, width) for i, width in enumerate(widths)
        )

    def forward(self, volumes: Tensor) -> Tensor:
        """Statistics, shape (B, S), of volumes, shape (B, 1, X, Y, Z)."""
        fraction = volumes.mean((1, 2, 3, 4))[:, None]
        pooled = [2.0 * fraction - 1.0, axis_correlation(autocorrelation(volumes))]
        scales = []
        with mixed_precision(volumes, on_cpu=self.bfloat16_on_cpu):
            maps = torch.relu(self.stem(2.0 * volumes - 1.0))
            for stage in self.stages:
                maps = stage(maps)
                scales.append(maps)
        for maps in scales:
            maps = maps.float()
            pooled += [maps.mean((2, 3, 4)), maps.square().mean((2, 3, 4)).add(1e-6).sqrt()]
        return torch.cat(pooled, -1)


class Head(nn.Module):
    """Statistics to two numbers per output: a mean and a raw spread, shapes (B, outputs).

    Args:
        statistics: Size S of the input.
        outputs: Quantities that are estimated.
        hidden: Width of the two hidden layers; a third one is narrower.
    """

    def __init__(self, statistics: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(statistics, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 128),
            nn.SiLU(),
            nn.Linear(128, 2 * outputs),
        )

    def forward(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and raw spread, shapes (B, outputs), for statistics, shape (B, S)."""
        mean, spread = self.layers(statistics).chunk(2, -1)
        return mean, spread


class PropertyScaling(nn.Module):
    """Base of models that read properties c as standardised logarithms.

    Args:
        properties: Number T of properties.
    """

    property_location: Tensor
    property_scale: Tensor

    def __init__(self, properties: int) -> None:
        super().__init__()
        self.register_buffer("property_location", torch.zeros(properties))
        self.register_buffer("property_scale", torch.ones(properties))

    def set_scaling(self, properties: Tensor) -> None:
        """Standardise over the training set's properties, shape (N, T) [GPa]."""
        logs = properties.log()
        self.property_location.copy_(logs.mean(0))
        self.property_scale.copy_(logs.std(0))

    def standardise(self, properties: Tensor) -> Tensor:
        """Properties [GPa] to the standardised logarithms that the prior reads, shape (B, T)."""
        return (properties.log() - self.property_location) / self.property_scale

    def unstandardise(self, c: Tensor) -> Tensor:
        """Inverse of `standardise`."""
        return (c * self.property_scale + self.property_location).exp()


class LatentRegressor(nn.Module):
    """Latent vector to the mean properties of its realisations: standardised log c, shape (B, T).

    Ranks hundreds of latent vectors before any of them is decoded.
    """

    def __init__(self, latent: int, properties: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, properties),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Standardised log c, shape (B, T), for latent vectors, shape (B, D)."""
        return self.layers(z)


class GuidedRegressor(nn.Module):
    """Correction of the solver's first upper bounds; see `vaereg.model.guided`.

    Args:
        properties: Number T of properties.
        rows: Quantities per property.
    """

    location: Tensor
    scale: Tensor

    def __init__(self, properties: int, rows: int = _GUIDED_ROWS, hidden: int = 128) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(rows, 1))
        self.register_buffer("scale", torch.ones(rows, 1))
        self.layers = nn.Sequential(
            nn.Linear(rows * properties, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * properties),
        )

    def set_scaling(self, inputs: Tensor) -> None:
        """Standardise over inputs of shape (N, rows, T); all properties alike, since axes may be permuted."""
        self.location.copy_(inputs.mean((0, 2))[:, None])
        self.scale.copy_(inputs.std((0, 2))[:, None].clamp_min(1e-6))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Ratio of the converged to the last place between the bounds, and logarithmic spread, (B, T)."""
        ratio, spread = self.layers(((inputs - self.location) / self.scale).flatten(1)).chunk(2, -1)
        return torch.sigmoid(ratio + 2.0), nn.functional.softplus(spread - 3.0) + 1e-4


@lru_cache(maxsize=12)
@torch.inference_mode(False)  # kept for calls that need gradients
def _spectral_basis(size: int, device: torch.device, stretch: float = 1.0) -> Tensor:
    """Functions of the wave vector that log-amplitudes are made of, shape (J, modes of the half spectrum).

    The squares of the components give anisotropic Gaussian filters exactly; bumps in log |k|, alone and
    times the squared direction cosines, shape the spectrum freely. All are even in every component, so
    kernels are real. All lengths are multiplied by `stretch`.
    """
    full = stretch * torch.fft.fftfreq(size, device=device)  # [cycles per voxel]
    half = stretch * torch.fft.rfftfreq(size, device=device)
    k = torch.stack(torch.meshgrid(full, full, half, indexing="ij"))
    squared = (2.0 * math.pi * k).square()
    norm = squared.sum(0).clamp_min(1e-12)
    centres = torch.linspace(math.log(0.15), math.log(math.pi * math.sqrt(3.0)), _BUMPS, device=device)
    bumps = torch.exp(-0.5 * ((0.5 * norm.log() - centres[:, None, None, None]) / 0.6).square())
    directional = [bumps * (squared[axis] / norm) for axis in range(3)]
    return torch.cat([-0.5 * squared, bumps, *directional]).flatten(1)


@lru_cache(maxsize=4)
@torch.inference_mode(False)  # kept for calls that need gradients
def _mode_weights(size: int, device: torch.device) -> Tensor:
    """Weight of each mode of the half spectrum in the variance of a filtered field, shape (modes,).

    The mean of the field, mode zero, is no part of its variance: a field that is longer than the cell keeps
    unit variance too.
    """
    weights = torch.full((size, size, size // 2 + 1), 2.0, device=device)
    weights[..., 0] = 1.0
    if size % 2 == 0:
        weights[..., -1] = 1.0
    weights[0, 0, 0] = 0.0
    return weights.flatten() / size**3


class SpectralFilter(nn.Module):
    """Convolution with z-dependent kernels, in Fourier space: periodic, any cube size, any correlation
    length.

    log A_c(k; z) = sum over j of beta_cj(z) phi_j(k), with the fixed basis `_spectral_basis`; each channel
    is scaled so that white noise of unit variance keeps unit variance.

    Args:
        channels: Fields C, each with a kernel of its own.
        latent: Size D of z.
        scale: Standard deviation of the Gaussian kernel at the start, one per channel [voxel].
    """

    def __init__(self, channels: int, latent: int, scale: Sequence[float], hidden: int = 96) -> None:
        super().__init__()
        self.channels = channels
        self.terms = 3 + 4 * _BUMPS
        last = nn.Linear(hidden, channels * self.terms)
        self.coefficients = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), last)
        nn.init.normal_(last.weight, std=0.02)
        start = torch.zeros(channels, self.terms)
        start[:, :3] = torch.tensor(scale).log()[:, None]
        with torch.no_grad():
            last.bias.copy_(start.flatten())

    def forward(self, z: Tensor, size: int, stretch: float = 1.0) -> Tensor:
        """Transfer functions, shape (B, C, N, N, N // 2 + 1), for latent vectors, shape (B, D).

        Lengths are multiplied by `stretch`.
        """
        beta = self.coefficients(z).unflatten(-1, (self.channels, self.terms))
        # the Gaussian part is given by the logarithm of its standard deviations
        beta = torch.cat([(2.0 * beta[..., :3].clamp(-4.0, 3.0)).exp(), beta[..., 3:]], -1)
        amplitude = (beta @ _spectral_basis(size, z.device, stretch)).clamp(-30.0, 10.0).exp()
        power = amplitude.square() @ _mode_weights(size, z.device)
        amplitude = amplitude * torch.rsqrt(power + 1e-12)[..., None]
        return amplitude.unflatten(-1, (size, size, size // 2 + 1))


class Decoder(nn.Module):
    """Latent vector and white noise to a two-phase volume.

    Noise is filtered with z-dependent kernels (a Gaussian random field with a learned spectrum), mixed voxel
    by voxel by a z-modulated network, filtered again and cut at the level that gives the volume fraction of
    z. One z has as many realisations as there is noise; the output is binary, periodic and of any cube size.

    Args:
        latent: Size D of z.
        channels: Gaussian fields C that are mixed.
        hidden: Width of the voxelwise network.
    """

    def __init__(self, latent: int, channels: int = 4, hidden: int = 8) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = hidden
        self.shape_noise = SpectralFilter(channels, latent, [2.0 + channel for channel in range(channels)])
        self.shape_field = SpectralFilter(channels, latent, [0.5] * channels)
        last = nn.Linear(96, 2 * hidden + 2 * channels)
        self.modulation = nn.Sequential(nn.Linear(latent, 96), nn.SiLU(), last)
        nn.init.normal_(last.weight, std=0.02)
        nn.init.zeros_(last.bias)
        self.mix_in = nn.Conv3d(channels, hidden, 1)
        self.mix_out = nn.Conv3d(hidden, channels, 1)
        nn.init.normal_(self.mix_out.weight, std=0.05)
        self.fraction = nn.Sequential(nn.Linear(latent, 96), nn.SiLU(), nn.Linear(96, 1))

    def volume_fraction(self, z: Tensor) -> Tensor:
        """Volume fraction of the stiff phase [-], shape (B,)."""
        return 0.02 + 0.96 * torch.sigmoid(self.fraction(z)).squeeze(-1)

    def field(self, z: Tensor, noise: Tensor, stretch: float = 1.0) -> Tensor:
        """Continuous field before the cut, zero mean and unit variance, shape (B, 1, N, N, N).

        Args:
            z: Latent vectors, shape (B, D).
            noise: White noise, shape (B, C, N, N, N).
            stretch: Factor of all lengths [-].
        """
        modulation = self.modulation(z)[..., None, None, None]
        scale, shift, weights, gate = modulation.split(
            [self.hidden, self.hidden, self.channels, self.channels], dim=1
        )
        size, axes = noise.shape[-1], (2, 3, 4)
        fields = torch.fft.irfftn(
            torch.fft.rfftn(noise, dim=axes) * self.shape_noise(z, size, stretch), s=noise.shape[2:], dim=axes
        )
        mixed = torch.nn.functional.silu(self.mix_in(fields) * (1.0 + scale) + shift)
        fields = fields + (1.0 + gate) * self.mix_out(mixed)
        first = torch.eye(1, self.channels, device=z.device)[..., None, None, None]
        kernels = self.shape_field(z, size, stretch) * (
            first + weights
        )  # begins as the first Gaussian field alone
        field = torch.fft.irfftn(
            (torch.fft.rfftn(fields, dim=axes) * kernels).sum(1, keepdim=True), s=noise.shape[2:], dim=axes
        )
        centred = field - field.mean(axes, keepdim=True)
        return centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + 1e-8)

    def forward(
        self, z: Tensor, noise: Tensor, temperature: float | None = None, fraction: Tensor | None = None
    ) -> Tensor:
        """Binary volumes, shape (B, 1, N, N, N), cut at a fraction (B,), that of z if left out; see `cut`."""
        fraction = self.volume_fraction(z).detach() if fraction is None else fraction
        return cut(self.field(z, noise), fraction, temperature)


def cut(field: Tensor, fraction: Tensor, temperature: float | None = None) -> Tensor:
    """Binary volumes: the highest values of a field become the stiff phase.

    Args:
        field: Continuous fields, shape (B, 1, X, Y, Z).
        fraction: Volume fractions f [-], shape (B,): round(f X Y Z) voxels are stiff, at least one, not all.
        temperature: In training, the width of the sigmoid whose slope stands in for the slope of the cut
            (straight-through estimator, Bengio et al. 2013, arXiv 1308.3432). None cuts without a gradient.
    """
    flat = field.detach().flatten(1)
    voxels = flat.shape[1]
    count = (fraction * voxels).round().long().clamp(1, voxels - 1)
    level = torch.stack([row.kthvalue(voxels - int(n)).values for row, n in zip(flat, count, strict=True)])
    stiff = (flat > level[:, None]).to(field.dtype)
    for row, values, n, value in zip(stiff, flat, count, level, strict=True):
        if shortfall := int(n - row.sum()):  # values that rounding made equal: the first of them are taken
            row[torch.nonzero(values == value)[:shortfall, 0]] = 1.0
    level, binary = level[:, None, None, None, None], stiff.reshape(field.shape)
    if temperature is None:
        return binary
    soft = torch.sigmoid((field - level) / temperature)
    return soft + (binary - soft).detach()
