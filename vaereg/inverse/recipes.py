"""Recipe of a design: what its latent vector stands for, in numbers with which it could be made again.

Letters: N designs, D latent size.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import elliprd

from vaereg.errors import InputError
from vaereg.generators.morphologies import REFERENCE_EDGE
from vaereg.generators.shapes import SURFACES
from vaereg.inverse.designs import Designs
from vaereg.model.batches import device_of
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.decoding import PERIODIC
from vaereg.model.modes.catalogue import MODES
from vaereg.model.modes.constructive.decoder import BUILT
from vaereg.model.modes.constructive.regular import VARIANTS

__all__ = ["orientation_of_weights", "recipes"]


def recipes(checkpoint: Checkpoint, designs: Designs) -> list[dict[str, Any]]:
    """What each design was made of: class, volume fraction, lengths [voxel], orientation, seed.

    Cells have the spacing of their points along the axes and how unequal they are, layers their period,
    fibres and discs the spacing of their centres, half-length or radius and orientation tensor, all of them
    the amplitude of a warp; surfaces and lattices have their periods. Fields without such numbers (the
    irregular mode, a free mixture) have the latent vector alone, which is stored beside.

    Args:
        checkpoint: Trained model that made the designs.
        designs: What `design` returned.

    Raises:
        InputError: The designs are another checkpoint's.
    """
    if designs.checkpoint != checkpoint.hash:
        raise InputError(f"expected designs of the checkpoint {checkpoint.hash}, got {designs.checkpoint}'s")
    entries: list[dict[str, Any]] = []
    bases = designs.component if checkpoint.modes is None else checkpoint.modes.base(designs.component)
    for row, (component, base) in enumerate(zip(designs.component.tolist(), bases.tolist(), strict=True)):
        recipe: dict[str, Any] = {
            "class": designs.modes[component] if designs.modes else None,
            "volume_fraction": float(designs.fraction[row]),
            "cut_fraction": float(designs.cut_fraction[row]),
            "realisation": int(designs.realisation[row]),
        }
        if checkpoint.modes is not None and base in BUILT:
            recipe |= _built(checkpoint, designs, row, base)
        elif designs.modes and base == PERIODIC:
            recipe |= _periodic(designs.latent[row], designs.stretch)
        entries.append(recipe)
    return entries


def _built(checkpoint: Checkpoint, designs: Designs, row: int, mode: int) -> dict[str, Any]:
    """Numbers of a mode that is built of cells, layers or bodies."""
    if checkpoint.modes is None:
        return {}
    device = device_of(checkpoint.model)
    with torch.inference_mode():
        geometry = checkpoint.modes.networks.decoder.geometry(
            torch.from_numpy(designs.latent[[row]]).to(device), torch.tensor([mode], device=device)
        ).stretched(designs.stretch)
    spacing = geometry.spacing[0].tolist()
    numbers: dict[str, Any] = {"warp": float(geometry.warp[0])}
    kind, name = MODES[mode].construction, MODES[mode].name
    if kind == "layers":  # a spacing above the edge of the cell stands for no structure along this axis
        return numbers | {"period": spacing, "spread": float(geometry.spread[0])}
    if kind == "cells":
        return numbers | {"cell_spacing": spacing, "spread": float(geometry.spread[0])}
    size = "radius" if name == "platelets" else "half_length"
    return numbers | {
        "spacing": spacing,
        size: float(geometry.extent[0]),
        "orientation_tensor": orientation_of_weights(geometry.weights[0].double().cpu().numpy()).tolist(),
    }


def _periodic(latent: NDArray[np.float32], stretch: float) -> dict[str, Any]:
    """Numbers of a minimal surface or a lattice of bars."""
    variant = VARIANTS[int(np.clip(round(float(latent[0])), 0, len(VARIANTS) - 1))]
    periods = np.maximum(latent[3:6].astype(np.float64), 1e-3)
    numbers: dict[str, Any] = {
        "variant": variant,
        "period": (stretch * REFERENCE_EDGE / periods).tolist(),
    }
    if variant in SURFACES:
        return numbers | {"sheet": bool(latent[1] > 0.5), "inverted": bool(latent[2] > 0.5)}
    return numbers | {"bar_weights": latent[6:9].astype(np.float64).tolist()}


def orientation_of_weights(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Orientation tensor <n n> of directions whose normal deviates are weighed along the axes, shape (3, 3).

    That of the angular central Gaussian distribution (Tyler 1987, doi:10.1093/biomet/74.3.579): integrals of
    Carlson's form R_D.

    Args:
        weights: Shape (3,) [-].
    """
    inverse = 1.0 / (2.0 * np.square(weights))
    diagonal = [
        2.0
        / 3.0
        * weights[i] ** 2
        * inverse[i]
        * math.sqrt(float(np.prod(inverse)))
        * float(elliprd(*np.delete(inverse, i), inverse[i]))
        for i in range(3)
    ]
    return np.diag(diagonal)
