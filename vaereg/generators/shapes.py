"""Periodic constructions of given parameters: inclusions, layers, minimal surfaces, Voronoi walls.

Nothing here is random: `families` draws the parameters. Positions are in
units of the cell, which is [0, 1) along each axis; voxel i has its centre at (i + 1/2) / n.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vaereg.generators.fields import cut_at_quantile

__all__ = ["SURFACES", "fibres", "laminate", "minimal_surface", "spheres", "surface_level", "voronoi_walls"]

Field = NDArray[np.float64]


def spheres(
    size: int, centres: Field, radii: Field, volume_fraction: float, *, stiff: bool = True
) -> NDArray[np.uint8]:
    """Overlapping spheres (Torquato 2002, doi:10.1007/978-1-4757-6355-3, chapter 5).

    Args:
        size: Voxels per edge, n.
        centres: Centres in units of the cell, shape (N, 3).
        radii: Relative radii, shape (N,); all are scaled to reach the volume fraction.
        volume_fraction: Share of stiff voxels [-]; exactly round(f n³) voxels are stiff.
        stiff: Whether the spheres are stiff; otherwise all around them is.

    Returns:
        Phase per voxel, 0 or 1, shape (n, n, n).
    """
    distance = _scaled_distance(size, centres, radii)
    return cut_at_quantile(-distance if stiff else distance, volume_fraction)


def fibres(
    size: int, centres: Field, radii: Field, volume_fraction: float, *, axis: int, stiff: bool = True
) -> NDArray[np.uint8]:
    """Parallel circular fibres that may overlap (Hill 1964, doi:10.1016/0022-5096(64)90019-5).

    Args:
        size: Voxels per edge, n.
        centres: Centres in the plane normal to the axis, in units of the cell, shape (N, 2).
        radii: Relative radii, shape (N,); all are scaled to reach the volume fraction.
        volume_fraction: Share of stiff voxels [-]; exactly n round(f n²) voxels are stiff.
        axis: Axis of the fibres.
        stiff: Whether the fibres are stiff; otherwise all around them is.

    Returns:
        Phase per voxel, 0 or 1, shape (n, n, n).
    """
    distance = _scaled_distance(size, centres, radii)
    section = cut_at_quantile(-distance if stiff else distance, volume_fraction)
    return np.repeat(np.expand_dims(section, axis), size, axis=axis)


def laminate(thickness: Sequence[int], *, axis: int, shift: int = 0) -> NDArray[np.uint8]:
    """Plane layers, stiff and soft in turn (Backus 1962, doi:10.1029/JZ067i011p04427).

    Args:
        thickness: Thickness of an even number of layers, the first of them stiff, with sum n [voxel].
        axis: Axis normal to the layers.
        shift: Position of the first layer along the axis [voxel].

    Returns:
        Phase per voxel, 0 or 1, shape (n, n, n).
    """
    phases = np.arange(1, len(thickness) + 1, dtype=np.uint8) % 2
    line = np.roll(np.repeat(phases, thickness), shift)
    size = len(line)
    shape = [size if direction == axis else 1 for direction in range(3)]
    return np.broadcast_to(line.reshape(shape), (size, size, size)).copy()


def minimal_surface(
    size: int,
    surface: str,
    periods: Sequence[int],
    shift: Sequence[float],
    volume_fraction: float,
    *,
    sheet: bool = False,
    inverted: bool = False,
) -> NDArray[np.uint8]:
    """Triply periodic minimal surface by a level set (Schwarz & Gompper 1999, doi:10.1103/PhysRevE.59.5528).

    Args:
        size: Voxels per edge, n.
        surface: One of `SURFACES`.
        periods: Periods of the surface in the cell along x, y, z, shape (3,).
        shift: Displacement of the surface, in its periods, shape (3,).
        volume_fraction: Share of stiff voxels [-]; exactly round(f n³) voxels are stiff.
        sheet: Whether one phase is a sheet along the surface and the other fills both sides of it; otherwise
            the phases lie on the two sides (skeletons).
        inverted: Whether soft and stiff change places.

    Returns:
        Phase per voxel, 0 or 1, shape (n, n, n).
    """
    level = surface_level(size, surface, periods, shift)
    level = -np.abs(level) if sheet else level
    return cut_at_quantile(-level if inverted else level, volume_fraction)


def surface_level(size: int, surface: str, periods: Sequence[int], shift: Sequence[float]) -> Field:
    """Function that vanishes on a triply periodic minimal surface, or near it.

    Args:
        size: Voxels per edge, n; voxel 0 has the phase angle of the shift.
        surface: One of `SURFACES`.
        periods: Periods of the surface in the cell along x, y, z, shape (3,).
        shift: Displacement of the surface, in its periods, shape (3,).

    Returns:
        Shape (n, n, n). Voxels that are whole periods apart have equal values, to the last bit.
    """
    angles = []
    for axis in range(3):
        turns = (np.arange(size) * periods[axis] % size) / size + shift[axis]
        angles.append(
            (2.0 * np.pi * turns).reshape([size if direction == axis else 1 for direction in range(3)])
        )
    return SURFACES[surface](*angles)


def voronoi_walls(
    size: int, seeds: Field, volume_fraction: float, *, stiff_walls: bool = True
) -> NDArray[np.uint8]:
    """Walls of Voronoi cells (Roberts & Garboczi 2001, doi:10.1016/S1359-6454(00)00314-1).

    A voxel is in a wall where its distances to the two nearest seeds differ least. Only the nearest
    image of a seed counts, so that no cell has a wall with itself.

    Args:
        size: Voxels per edge, n.
        seeds: Points in units of the cell, shape (N, 3), N of 2 or more.
        volume_fraction: Share of stiff voxels [-]; exactly round(f n³) voxels are stiff.
        stiff_walls: Whether the walls are stiff; otherwise the cells are.

    Returns:
        Phase per voxel, 0 or 1, shape (n, n, n).
    """
    first = np.full((size,) * 3, np.inf)
    second = first.copy()
    for seed in seeds:
        square = _squared_distance(size, seed)
        np.minimum(second, np.maximum(first, square), out=second)
        np.minimum(first, square, out=first)
    difference = np.sqrt(second) - np.sqrt(first)
    return cut_at_quantile(-difference if stiff_walls else difference, volume_fraction)


def _squared_distance(size: int, centre: Field) -> Field:
    """Squared distance of each voxel to the nearest periodic image of a centre, shape (n,) * d [cell²]."""
    offset = (np.arange(size) + 0.5) / size - centre[:, None]
    squares = (offset - np.round(offset)) ** 2
    total = squares[0]
    for line in squares[1:]:
        total = total[..., None] + line
    return total


def _scaled_distance(size: int, centres: Field, radii: Field) -> Field:
    """Least squared distance to any centre, in units of the radius of that centre, shape (n,) * d."""
    nearest = np.full((size,) * centres.shape[1], np.inf)
    for centre, radius in zip(centres, radii, strict=True):
        np.minimum(nearest, _squared_distance(size, centre) / radius**2, out=nearest)
    return nearest


def _gyroid(x: Field, y: Field, z: Field) -> Field:
    return np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)


def _schwarz_p(x: Field, y: Field, z: Field) -> Field:
    return np.cos(x) + np.cos(y) + np.cos(z)


def _schwarz_d(x: Field, y: Field, z: Field) -> Field:
    # the sum of sin sin sin + sin cos cos + cos sin cos + cos cos sin
    return np.cos(z) * np.sin(x + y) + np.sin(z) * np.cos(x - y)


def _iwp(x: Field, y: Field, z: Field) -> Field:
    mixed = np.cos(x) * np.cos(y) + np.cos(y) * np.cos(z) + np.cos(z) * np.cos(x)
    return 2.0 * mixed - (np.cos(2.0 * x) + np.cos(2.0 * y) + np.cos(2.0 * z))


def _neovius(x: Field, y: Field, z: Field) -> Field:
    return 3.0 * (np.cos(x) + np.cos(y) + np.cos(z)) + 4.0 * np.cos(x) * np.cos(y) * np.cos(z)


SURFACES: Mapping[str, Callable[[Field, Field, Field], Field]] = MappingProxyType(
    {"gyroid": _gyroid, "schwarz-p": _schwarz_p, "schwarz-d": _schwarz_d, "i-wp": _iwp, "neovius": _neovius}
)
"""Level functions of triply periodic minimal surfaces, of three phase angles [rad]."""
