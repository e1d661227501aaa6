"""Morphologies of regular cells: triply periodic minimal surfaces and lattices of bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.random import Generator
from numpy.typing import NDArray

from vaereg.generators.fields import cut_at_quantile
from vaereg.generators.recipe import Microstructure, Parameters, Triple, log_uniform, triple
from vaereg.generators.shapes import SURFACES, surface_level

__all__ = [
    "LATTICES",
    "LatticeParameters",
    "SurfaceParameters",
    "draw_lattice",
    "draw_tpms",
    "lattice_field",
    "make_lattice",
    "make_tpms",
    "mirrored_shift",
    "surface_field",
]

REFERENCE_EDGE = 32
"""Edge of the cell that numbers of periods are given for [voxel]."""
SURFACE_FRACTION, LATTICE_FRACTION = (0.15, 0.75), (0.08, 0.42)
"""Volume fractions of the stiff phase [-]."""
MOST_PERIODS: Mapping[str, int] = MappingProxyType(
    {
        **{"schwarz-p": 4, "gyroid": 4, "schwarz-d": 2, "i-wp": 2, "neovius": 2},
        **{"cubic": 4, "body-centred": 3, "face-centred": 3, "octet": 2},
    }
)
"""Most periods along an axis in a cell of `REFERENCE_EDGE` voxels, so that every part is seen."""
LEAST_PERIOD = 6
"""Least period [voxel]."""
EQUAL_PERIODS, EQUAL_BARS = 0.4, 0.5
"""Shares of volumes with equal periods, and with bars of equal thickness, along all axes [-]."""
BAR_WEIGHT = (0.45, 1.0)
"""Relative thickness of unequal bars [-]."""

Field = NDArray[np.float64]

_AXES = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
_BODY = [(1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]
_FACE = [(1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]
_CENTRES = [(0.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)]

LATTICES: Mapping[str, tuple[Field, Field]] = MappingProxyType(
    {
        name: (np.array(directions, dtype=np.float64), np.array(origins, dtype=np.float64))
        for name, directions, origins in (
            ("cubic", _AXES, _CENTRES[:1]),
            ("body-centred", _BODY, _CENTRES[:1]),
            ("face-centred", _FACE, _CENTRES[:1]),
            ("octet", _FACE, _CENTRES),
        )
    }
)
"""Directions of the bars of each lattice, and points of the unit cell through which bars of all run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SurfaceParameters(Parameters):
    """Parameters of a triply periodic minimal surface."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("period",)

    variant: str
    """Name of the surface, one of `vaereg.generators.shapes.SURFACES`."""
    sheet: bool
    """Whether one phase is a sheet along the surface; otherwise the phases lie on its two sides."""
    inverted: bool
    """Whether soft and stiff change places."""
    period: Triple
    """Periods along x, y, z [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatticeParameters(Parameters):
    """Parameters of a lattice of bars."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("period",)

    variant: str
    """Name of the lattice, one of `LATTICES`."""
    period: Triple
    """Periods along x, y, z [voxel]."""
    weights: Triple
    """Relative thickness of bars along x, y, z, the largest 1; oblique bars have a weighted mean [-]."""


def _draw_period(variant: str, generator: Generator) -> Triple:
    counts = generator.integers(1, MOST_PERIODS[variant] + 1, 3)
    if generator.random() < EQUAL_PERIODS:
        counts[:] = counts[0]
    return triple(REFERENCE_EDGE / counts)


def draw_tpms(generator: Generator) -> SurfaceParameters:
    """Random parameters of a minimal surface."""
    variant = list(SURFACES)[int(generator.integers(len(SURFACES)))]
    return SurfaceParameters(
        volume_fraction=float(generator.uniform(*SURFACE_FRACTION)),
        variant=variant,
        sheet=bool(generator.random() < 0.5),
        inverted=bool(generator.random() < 0.5),
        period=_draw_period(variant, generator),
    )


def draw_lattice(generator: Generator) -> LatticeParameters:
    """Random parameters of a lattice."""
    variant = list(LATTICES)[int(generator.integers(len(LATTICES)))]
    weights = np.ones(3)
    if generator.random() >= EQUAL_BARS:
        weights = np.array([log_uniform(*BAR_WEIGHT, generator) for _ in range(3)])
    return LatticeParameters(
        volume_fraction=float(generator.uniform(*LATTICE_FRACTION)),
        variant=variant,
        period=_draw_period(variant, generator),
        weights=triple(weights / weights.max()),
    )


def make_tpms(parameters: SurfaceParameters, size: int, generator: Generator) -> Microstructure:
    """Sheet along, or network on one side of, a minimal surface; see `shapes.surface_level`.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n; along each axis lies a whole number of periods.
        generator: Source of the random shift.
    """
    field = surface_field(
        parameters.variant,
        np.asarray(parameters.period),
        size,
        sheet=parameters.sheet,
        inverted=parameters.inverted,
        shift=generator.random(3),
    )
    counts = _counts(parameters.period, size)
    recipe = {
        "volume_fraction": parameters.volume_fraction,
        "variant": parameters.variant,
        "sheet": parameters.sheet,
        "inverted": parameters.inverted,
        "periods": counts,
        "period": [size / count for count in counts],
    }
    return Microstructure(volume=cut_at_quantile(field, parameters.volume_fraction), recipe=recipe)


def surface_field(
    variant: str, period: Field, size: int, *, sheet: bool, inverted: bool, shift: Field
) -> Field:
    """Field of a minimal surface whose highest values are stiff, shape (n, n, n).

    Args:
        variant: One of `vaereg.generators.shapes.SURFACES`.
        period: Periods along x, y, z, rounded so that whole numbers lie in the cell, shape (3,) [voxel].
        size: Voxels per edge, n.
        sheet: Whether one phase is a sheet along the surface.
        inverted: Whether soft and stiff change places.
        shift: Displacement along x, y, z, over the periods, shape (3,) [-].
    """
    level = surface_level(size, variant, _counts(period, size), shift.tolist())
    level = -np.abs(level) if sheet else level
    return -level if inverted else level


def make_lattice(parameters: LatticeParameters, size: int, generator: Generator) -> Microstructure:
    """Round bars of a cubic, body-centred, face-centred or octet lattice, stretched along the axes.

    Lattices as in Ashby 2006 (doi:10.1098/rsta.2005.1678).

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n; along each axis lies a whole number of periods.
        generator: Source of the random shift.
    """
    weights = np.asarray(parameters.weights)
    period = np.asarray(parameters.period)
    field = lattice_field(parameters.variant, period, weights, size, generator.random(3))
    counts = _counts(parameters.period, size)
    volume = cut_at_quantile(field, parameters.volume_fraction)
    recipe = {
        "volume_fraction": parameters.volume_fraction,
        "variant": parameters.variant,
        "periods": counts,
        "period": [size / count for count in counts],
        "weights": parameters.weights,
        "strut_radius": float(-field[volume == 1].min()),
    }
    return Microstructure(volume=volume, recipe=recipe)


def lattice_field(variant: str, period: Field, weights: Field, size: int, shift: Field) -> Field:
    """Field of a lattice whose highest values are stiff: minus the distance to the bars, shape (n, n, n).

    Args:
        variant: One of `LATTICES`.
        period: Periods along x, y, z, rounded so that whole numbers lie in the cell, shape (3,) [voxel].
        weights: Relative thickness of bars along x, y, z, shape (3,) [-].
        size: Voxels per edge, n.
        shift: Displacement along x, y, z, over the periods, shape (3,) [-].
    """
    counts = np.array(_counts(period, size))
    directions, origins = LATTICES[variant]
    squares = directions**2 / (directions**2).sum(axis=1, keepdims=True)
    x, y, z = [
        ((np.arange(size) * count % size) / size + start) % 1.0
        for count, start in zip(counts.tolist(), shift.tolist(), strict=True)
    ]
    return -_bar_distance(x, y, z, directions, origins, squares @ weights, size / counts)


def mirrored_shift(period: Field, size: int) -> Field:
    """Displacement, over the periods, that brings the origin of the unit cell into the mirrors of the array
    of voxels, half a voxel before the first, shape (3,) [-].
    """
    return 0.5 * np.array(_counts(period, size)) / size


def _counts(period: Sequence[float] | Field, size: int) -> list[int]:
    most = max(size // LEAST_PERIOD, 1)
    return [min(max(round(size / length), 1), most) for length in period]


@njit(cache=True, nogil=True)
def _bar_distance(
    x: Field, y: Field, z: Field, directions: Field, origins: Field, thickness: Field, period: Field
) -> Field:
    """Distance to the nearest bar over its relative thickness [voxel], at places (n,) [unit cell]."""
    out = np.full((len(x), len(y), len(z)), np.inf)
    least = np.empty(len(z))
    for bar in range(len(directions)):
        u = directions[bar] * period
        u /= np.sqrt((u * u).sum())
        for i in range(len(x)):
            for j in range(len(y)):
                least[:] = np.inf
                for origin in origins:
                    for image in range(27):
                        in_x = (x[i] - origin[0] - (image // 9 - 1)) * period[0]
                        in_y = (y[j] - origin[1] - (image // 3 % 3 - 1)) * period[1]
                        along, square = in_x * u[0] + in_y * u[1], in_x * in_x + in_y * in_y
                        start, step = image % 3 - 1, period[2]
                        for k in range(len(z)):
                            in_z = (z[k] - origin[2] - start) * step
                            total = along + in_z * u[2]
                            least[k] = min(least[k], square + in_z * in_z - total * total)
                for k in range(len(z)):
                    out[i, j, k] = min(out[i, j, k], np.sqrt(max(least[k], 0.0)) / thickness[bar])
    return out
