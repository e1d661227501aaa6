"""Latent vectors of any component to fields and volume fractions.

A checkpoint with modes has a component for each of them: built modes decode by construction, the periodic
one by the generators, and the irregular one by the spectral decoder of the joint model, whose free mixture is
its prior. A checkpoint without modes has the components of that mixture.

Letters: B batch, D latent size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.decoder import BUILT
from vaereg.model.modes.regular import periodic_field, periodic_fraction

__all__ = ["IRREGULAR", "PERIODIC", "decode_fields", "decoded_fraction"]

PERIODIC, IRREGULAR = MODE_NAMES.index("periodic"), MODE_NAMES.index("irregular")
"""Indices of the modes that are not built of cells, layers or bodies."""


def decoded_fraction(checkpoint: Checkpoint, z: Tensor, component: NDArray[np.int64]) -> Tensor:
    """Volume fraction of the stiff phase that latent vectors stand for, shape (B,) [-].

    Args:
        checkpoint: Trained model.
        z: Latent vectors, shape (B, D).
        component: Component of each, shape (B,).
    """
    if checkpoint.modes is None:
        return checkpoint.model.decoder.volume_fraction(z)
    mode = torch.from_numpy(component).to(z.device)
    fraction = checkpoint.modes.networks.decoder.volume_fraction(z, mode)
    periodic, irregular = mode == PERIODIC, mode == IRREGULAR
    if periodic.any():
        fraction[periodic] = torch.from_numpy(periodic_fraction(z[periodic].cpu().numpy())).to(fraction)
    if irregular.any():
        fraction[irregular] = checkpoint.model.decoder.volume_fraction(z[irregular])
    return fraction


def decode_fields(
    checkpoint: Checkpoint,
    z: Tensor,
    component: NDArray[np.int64],
    size: int,
    *,
    seeds: Sequence[int] | NDArray[np.int64],
    stretch: float = 1.0,
) -> Tensor:
    """Continuous fields whose highest values become stiff, shape (B, 1, n, n, n).

    Args:
        checkpoint: Trained model.
        z: Latent vectors, shape (B, D).
        component: Component of each, shape (B,).
        size: Voxels per edge, n.
        seeds: Seed of the realisation of each, B of them.
        stretch: Factor of all lengths [-].
    """
    seeds = [int(seed) for seed in seeds]
    if checkpoint.modes is None:
        return checkpoint.model.decoder.field(z, _noise(checkpoint, seeds, size), stretch)
    fields = torch.empty((len(z), 1, size, size, size), device=z.device)
    generators = [np.random.default_rng(seed) for seed in seeds]
    built = np.flatnonzero(np.isin(component, BUILT))
    if len(built):
        decoder = checkpoint.modes.networks.decoder
        rows = torch.from_numpy(built).to(z.device)
        mode = torch.from_numpy(component[built]).to(z.device)
        chosen = [generators[row] for row in built]
        fields[rows] = decoder.field(z[rows], mode, (size, size, size), generators=chosen, stretch=stretch)
    for row in np.flatnonzero(component == PERIODIC):
        field = periodic_field(z[row].cpu().numpy(), size, generators[row], stretch)
        fields[row, 0] = torch.from_numpy(field).to(fields)
    if len(irregular := np.flatnonzero(component == IRREGULAR)):
        rows = torch.from_numpy(irregular).to(z.device)
        drawn = _noise(checkpoint, [seeds[row] for row in irregular], size)
        fields[rows] = checkpoint.model.decoder.field(z[rows], drawn, stretch)
    return fields


def _noise(checkpoint: Checkpoint, seeds: Sequence[int], size: int) -> Tensor:
    """White noise of the spectral decoder, a draw a seed, shape (B, C, n, n, n)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.cat([checkpoint.model.noise(1, size, generator=own) for own in generators])
