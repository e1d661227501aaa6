"""Morphologies of points and their cells: particles, pores, closed foam, grains, open foam.

Distances F1 <= F2 <= F3 to the nearest points, in a metric that is stretched along the axes, define them all
(Worley 1996, doi:10.1145/237170.237267): F1 is small in a particle, F2 - F1 in the wall between two cells,
F3 - F1 in the strut where three cells meet. The volume is cut at the volume fraction.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vaereg.generators.fields import cut_at_quantile
from vaereg.generators.points import nearest_distances, separated_points, voxel_centres
from vaereg.generators.recipe import Microstructure, Parameters, Triple, draw_stretch, log_uniform, triple

__all__ = [
    "CellParameters",
    "ParticleParameters",
    "draw_closed_foam",
    "draw_grains",
    "draw_open_foam",
    "draw_particles",
    "draw_pores",
    "make_closed_foam",
    "make_grains",
    "make_open_foam",
    "make_particles",
    "make_pores",
]

REFERENCE_EDGE = 32
"""Edge of the cell that numbers of points are given for [voxel]."""
PARTICLE_COUNT, FOAM_COUNT, GRAIN_COUNT, OPEN_FOAM_COUNT = (6, 40), (6, 36), (6, 30), (4, 20)
"""Numbers of points in a cell of `REFERENCE_EDGE` voxels."""
PARTICLE_FRACTION, PORE_FRACTION = (0.10, 0.42), (0.55, 0.90)
"""Volume fractions of the stiff phase: of particles, and of the matrix around pores [-]."""
FOAM_FRACTION, GRAIN_FRACTION, OPEN_FOAM_FRACTION = (0.15, 0.60), (0.45, 0.88), (0.08, 0.40)
"""Volume fractions of walls, of grains and of struts [-]."""
PARTICLE_STRETCH, CELL_STRETCH = 3.0, 4.0
"""Largest ratio of the longest to the shortest axis of particles, and of pores and cells [-]."""
RADIUS_SPREAD = (0.0, 0.2)
"""Standard deviations of the radii of particles, relative to their mean [-]."""
GAP = 1.6
"""Gap that particles keep where there is room [voxel]."""
DENSEST = 1.05
"""Largest distance of neighbours that random points can keep, relative to their mean spacing [-]."""
LEAST_COUNT = 3
"""Least number of points, for three cells to meet."""
_WEIGHED = 6
"""Nearest points that are compared where radii differ."""

Field = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class CellParameters(Parameters):
    """Parameters of cells around points."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("spacing",)

    spacing: Triple
    """Mean spacing of the points along x, y, z; its product is the volume per point [voxel]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParticleParameters(CellParameters):
    """Parameters of particles or pores."""

    radius_spread: float
    """Standard deviation of the radii, relative to their mean [-]."""


def _draw_spacing(count: tuple[int, int], largest: float, generator: Generator) -> Triple:
    edge = REFERENCE_EDGE / log_uniform(count[0], count[1], generator) ** (1.0 / 3.0)
    return triple(edge * draw_stretch(largest, generator))


def _draw_round(fractions: tuple[float, float], largest: float, generator: Generator) -> ParticleParameters:
    return ParticleParameters(
        volume_fraction=float(generator.uniform(*fractions)),
        spacing=_draw_spacing(PARTICLE_COUNT, largest, generator),
        radius_spread=float(generator.uniform(*RADIUS_SPREAD)),
    )


def _draw_cells(
    fractions: tuple[float, float], count: tuple[int, int], generator: Generator
) -> CellParameters:
    return CellParameters(
        volume_fraction=float(generator.uniform(*fractions)),
        spacing=_draw_spacing(count, CELL_STRETCH, generator),
    )


draw_particles = partial(_draw_round, PARTICLE_FRACTION, PARTICLE_STRETCH)
draw_pores = partial(_draw_round, PORE_FRACTION, CELL_STRETCH)
draw_closed_foam = partial(_draw_cells, FOAM_FRACTION, FOAM_COUNT)
draw_grains = partial(_draw_cells, GRAIN_FRACTION, GRAIN_COUNT)
draw_open_foam = partial(_draw_cells, OPEN_FOAM_FRACTION, OPEN_FOAM_COUNT)


def make_particles(
    parameters: ParticleParameters, size: int, generator: Generator, *, stiff: bool = True
) -> Microstructure:
    """Separate ellipsoids with axes along x, y, z, as round as the spacing is equal.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
        stiff: Whether the particles are stiff; otherwise they are pores.
    """
    stretch, box, count = _metric(parameters, size)
    share = parameters.volume_fraction if stiff else 1.0 - parameters.volume_fraction
    spacing = (box.prod() / count) ** (1.0 / 3.0)
    radius = spacing * (3.0 * share / (4.0 * np.pi)) ** (1.0 / 3.0)
    distance = min(2.0 * radius + GAP, DENSEST * spacing)
    points = separated_points(box, count, distance=distance, generator=generator)
    larger = parameters.radius_spread * radius * generator.standard_normal(count)
    distances, indices = nearest_distances(points, box, size, min(_WEIGHED, count))
    surface = (distances - larger[indices]).min(axis=0)
    volume = cut_at_quantile(-surface if stiff else surface, parameters.volume_fraction)
    level = surface[volume == stiff].max()
    return _result(volume, parameters, stretch, box, count, radius=triple(level * stretch))


def make_pores(parameters: ParticleParameters, size: int, generator: Generator) -> Microstructure:
    """Separate soft ellipsoids in a stiff matrix, see `make_particles`."""
    return make_particles(parameters, size, generator, stiff=False)


def make_closed_foam(
    parameters: CellParameters, size: int, generator: Generator, *, stiff: bool = True
) -> Microstructure:
    """Walls between cells (Roberts & Garboczi 2001, doi:10.1016/S1359-6454(00)00314-1).

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
        stiff: Whether the walls are stiff; otherwise the cells are, as grains between soft boundaries.
    """
    stretch, box, count = _metric(parameters, size)
    points = separated_points(box, count, generator=generator)
    distances, indices = nearest_distances(points, box, size, 2)
    gap = distances[1] - distances[0]
    volume = cut_at_quantile(-gap if stiff else gap, parameters.volume_fraction)
    thickness = _thickness(volume == stiff, points, box, distances, indices)
    return _result(volume, parameters, stretch, box, count, wall_thickness=triple(thickness * stretch))


def make_grains(parameters: CellParameters, size: int, generator: Generator) -> Microstructure:
    """Stiff grains with soft boundaries, see `make_closed_foam`."""
    return make_closed_foam(parameters, size, generator, stiff=False)


def make_open_foam(parameters: CellParameters, size: int, generator: Generator) -> Microstructure:
    """Stiff struts where three cells meet (Roberts & Garboczi 2002, doi:10.1016/S0022-5096(01)00056-4).

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
    """
    stretch, box, count = _metric(parameters, size)
    points = separated_points(box, count, generator=generator)
    distances, indices = nearest_distances(points, box, size, 3)
    gap = distances[2] - distances[0]
    volume = cut_at_quantile(-gap, parameters.volume_fraction)
    thickness = _thickness(volume == 1, points, box, distances, indices)
    return _result(volume, parameters, stretch, box, count, strut_thickness=triple(thickness * stretch))


def _metric(parameters: CellParameters, size: int) -> tuple[Field, Field, int]:
    """Stretch of unit product (3,), edges of the cell in the metric where cells are round (3,), and count."""
    spacing = np.asarray(parameters.spacing)
    stretch = spacing / spacing.prod() ** (1.0 / 3.0)
    count = max(round(size**3 / spacing.prod()), LEAST_COUNT)
    return stretch, size / stretch, count


def _thickness(
    inside: NDArray[np.bool_], points: Field, box: Field, distances: Field, indices: NDArray[np.intp]
) -> float:
    """Mean thickness of walls or struts, in the metric where cells are round [voxel].

    The difference of the distances to the last and the first point grows from 0 in the middle to its value
    at the surface. Its slope is the length of the difference of the unit vectors to the two points: 2 in a
    wall on the line between its points, less beside this line.

    Args:
        inside: Whether a voxel is in a wall or strut, shape (n, n, n).
        points: Positions, shape (N, 3).
        box: Edges of the periodic box, shape (3,).
        distances: Distances to the nearest points, shape (M, n, n, n).
        indices: Indices of these points, shape (M, n, n, n).
    """
    centres = voxel_centres(len(inside), box)[inside.ravel()]
    units = []
    for order in (0, -1):
        step = centres - points[indices[order][inside]]
        step -= box * np.round(step / box)
        units.append(step / distances[order][inside][:, None])
    slope = np.linalg.norm(units[1] - units[0], axis=1).mean()
    return float(2.0 * (distances[-1] - distances[0])[inside].max() / slope)


def _result(
    volume: NDArray[np.uint8],
    parameters: ParticleParameters | CellParameters,
    stretch: Field,
    box: Field,
    count: int,
    **lengths: Triple,
) -> Microstructure:
    """Volume with its recipe: the spacing is that of the whole number of points."""
    recipe: dict[str, Any] = {
        "volume_fraction": parameters.volume_fraction,
        "count": count,
        "spacing": triple(stretch * (box.prod() / count) ** (1.0 / 3.0)),
        **lengths,
    }
    if isinstance(parameters, ParticleParameters):
        recipe["radius_spread"] = parameters.radius_spread
    return Microstructure(volume=volume, recipe=recipe)
