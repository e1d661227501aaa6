"""Constructive decoder: a field for each mode, whose geometry is z, cut at a volume fraction.

Letters: B batch, D latent size, K modes, X Y Z voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from vaereg.generators.cells import DENSEST, GAP
from vaereg.model.modes.catalogue import MODES
from vaereg.model.modes.constructive.construction import bodies_field, cells_field, coordinates
from vaereg.model.modes.constructive.geometry import Geometry, GeometryHead
from vaereg.model.modes.constructive.symmetric import equal_axes, symmetric_displacement
from vaereg.model.networks import cut

__all__ = ["BUILT", "WARP_LENGTH", "ConstructiveDecoder"]

BUILT = tuple(index for index, mode in enumerate(MODES) if mode.construction in ("cells", "layers", "bodies"))
"""Indices of the modes that are built of cells, layers or bodies, with z as their geometry."""

_CELLS = {
    "particles": (1, -1.0),
    "pores": (1, 1.0),
    "closed-foam": (2, -1.0),
    "grains": (2, 1.0),
    "open-foam": (3, -1.0),
    "layers": (1, -1.0),
}
"""Distance that each mode of points reads (see `cells_field`), and its sign: high values become stiff."""
_LAYERS_APART = 1.0
"""Distance that layers keep, over their period [-]: even, which is nearest in the mean to uneven ones."""
_PLANE = 0.15
"""Warp below which layers are plane [voxel]: it would make single voxels of a plane stand out."""
_ENDLESS = 1e3
"""Spacing along axes in which plane layers extend, over the length of the cell [-]."""
_BODIES = {"fibres": (False, -1.0), "channels": (False, 1.0), "platelets": (True, -1.0)}
"""Whether bodies are flat, and the sign of their distance."""
WARP_LENGTH = 6.0
"""Standard deviation of the filter of the displacement [voxel]: the middle of the generators' range."""
_LEAST_TRANSFER = 1e-7
"""Share of a wave that the filter leaves, below which it is rounding in single precision [-]."""


class ConstructiveDecoder(nn.Module):
    """Latent vector, mode and randomness to a periodic two-phase volume of any size.

    Args:
        latent: Size D of z.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.geometry = GeometryHead(latent, len(MODES))

    def volume_fraction(self, z: Tensor, mode: Tensor) -> Tensor:
        """Volume fraction of the stiff phase [-], shape (B,)."""
        return self.geometry.volume_fraction(z, mode)

    def field(
        self,
        z: Tensor,
        mode: Tensor,
        shape: tuple[int, int, int],
        *,
        generators: Sequence[np.random.Generator],
        stretch: float = 1.0,
        symmetry: str = "none",
    ) -> Tensor:
        """Continuous fields before the cut, zero mean and unit variance, shape (B, 1, X, Y, Z).

        Args:
            z: Latent vectors, shape (B, D).
            mode: Index into `MODES` of each, shape (B,), one of `BUILT`.
            shape: Voxels along the axes.
            generators: Source of positions, directions and noise of each volume.
            stretch: Factor of all lengths [-].
            symmetry: Symmetry that the geometry is closed under, see `vaereg.microstructure.symmetry`.

        Raises:
            ValueError: A mode is not built of cells, layers or bodies.
        """
        geometry = self.geometry(z, mode).stretched(stretch)
        fraction = self.volume_fraction(z, mode)
        return self.build(geometry, mode, fraction, shape, generators=generators, symmetry=symmetry)

    def build(
        self,
        geometry: Geometry,
        mode: Tensor,
        fraction: Tensor,
        shape: tuple[int, int, int],
        *,
        generators: Sequence[np.random.Generator],
        symmetry: str = "none",
    ) -> Tensor:
        """Fields as of `field`, of geometries themselves.

        Args:
            geometry: Geometry of a batch.
            mode: Index into `MODES` of each, shape (B,), one of `BUILT`.
            fraction: Volume fractions that the fields will be cut at, shape (B,) [-].
            shape: Voxels along the axes.
            generators: Source of positions, directions and noise of each volume.
            symmetry: As for `field`.

        Raises:
            ValueError: A mode is not built of cells, layers or bodies.
        """
        fractions, fields = fraction.tolist(), []
        for row, index in enumerate(mode.tolist()):
            name = MODES[index].name
            if index not in BUILT:
                raise ValueError(f"expected a mode of cells, layers or bodies, got {name}")
            fields.append(
                self._built_field(name, geometry, row, fractions[row], shape, generators[row], symmetry)
            )
        field = torch.stack(fields)[:, None]
        centred = field - field.mean((2, 3, 4), keepdim=True)
        return centred * torch.rsqrt(centred.square().mean((2, 3, 4), keepdim=True) + 1e-8)

    def forward(
        self,
        z: Tensor,
        mode: Tensor,
        shape: tuple[int, int, int],
        *,
        generators: Sequence[np.random.Generator],
        temperature: float | None = None,
        fraction: Tensor | None = None,
    ) -> Tensor:
        """Binary volumes, shape (B, 1, X, Y, Z), cut at a fraction (B,), that of z if left out; see `cut`."""
        fraction = self.volume_fraction(z, mode).detach() if fraction is None else fraction
        return cut(self.field(z, mode, shape, generators=generators), fraction, temperature)

    def _built_field(
        self,
        name: str,
        geometry: Geometry,
        row: int,
        fraction: float,
        shape: tuple[int, int, int],
        generator: np.random.Generator,
        symmetry: str,
    ) -> Tensor:
        """Field of cells, layers or bodies, shape (X, Y, Z)."""
        spacing, weights, warp = geometry.spacing[row], geometry.weights[row], geometry.warp[row]
        displacement = _displacement(shape, generator).to(warp)
        if symmetry != "none":
            spacing, weights = equal_axes(spacing, symmetry), equal_axes(weights, symmetry)
            displacement = symmetric_displacement(displacement, symmetry)
        if name == "layers" and float(warp.detach()) < _PLANE:
            displacement = torch.zeros_like(displacement)
            lengths = torch.tensor(shape).to(spacing)
            spacing = torch.where(spacing > lengths, _ENDLESS * lengths, spacing)
        places = coordinates(shape, warp, displacement)
        if name in _CELLS:
            order, sign = _CELLS[name]
            return sign * cells_field(
                spacing,
                geometry.spread[row],
                places,
                order=order,
                apart=_apart(name, spacing, fraction),
                layered=name == "layers",
                symmetry=symmetry,
                generator=generator,
            )
        flat, sign = _BODIES[name]
        return sign * bodies_field(
            spacing,
            geometry.extent[row],
            weights,
            places,
            flat=flat,
            symmetry=symmetry,
            generator=generator,
        )


def _apart(name: str, spacing: Tensor, fraction: float) -> float:
    """Distance that points keep, over their mean spacing [-], as in `vaereg.generators.cells`."""
    if name == "layers":
        return _LAYERS_APART
    if name not in ("particles", "pores"):
        return 0.0
    share = fraction if name == "particles" else 1.0 - fraction
    mean = float(spacing.detach().log().mean().exp())
    return min(2.0 * (3.0 * share / (4.0 * math.pi)) ** (1.0 / 3.0) + GAP / mean, DENSEST)


def _displacement(shape: tuple[int, int, int], generator: np.random.Generator) -> Tensor:
    """Smooth periodic displacement along each axis, zero mean and unit variance, shape (3, X, Y, Z)."""
    (x, _), (y, _), (z, _) = waves = [_waves(count) for count in shape]
    # white noise is white in any orthonormal basis: only amplitudes that the filter lets pass are drawn
    deviates = generator.standard_normal((3, x.shape[1], y.shape[1], z.shape[1]), dtype=np.float32)
    amplitudes = torch.from_numpy(deviates)
    for axis, (_, transfer) in enumerate(waves):
        amplitudes = amplitudes * transfer.view([-1 if axis == dimension else 1 for dimension in range(3)])
    amplitudes[:, 0, 0, 0] = 0.0
    smooth = torch.einsum("cijk,xi,yj->cxyk", amplitudes, x, y) @ z.T
    return smooth * torch.rsqrt(smooth.square().mean((1, 2, 3), keepdim=True) + 1e-12)


@cache
def _waves(count: int) -> tuple[Tensor, Tensor]:
    """Waves along an axis that the filter of the displacement lets pass, orthonormal, shape (count, F), and
    what it leaves of each, shape (F,) [-].
    """
    places = torch.arange(count, dtype=torch.float64)
    waves, transfer = [torch.full((count,), count**-0.5, dtype=torch.float64)], [1.0]
    for number in range(1, count // 2 + 1):
        share = math.exp(-2.0 * (math.pi * WARP_LENGTH * number / count) ** 2)
        if share < _LEAST_TRANSFER:
            break
        phase = 2.0 * math.pi * number / count * places
        pair = [phase.cos()] if 2 * number == count else [phase.cos(), phase.sin()]
        waves += [wave / wave.norm() for wave in pair]
        transfer += [share] * len(pair)
    return torch.stack(waves, 1).float(), torch.tensor(transfer, dtype=torch.float32)
