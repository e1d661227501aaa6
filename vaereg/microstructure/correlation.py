"""Two-point correlation and density of faces of batches of volumes in PyTorch.

Dimension letters: B batch, X Y Z voxels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "autocorrelation",
    "axis_correlation",
    "face_densities",
]

AXIS_LAGS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
"""Lags [voxel] of correlation curves along the axes."""


def autocorrelation(volumes: Tensor) -> Tensor:
    """Normalised autocorrelation (S2 - f^2) / (f (1 - f)) of the stiff phase at every periodic lag.

    The formula holds for binary volumes; volumes of one phase give zero.

    Args:
        volumes: Phase, shape (B, 1, X, Y, Z).

    Returns:
        Correlation [-], shape (B, X, Y, Z), lag zero first.
    """
    phase = volumes.squeeze(1)
    fraction = phase.mean((1, 2, 3), keepdim=True)
    modes = torch.fft.rfftn(phase - fraction, dim=(1, 2, 3))
    power = modes.real.square() + modes.imag.square()
    voxels = math.prod(phase.shape[1:])
    covariance = torch.fft.irfftn(power, s=phase.shape[1:], dim=(1, 2, 3)) / voxels
    return covariance / (fraction * (1.0 - fraction)).clamp_min(1e-6)


def axis_correlation(correlation: Tensor, lags: Sequence[int] = AXIS_LAGS) -> Tensor:
    """Correlation curves along x, y and z, shape (B, 3 len(lags)), from `autocorrelation`."""
    curves = [
        torch.stack([correlation.select(axis, lag % correlation.shape[axis]) for lag in lags], -1)
        for axis in (1, 2, 3)
    ]
    return torch.cat([curve[:, 0, 0] for curve in curves], -1)


def face_densities(volumes: Tensor) -> Tensor:
    """Density of faces between the phases normal to x, y, z [faces/voxel], shape (B, 3).

    Their sum is `statistics.face_density` of a volume. Differentiable in soft volumes, shape (B, 1, X, Y, Z).
    """
    faces = [(volumes - volumes.roll(1, axis)).square().mean((1, 2, 3, 4)) for axis in (2, 3, 4)]
    return torch.stack(faces, 1)
