"""Networks on many volumes or latent vectors: in batches, on the device of the model.

Letters: N volumes or latent vectors, D latent size, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.model.vae import Encoding, VaeReg

__all__ = ["decode_batches", "device_of", "encode_batches"]

_ENCODED = 64
"""Volumes that are encoded at once."""
_DECODED = 16
"""Latent vectors that are decoded at once."""


def device_of(model: VaeReg) -> torch.device:
    """Device that the model runs on."""
    return model.property_location.device


def encode_batches(model: VaeReg, volumes: NDArray[np.uint8] | Tensor) -> Iterator[Encoding]:
    """Encodings of consecutive volumes.

    Args:
        model: Trained networks.
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
    """
    for batch in torch.as_tensor(volumes).split(_ENCODED):
        yield model.encode(batch.to(device_of(model), torch.float32)[:, None])


def decode_batches(
    model: VaeReg,
    z: Tensor,
    size: int,
    *,
    generator: torch.Generator,
    noise: Tensor | None = None,
    count: int = _DECODED,
) -> Iterator[Tensor]:
    """One realisation of each latent vector, in batches of shape (B, size, size, size).

    Args:
        model: Trained networks.
        z: Latent vectors, shape (N, D), on the device of the model.
        size: Voxels per edge.
        generator: Source of the noise.
        noise: White noise that all latent vectors share, shape (1, C, size, size, size); new noise for each
            latent vector if left out.
        count: Latent vectors per batch.
    """
    for batch in z.split(count):
        if noise is None:
            drawn = model.noise(len(batch), size, generator=generator)
        else:
            drawn = noise.expand(len(batch), -1, -1, -1, -1)
        yield model.decode(batch, drawn).squeeze(1)
