"""Morphologies without bodies or cells: spinodal structures and Gaussian random fields."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from vaereg.generators.families import (
    ELONGATION,
    LONG_STD_MIN,
    SHORT_STD_RANGE,
    SPINODAL_STEPS,
    STD_RANGE,
    VOLUME_FRACTION_RANGE,
)
from vaereg.generators.fields import cut_at_quantile, gaussian_field, spinodal_field
from vaereg.generators.recipe import Microstructure, Parameters, Triple, log_uniform, triple

__all__ = [
    "LAMELLAR_STRETCH",
    "GaussianParameters",
    "SpinodalParameters",
    "draw_gaussian",
    "draw_spinodal",
    "make_gaussian",
    "make_spinodal",
]

SPINODAL_FRACTION = (0.30, 0.70)
"""Volume fractions of the stiff phase in spinodal structures [-]."""
WAVELENGTH = (7.0, 14.0)
"""Wavelengths that grow fastest in spinodal decomposition [voxel], at most half the cell."""
MILD_STRETCH, LAMELLAR_STRETCH = (1.5, 3.0), (3.0, 12.0)
"""Cost of gradients along the long axes relative to the others: of irregular structures, of lamellae [-]."""
EQUIAXED, MILD = 0.4, 0.35
"""Shares of spinodal structures without, and with mild stretch; the others are lamellae [-]."""
CENTRED = 0.6
"""Share of the deviation of the fraction from 1/2 that the mean concentration takes, within the spinodals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpinodalParameters(Parameters):
    """Parameters of spinodal decomposition."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("wavelength",)

    wavelength: float
    """Wavelength that grows fastest [voxel]."""
    steps: int
    """Time steps of decomposition and coarsening."""
    stretch: Triple
    """Cost of gradients along x, y, z, at least 1 [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianParameters(Parameters):
    """Parameters of a thresholded Gaussian random field."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("std",)

    std: Triple
    """Standard deviations of the Gaussian filter along x, y, z [voxel]."""


def draw_spinodal(generator: Generator) -> SpinodalParameters:
    """Random parameters of equiaxed, mildly stretched or lamellar spinodal structures."""
    kind, order = generator.random(), generator.permutation(3)
    stretch = np.ones(3)
    if kind >= EQUIAXED + MILD:
        stretch[order[:2]] = log_uniform(*LAMELLAR_STRETCH, generator)
    elif kind >= EQUIAXED:
        stretch[order[: int(generator.integers(1, 3))]] = log_uniform(*MILD_STRETCH, generator)
    return SpinodalParameters(
        volume_fraction=float(generator.uniform(*SPINODAL_FRACTION)),
        wavelength=log_uniform(*WAVELENGTH, generator),
        steps=int(generator.integers(SPINODAL_STEPS[0], SPINODAL_STEPS[1] + 1)),
        stretch=triple(stretch),
    )


def draw_gaussian(generator: Generator) -> GaussianParameters:
    """Random parameters of the four kinds of the Gaussian families: equiaxed, free, rods, plates."""
    kind, axis = int(generator.integers(4)), int(generator.integers(3))
    if kind == 0:
        std = [log_uniform(*STD_RANGE, generator)] * 3
    elif kind == 1:
        std = [log_uniform(*STD_RANGE, generator) for _ in range(3)]
    else:
        short = log_uniform(*SHORT_STD_RANGE, generator)
        long = generator.uniform(max(ELONGATION * short, LONG_STD_MIN), STD_RANGE[1], 3).tolist()
        std = [short] * 3 if kind == 2 else long
        std[axis] = long[axis] if kind == 2 else short
    return GaussianParameters(
        volume_fraction=float(generator.uniform(*VOLUME_FRACTION_RANGE)), std=triple(std)
    )


def make_spinodal(parameters: SpinodalParameters, size: int, generator: Generator) -> Microstructure:
    """Spinodal decomposition, see `fields.spinodal_field`.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
    """
    fraction = parameters.volume_fraction
    wavelength = min(parameters.wavelength, size / 2.0)
    field = spinodal_field(
        size,
        wavelength,
        parameters.steps,
        stretch=parameters.stretch,
        mean=CENTRED * (2.0 * fraction - 1.0),
        generator=generator,
    )
    recipe = {
        "volume_fraction": fraction,
        "wavelength": wavelength,
        "steps": parameters.steps,
        "stretch": parameters.stretch,
    }
    return Microstructure(volume=cut_at_quantile(field, fraction), recipe=recipe)


def make_gaussian(parameters: GaussianParameters, size: int, generator: Generator) -> Microstructure:
    """Thresholded Gaussian random field, see `fields.gaussian_field`.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
    """
    volume = gaussian_field(size, parameters.std, parameters.volume_fraction, generator=generator)
    recipe = {"volume_fraction": parameters.volume_fraction, "std": parameters.std}
    return Microstructure(volume=volume, recipe=recipe)
