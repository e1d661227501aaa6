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

from vaereg.microstructure.symmetry import average_field
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.catalogue import MODE_NAMES
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.constructive.regular import periodic_field, periodic_fraction
from vaereg.model.modes.constructive.surface import matched_field
from vaereg.model.modes.network import ModeNetworks
from vaereg.model.vae import VaeReg

__all__ = [
    "IRREGULAR",
    "PERIODIC",
    "decode_fields",
    "decoded_fraction",
    "mode_fields",
    "mode_fraction",
]

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
    modes = checkpoint.modes
    return mode_fraction(checkpoint.model, modes.networks, z, modes.base(component))


def decode_fields(
    checkpoint: Checkpoint,
    z: Tensor,
    component: NDArray[np.int64],
    size: int,
    *,
    seeds: Sequence[int] | NDArray[np.int64],
    stretch: float = 1.0,
    matched: bool = True,
    symmetry: str = "none",
) -> Tensor:
    """Continuous fields whose highest values become stiff, shape (B, 1, n, n, n).

    Args:
        checkpoint: Trained model.
        z: Latent vectors, shape (B, D).
        component: Component of each, shape (B,).
        size: Voxels per edge, n.
        seeds: Seed of the realisation of each, B of them.
        stretch: Factor of all lengths [-].
        matched: Whether realisations of the irregular mode get the surface that z stands for, which takes two
            or three decodings of each.
        symmetry: Symmetry of the fields, to rounding, see `vaereg.microstructure.symmetry`: built modes are
            built symmetric, the irregular one is averaged over the images.
    """
    if checkpoint.modes is None:
        model = checkpoint.model
        noise = _noise(model, [int(seed) for seed in seeds], size)
        return _averaged(model.decoder.field(z, noise, stretch), symmetry)
    modes = checkpoint.modes
    base = modes.base(component)
    return mode_fields(
        checkpoint.model,
        modes.networks,
        z,
        base,
        size,
        seeds=seeds,
        stretch=stretch,
        matched=matched,
        symmetry=symmetry,
    )


def mode_fraction(model: VaeReg, networks: ModeNetworks, z: Tensor, mode: NDArray[np.int64]) -> Tensor:
    """Volume fraction of the stiff phase that latent vectors of modes stand for, shape (B,) [-].

    Args:
        model: Joint model, of the irregular mode.
        networks: Networks of the built modes.
        z: Latent vectors, shape (B, D).
        mode: Mode of each, shape (B,).
    """
    fraction = networks.decoder.volume_fraction(z, torch.from_numpy(mode).to(z.device))
    if len(periodic := np.flatnonzero(mode == PERIODIC)):
        rows = torch.from_numpy(periodic).to(z.device)
        fraction[rows] = torch.from_numpy(periodic_fraction(z[rows].cpu().numpy())).to(fraction)
    if len(irregular := np.flatnonzero(mode == IRREGULAR)):
        rows = torch.from_numpy(irregular).to(z.device)
        fraction[rows] = model.decoder.volume_fraction(z[rows])
    return fraction


def mode_fields(
    model: VaeReg,
    networks: ModeNetworks,
    z: Tensor,
    mode: NDArray[np.int64],
    size: int,
    *,
    seeds: Sequence[int] | NDArray[np.int64],
    stretch: float = 1.0,
    matched: bool = True,
    symmetry: str = "none",
) -> Tensor:
    """Continuous fields of modes, shape (B, 1, n, n, n).

    Args:
        model: Joint model, whose decoder makes the irregular mode.
        networks: Networks of the built modes.
        z, mode, size, seeds, stretch, matched, symmetry: As for `decode_fields`.
    """
    seeds = [int(seed) for seed in seeds]
    fields = torch.empty((len(z), 1, size, size, size), device=z.device)
    generators = [np.random.default_rng(seed) for seed in seeds]
    if len(built_rows := np.flatnonzero(np.isin(mode, BUILT))):
        rows = torch.from_numpy(built_rows).to(z.device)
        component = torch.from_numpy(mode[built_rows]).to(z.device)
        built_generators = [generators[row] for row in built_rows]
        fields[rows] = networks.decoder.field(
            z[rows],
            component,
            (size, size, size),
            generators=built_generators,
            stretch=stretch,
            symmetry=symmetry,
        )
    for row in np.flatnonzero(mode == PERIODIC):
        field = periodic_field(z[row].cpu().numpy(), size, generators[row], stretch, symmetry)
        fields[row, 0] = torch.from_numpy(field).to(fields)
    if len(irregular := np.flatnonzero(mode == IRREGULAR)):
        rows = torch.from_numpy(irregular).to(z.device)
        noise = _noise(model, [seeds[row] for row in irregular], size)
        if matched:
            own = matched_field(networks.irregular_surface, model.decoder, z[rows], noise, stretch)
        else:
            own = model.decoder.field(z[rows], noise, stretch)
        fields[rows] = _averaged(own, symmetry)
    return fields


def _averaged(fields: Tensor, symmetry: str) -> Tensor:
    """Means of fields over their images, shape (B, 1, n, n, n)."""
    if symmetry == "none":
        return fields
    means = [average_field(field[0].cpu().numpy(), symmetry) for field in fields]
    return torch.from_numpy(np.stack(means)[:, None]).to(fields)


def _noise(model: VaeReg, seeds: Sequence[int], size: int) -> Tensor:
    """White noise of the spectral decoder, a draw a seed, shape (B, C, n, n, n)."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return torch.cat([model.noise(1, size, generator=generator) for generator in generators])
