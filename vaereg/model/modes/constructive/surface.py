"""Surface of the irregular mode: what it decodes has the specific surface that its latent vector stands for.

A cell of filtered noise holds few waves, and surfaces of its realisations differ by more than those of
spinodal decomposition, whose wavelength is sharp. As the cut gives every realisation the volume fraction of
z, a factor of all lengths gives it the surface of z.

Letters: B batch, D latent size, N voxels along an edge.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.microstructure.statistics import specific_surface
from vaereg.model.networks import Decoder, LatentRegressor, cut

__all__ = ["ExpectedSurface", "log_surface", "matched_field"]

_STEP, _MOST = 0.02, 5
"""Step of the logarithm of the factor, since the decoder keeps what it computes of a factor; most steps."""
_TRIES = 4
"""Most factors that are tried for a realisation."""


class ExpectedSurface(LatentRegressor):
    """Latent vector to the logarithm of the specific surface [1/voxel] of volumes that are encoded so.

    Args:
        latent: Size D of z.
        hidden: Width of the network.
    """

    location: Tensor
    spread: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, latent: int, hidden: int = 64) -> None:
        super().__init__(latent, 1, hidden)
        self.register_buffer("location", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.zeros(()))

    @property
    def is_fitted(self) -> bool:
        """Whether logarithms are known; without, fields stay as they are decoded."""
        return bool(self.deviation > 0.0)

    def set_scaling(self, z: Tensor, logs: Tensor) -> None:
        """Standardise over latent vectors, shape (N, D), and logarithms of surfaces, shape (N,)."""
        self.location.copy_(z.mean(0))
        self.spread.copy_(z.std(0) + 1e-6)
        self.mean.copy_(logs.mean())
        self.deviation.copy_(logs.std() + 1e-6)

    def forward(self, z: Tensor) -> Tensor:
        """Expected logarithms, shape (B,), of latent vectors, shape (B, D)."""
        standardised = super().forward((z - self.location) / self.spread).squeeze(-1)
        return self.mean + self.deviation * standardised


@torch.no_grad()
def matched_field(
    expected: ExpectedSurface, decoder: Decoder, z: Tensor, noise: Tensor, stretch: float = 1.0
) -> Tensor:
    """Fields as of `Decoder.field`, cut at the fraction of z each with nearly the surface of z.

    The factor of the lengths of a realisation starts at one and follows the ratio of the surfaces, by steps;
    the nearest of those that were tried is kept. Without a fit it stays at one.

    Args:
        expected: Surface that latent vectors stand for.
        decoder: Spectral decoder.
        z: Latent vectors, shape (B, D).
        noise: White noise, shape (B, C, N, N, N).
        stretch: Factor of all lengths that is asked for [-].
    """
    if not expected.is_fitted:
        return decoder.field(z, noise, stretch)
    target = (expected(z) - np.log(stretch)).cpu().numpy()
    fraction = decoder.volume_fraction(z)
    fields = torch.empty((len(z), 1, *noise.shape[2:]), device=z.device)
    steps, missed = np.zeros(len(z), dtype=np.int64), np.full(len(z), np.inf)
    open_rows = np.arange(len(z))
    for _ in range(_TRIES):
        following = steps.copy()
        for step in np.unique(steps[open_rows]).tolist():
            rows = open_rows[steps[open_rows] == step]
            places = torch.from_numpy(rows).to(z.device)
            field = decoder.field(z[places], noise[places], stretch * float(np.exp(_STEP * step)))
            excess = log_surface(cut(field, fraction[places])) - target[rows]
            nearer = np.abs(excess) < missed[rows]
            kept = torch.from_numpy(nearer).to(z.device)
            fields[places[kept]] = field[kept]
            missed[rows] = np.minimum(np.abs(excess), missed[rows])
            following[rows] = np.clip(step + np.rint(excess / _STEP), -_MOST, _MOST)
        open_rows = open_rows[following[open_rows] != steps[open_rows]]
        steps = following
        if not len(open_rows):
            break
    return fields


def log_surface(volumes: Tensor) -> NDArray[np.float64]:
    """Logarithms of the specific surface [1/voxel], shape (B,), of volumes, shape (B, 1, N, N, N)."""
    return np.log([specific_surface(volume) for volume in volumes.squeeze(1).cpu().numpy()])
