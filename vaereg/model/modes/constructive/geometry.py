"""Geometry of a mode as numbers: what the latent vector stands for, and how it is read from it.

Letters: B batch, D latent size, K modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["LENGTHS", "START", "Geometry", "GeometryHead"]

LENGTHS = (
    "spacing_x",
    "spacing_y",
    "spacing_z",
    "spread",
    "extent",
    "weight_x",
    "weight_y",
    "weight_z",
    "warp",
)
"""Numbers of the geometry, all positive; the head gives their logarithms.

Spacing of the points of cells, of the centres of bodies, or of layers, along each axis [voxel]; spread of the
distances that make cells unequal, relative to the spacing [-]; extent of a body, the half-length of a fibre
or the radius of a disc [voxel]; weights of the directions of bodies along each axis [-]; warp, root mean
square displacement of the coordinates [voxel].
"""

_LOWEST = (2.5, 2.5, 2.5, 0.01, 2.0, 0.02, 0.02, 0.02, 0.02)
"""Lower ends of the numbers; the generators stay within."""
_HIGHEST = (150.0, 150.0, 150.0, 1.0, 32.0, 1.0, 1.0, 1.0, 6.0)
"""Upper ends; a spacing of 150 voxels leaves a single layer of points along an axis of a usual cell."""
START = (11.0, 11.0, 11.0, 0.05, 11.0, 0.5, 0.5, 0.5, 0.5)
"""Numbers that an untrained head gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry:
    """Geometry of a batch of latent vectors."""

    numbers: Tensor
    """The numbers of `LENGTHS`, shape (B, 9)."""

    def stretched(self, factor: float) -> Geometry:
        """The same geometry with all lengths multiplied by a factor."""
        factors = torch.ones(len(LENGTHS)).to(self.numbers)
        factors[[0, 1, 2, 4, 8]] = factor
        return Geometry(numbers=self.numbers * factors)

    @property
    def spacing(self) -> Tensor:
        """Spacing along the axes, shape (B, 3) [voxel]."""
        return self.numbers[:, :3]

    @property
    def spread(self) -> Tensor:
        """Spread of the distances relative to the spacing, shape (B,) [-]."""
        return self.numbers[:, 3]

    @property
    def extent(self) -> Tensor:
        """Half-length of fibres or radius of discs, shape (B,) [voxel]."""
        return self.numbers[:, 4]

    @property
    def weights(self) -> Tensor:
        """Weights of the directions along the axes, shape (B, 3) [-]."""
        return self.numbers[:, 5:8]

    @property
    def warp(self) -> Tensor:
        """Root mean square displacement of the coordinates, shape (B,) [voxel]."""
        return self.numbers[:, 8]


class GeometryHead(nn.Module):
    """Latent vector and mode to the geometry and the volume fraction.

    Args:
        latent: Size D of z.
        modes: Number K of modes.
        hidden: Width of both networks.
    """

    lowest: Tensor
    highest: Tensor

    def __init__(self, latent: int, modes: int, hidden: int = 96) -> None:
        super().__init__()
        self.modes = modes
        last = nn.Linear(hidden, len(LENGTHS))
        self.lengths = nn.Sequential(nn.Linear(latent + modes, hidden), nn.SiLU(), last)
        nn.init.normal_(last.weight, std=0.05)
        with torch.no_grad():
            last.bias.copy_(torch.tensor(START).log())
        self.fraction = nn.Sequential(nn.Linear(latent + modes, hidden), nn.SiLU(), nn.Linear(hidden, 1))
        self.register_buffer("lowest", torch.tensor(_LOWEST).log())
        self.register_buffer("highest", torch.tensor(_HIGHEST).log())

    def condition(self, z: Tensor, mode: Tensor) -> Tensor:
        """Latent vectors, shape (B, D), beside their modes as one-hot rows, shape (B, D + K)."""
        return torch.cat([z, nn.functional.one_hot(mode, self.modes).to(z)], -1)

    def log_lengths(self, z: Tensor, mode: Tensor) -> Tensor:
        """Logarithms of `LENGTHS` before they are kept within their ends, shape (B, 9)."""
        return self.lengths(self.condition(z, mode))

    def volume_fraction(self, z: Tensor, mode: Tensor) -> Tensor:
        """Volume fraction of the stiff phase [-], shape (B,)."""
        return 0.02 + 0.96 * torch.sigmoid(self.fraction(self.condition(z, mode))).squeeze(-1)

    def forward(self, z: Tensor, mode: Tensor) -> Geometry:
        """Geometry of latent vectors, shape (B, D), of modes, shape (B,)."""
        return self.within(self.log_lengths(z, mode))

    def within(self, logs: Tensor) -> Geometry:
        """Geometry of logarithms of `LENGTHS`, shape (B, 9), kept within their ends."""
        return Geometry(numbers=torch.minimum(torch.maximum(logs, self.lowest), self.highest).exp())
