"""Networks on many volumes or latent vectors: in batches, on the device of the model.

Letters: N volumes or latent vectors, D latent size, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.elasticity import AXIS_ORDERS
from vaereg.model.vae import Encoding, VaeReg

__all__ = ["decode_batches", "device_of", "encode_averaged", "encode_batches"]

_ENCODED = 64
"""Volumes that are encoded at once."""
_CYCLIC_ORDERS = [order for order in AXIS_ORDERS if order[:3] in ((1, 2, 0), (2, 0, 1))]
"""Orders y, z, x and z, x, y of the axes."""
_DECODED = 16
"""Latent vectors that are decoded at once."""


def device_of(model: VaeReg) -> torch.device:
    """Device that the model runs on."""
    return model.property_location.device


def encode_batches(
    model: VaeReg, volumes: NDArray[np.uint8] | Tensor, *, averaged: bool = False
) -> Iterator[Encoding]:
    """Encodings of consecutive volumes.

    Args:
        model: Trained networks.
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
        averaged: As `encode_averaged`, at three times the cost.
    """
    encode = encode_averaged if averaged else VaeReg.encode
    for batch in torch.as_tensor(volumes).split(_ENCODED):
        yield encode(model, batch.to(device_of(model), torch.float32)[:, None])


def encode_averaged(model: VaeReg, volumes: Tensor) -> Encoding:
    """Encodings whose properties are geometric means over the cyclic orders of the axes.

    The networks learn from volumes in all orders of their axes, but give each its own answer: what differs
    between them is error.

    Args:
        model: Trained networks.
        volumes: Phases 0 and 1, shape (B, 1, X, Y, Z).
    """
    encoding = model.encode(volumes)
    means, spreads = [encoding.property_mean.log()], [encoding.property_spread.log()]
    for order in _CYCLIC_ORDERS:
        turned = model.encode(volumes.permute(0, 1, *(2 + axis for axis in order[:3])))
        columns = np.argsort(order)
        means.append(turned.property_mean.log()[:, columns])
        spreads.append(turned.property_spread.log()[:, columns])
    return replace(
        encoding,
        property_mean=torch.stack(means).mean(0).exp(),
        property_spread=torch.stack(spreads).mean(0).exp(),
    )


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
            batch_noise = model.noise(len(batch), size, generator=generator)
        else:
            batch_noise = noise.expand(len(batch), -1, -1, -1, -1)
        yield model.decode(batch, batch_noise).squeeze(1)
