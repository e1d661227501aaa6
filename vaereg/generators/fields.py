"""Periodic random fields, cut at the quantile that gives a volume fraction: Gaussian and spinodal.

Fields are functions of a seeded generator and of explicit parameters; `vaereg.generators.families` draws the
parameters. All lengths are in voxels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from vaereg.errors import InputError

__all__ = ["cut_at_quantile", "filtered_noise", "gaussian_field", "spinodal_field"]

STABILISER = 1.5
"""Implicit share of the bulk term; above (3c² - 1)/2, with |c| up to 1.15, every time step is stable [-]."""
TIME_STEP = 2.0
"""Time step of the Cahn-Hilliard equation in units of its fastest growth; larger ones hardly grow faster."""


def cut_at_quantile(field: NDArray[np.float64], volume_fraction: float) -> NDArray[np.uint8]:
    """Two-phase volume that is stiff where the field is highest.

    Args:
        field: Any shape, M values; of equal values at the cut, the first in C order are stiff.
        volume_fraction: Share of stiff voxels [-]; exactly round(f M) voxels are stiff.

    Returns:
        Phase per voxel, 0 or 1, of the shape of the field.
    """
    values = field.ravel()
    stiff = round(volume_fraction * values.size)
    volume = np.zeros(values.size, dtype=np.uint8)
    if stiff:
        level = np.partition(values, values.size - stiff)[values.size - stiff]
        volume[values > level] = 1
        volume[np.flatnonzero(values == level)[: stiff - int(volume.sum())]] = 1
    return volume.reshape(field.shape)


def gaussian_field(
    size: int, std: Sequence[float], volume_fraction: float, *, generator: Generator
) -> NDArray[np.uint8]:
    """Periodic thresholded Gaussian random field (Quiblier 1984, doi:10.1016/0021-9797(84)90481-8).

    Args:
        size: Voxels per edge, n.
        std: Standard deviation of the Gaussian filter along x, y, z [voxel], shape (3,).
        volume_fraction: Share of stiff voxels [-]; exactly round(f n³) voxels are stiff.
        generator: Source of the white noise.

    Returns:
        Phase per voxel, 0 or 1, shape (n, n, n).

    Raises:
        InputError: The size is below 2, a standard deviation is negative or f leaves 0 to 1.
    """
    if size < 2:
        raise InputError(f"expected at least 2 voxels per edge, got {size}")
    if len(std) != 3 or not all(0 <= value < np.inf for value in std):
        raise InputError(f"expected three standard deviations of zero or more voxels, got {tuple(std)}")
    if not 0 <= volume_fraction <= 1:
        raise InputError(f"expected a volume fraction from 0 to 1, got {volume_fraction}")
    return cut_at_quantile(filtered_noise(size, std, generator=generator), volume_fraction)


def filtered_noise(size: int, std: Sequence[float], *, generator: Generator) -> NDArray[np.float64]:
    """White noise after a periodic Gaussian filter, of zero mean and without a fixed variance.

    Args:
        size: Voxels per edge, n.
        std: Standard deviation of the filter along x, y, z [voxel], shape (3,).
        generator: Source of the white noise.

    Returns:
        Shape (n, n, n).
    """
    spectrum = np.asarray(fft.rfftn(generator.standard_normal((size, size, size))))
    for axis, value in enumerate(std):
        frequency = fft.rfftfreq(size) if axis == 2 else fft.fftfreq(size)
        transfer = np.exp(-2.0 * (np.pi * value * frequency) ** 2)
        spectrum *= np.expand_dims(transfer, tuple(direction for direction in range(3) if direction != axis))
    spectrum[0, 0, 0] = 0.0  # the mean moves the threshold only, and would drown fields longer than the cell
    return np.asarray(fft.irfftn(spectrum, s=(size, size, size)))


def spinodal_field(
    size: int,
    wavelength: float,
    steps: int,
    *,
    stretch: Sequence[float] = (1.0, 1.0, 1.0),
    mean: float = 0.0,
    generator: Generator,
) -> NDArray[np.float64]:
    """Concentration after spinodal decomposition (Cahn 1961, doi:10.1016/0001-6160(61)90182-1).

    The Cahn-Hilliard equation ∂c/∂t = ∇²(c³ - c - κ∇²c), from white noise, by semi-implicit steps in Fourier
    space (Zhu et al. 1999, doi:10.1103/PhysRevE.60.3564) with a linear stabiliser. Where gradients along an
    axis cost more, domains are long along it.

    Args:
        size: Voxels per edge, n.
        wavelength: Wavelength that grows fastest while c is small, 2π sqrt(2κ) [voxel].
        steps: Time steps; domains form within 30 steps or so, and coarsen from there.
        stretch: Cost of gradients along x, y, z, relative to κ, at least 1 [-], shape (3,).
        mean: Mean concentration, between the spinodals ±1/sqrt(3) [-].
        generator: Source of the white noise.

    Returns:
        Concentration, about -1 to 1, shape (n, n, n).
    """
    kappa = 0.5 * (wavelength / (2.0 * np.pi)) ** 2
    last = 2.0 * np.pi * fft.rfftfreq(size)
    first = 2.0 * np.pi * fft.fftfreq(size)
    squares = np.stack(np.broadcast_arrays(first[:, None, None], first[None, :, None], last)) ** 2
    laplacian = kappa * squares.sum(axis=0)  # in units of the interface width sqrt(κ)
    gradient = kappa * np.tensordot(np.asarray(stretch, dtype=np.float64), squares, axes=1)
    implicit = 1.0 / (1.0 + TIME_STEP * laplacian * (STABILISER + gradient))
    explicit = TIME_STEP * laplacian
    concentration = 0.1 * generator.standard_normal((size, size, size))
    concentration += mean - concentration.mean()
    for _ in range(steps):
        bulk = concentration * (concentration * concentration - (1.0 + STABILISER))
        spectrum = np.asarray(fft.rfftn(concentration)) - explicit * np.asarray(fft.rfftn(bulk))
        concentration = np.asarray(fft.irfftn(spectrum * implicit, s=(size, size, size)))
    return concentration
