"""Walks through the latent space: between two points, or along a principal axis of the latent map.

Every step of a walk is decoded from the same noise, so that its volume changes as gradually as z does.

Letters: S steps, D latent size, T properties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.model.batches import decode_batches, device_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.embedding import Embedding
from vaereg.model.prediction import encode_batch

__all__ = ["Walk", "along_axis", "axis_place", "axis_variance", "between", "walk"]

_VOXELS_AT_ONCE = 16 * 32**3
"""Largest batch that is decoded [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """Volumes and properties at some latent vectors, decoded from one draw of noise."""

    latent: NDArray[np.float32]
    """Latent vectors, shape (S, D)."""
    microstructures: NDArray[np.uint8]
    """Phases 0 and 1, shape (S, X, Y, Z)."""
    volume_fraction: NDArray[np.float64]
    """Volume fraction of the stiff phase, shape (S,) [-]."""
    mean: NDArray[np.float64]
    """Properties of these very volumes by the encoder's regressor, shape (S, T) [GPa]."""
    std: NDArray[np.float64]
    """Their calibrated standard deviation, shape (S, T) [GPa]."""
    expected: NDArray[np.float64]
    """Geometric mean over all realisations of z, by the latent regressor, shape (S, T) [GPa]."""


def between(start: ArrayLike, end: ArrayLike, steps: int) -> NDArray[np.float32]:
    """Evenly spaced points of the straight line between two latent vectors (D,), shape (S, D).

    Raises:
        InputError: There are fewer than two steps.
    """
    if steps < 2:
        raise InputError(f"expected at least 2 steps, got {steps}")
    share = np.linspace(0.0, 1.0, steps)[:, None]
    points = (1.0 - share) * np.asarray(start)[None] + share * np.asarray(end)[None]
    return points.astype(np.float32)


def along_axis(embedding: Embedding, origin: ArrayLike, axis: int, places: ArrayLike) -> NDArray[np.float32]:
    """Latent vectors that differ from `origin` in their coordinate on a principal axis alone.

    Args:
        embedding: The latent map whose principal axes are meant.
        origin: Latent vector whose other coordinates are kept, shape (D,).
        axis: Number of the axis, from 0.
        places: Coordinates on the axis, from the centre of the map, in its standard deviations along the
            axis, shape (S,) [-].

    Returns:
        Shape (S, D).

    Raises:
        InputError: There is no such axis.
    """
    direction, deviation = _axis(embedding, axis)
    origin = np.asarray(origin, dtype=np.float64)
    offset = deviation * np.asarray(places, dtype=np.float64) - (origin - embedding.pca_mean) @ direction
    return (origin + offset[:, None] * direction).astype(np.float32)


def axis_place(embedding: Embedding, latent: ArrayLike, axis: int) -> float:
    """Coordinate of a latent vector (D,) on a principal axis; `axis` and unit as in `along_axis`."""
    direction, deviation = _axis(embedding, axis)
    return float((np.asarray(latent) - embedding.pca_mean) @ direction / deviation)


def axis_variance(embedding: Embedding) -> NDArray[np.float64]:
    """Share of the map's variance along each of its principal axes, shape (D,) [-]."""
    variance = _coordinates(embedding).var(axis=0)
    return variance / variance.sum()


def walk(
    checkpoint: Checkpoint, latent: NDArray[np.float32], size: int = 32, *, generator: torch.Generator
) -> Walk:
    """Decode latent vectors from one draw of noise and predict the properties of what comes out.

    Args:
        checkpoint: Trained model.
        latent: Latent vectors, shape (S, D).
        size: Voxels per edge, a multiple of 8.
        generator: Of the noise.
    """
    model = checkpoint.model
    z = torch.as_tensor(latent, dtype=torch.float32, device=device_of(model))
    parts: list[NDArray[np.uint8]] = []
    with torch.inference_mode():
        noise = model.noise(1, size, generator=generator)
        count = max(1, _VOXELS_AT_ONCE // size**3)
        for volumes in decode_batches(model, z, size, generator=generator, noise=noise, count=count):
            parts.append(volumes.to(torch.uint8).cpu().numpy())
        standardised = checkpoint.fitted.latent_regressor(z)
        expected = torch.exp(model.property_location + model.property_scale * standardised)
    microstructures = np.concatenate(parts)
    predictions = [encode_batch(checkpoint, part, averaged=True) for part in parts]
    mean, std = (np.concatenate(column) for column in list(zip(*predictions, strict=True))[:2])
    return Walk(
        latent=z.cpu().numpy(),
        microstructures=microstructures,
        volume_fraction=microstructures.mean(axis=(1, 2, 3), dtype=np.float64),
        mean=mean,
        std=std,
        expected=expected.cpu().numpy().astype(np.float64),
    )


def _axis(embedding: Embedding, axis: int) -> tuple[NDArray[np.float64], float]:
    """Unit vector of a principal axis (D,), and the standard deviation of the map along it."""
    if not 0 <= axis < len(embedding.pca_axes):
        raise InputError(f"axis must be between 0 and {len(embedding.pca_axes) - 1}, got {axis}")
    direction = embedding.pca_axes[axis].astype(np.float64)
    return direction, float(((embedding.latent - embedding.pca_mean) @ direction).std())


def _coordinates(embedding: Embedding) -> NDArray[np.float64]:
    centred = embedding.latent.astype(np.float64) - embedding.pca_mean
    return centred @ embedding.pca_axes.astype(np.float64).T
