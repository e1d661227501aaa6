"""Lengths of the irregular mode, so that what it decodes has the surface of what was encoded.

The spectral decoder of the joint model was trained on all its families at once; of a narrow spectrum, as
spinodal decomposition leaves, it makes a surface that is a few per cent too large. Surface goes with the
inverse of a length, so a factor of all lengths, read from z, mends it.

Letters: B batch, D latent size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SurfaceStretch", "quadratic_terms"]

_STEP, _MOST = 0.02, 5
"""Step of the logarithm of the factor, since the decoder keeps what it computes of a factor; most steps."""


class SurfaceStretch(nn.Module):
    """Latent vector to a factor of all lengths; one before it is fitted.

    Args:
        latent: Size D of z.
    """

    location: Tensor
    spread: Tensor
    weights: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))
        self.register_buffer("weights", torch.zeros(1 + latent + latent * (latent + 1) // 2))

    def forward(self, z: Tensor) -> Tensor:
        """Factors of the lengths [-], shape (B,), of latent vectors, shape (B, D)."""
        logs = quadratic_terms((z - self.location) / self.spread) @ self.weights
        return (_STEP * (logs / _STEP).round().clamp(-_MOST, _MOST)).exp()


def quadratic_terms(u: Tensor) -> Tensor:
    """One, u within three deviations and its products, shape (B, 1 + D + D (D + 1) / 2), of u (B, D)."""
    within = u.clamp(-3.0, 3.0)
    rows, columns = torch.triu_indices(u.shape[1], u.shape[1], device=u.device)
    return torch.cat([torch.ones_like(u[:, :1]), within, within[:, rows] * within[:, columns]], 1)
