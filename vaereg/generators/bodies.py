"""Morphologies of oriented bodies: fibres, channels and platelets.

A fibre is a capsule (a cylinder with round ends), a platelet a disc with a round rim. Their directions u
follow the angular central Gaussian distribution (Tyler 1987, doi:10.1093/biomet/74.3.579): u = w g / |w g| of
standard normal g and weights w along the axes, from aligned (one large weight) over planar (two) to random.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.random import Generator
from numpy.typing import NDArray

from vaereg.generators.fields import cut_at_quantile
from vaereg.generators.points import separated_points
from vaereg.generators.recipe import Microstructure, Parameters, Triple, log_uniform, triple

__all__ = [
    "FibreParameters",
    "PlateletParameters",
    "draw_channels",
    "draw_fibres",
    "draw_platelets",
    "make_channels",
    "make_fibres",
    "make_platelets",
]

FIBRE_FRACTION, CHANNEL_FRACTION, PLATELET_FRACTION = (0.06, 0.40), (0.55, 0.90), (0.08, 0.40)
"""Volume fractions of the stiff phase: of fibres, of the matrix around channels, of platelets [-]."""
FIBRE_RADIUS, FIBRE_HALF_LENGTH = (1.7, 3.2), (9.0, 15.5)
"""Radii and half lengths of fibres and channels [voxel]."""
PLATELET_HALF_THICKNESS, PLATELET_RADIUS = (1.3, 2.0), (5.5, 11.0)
"""Half thickness and radii of platelets [voxel]."""
ALIGNED, PLANAR = 0.6, 0.2
"""Shares of volumes with directions about an axis and about a plane; the others are random [-]."""
SMALL_WEIGHT = (0.015, 0.12)
"""Weights of the directions that are avoided, relative to the largest [-]."""
DISTANCE = 0.9
"""Distance that centres keep where there is room, relative to their mean spacing [-]."""
LEAST_THICKNESS = 1.2
"""Least radius of a fibre and least half thickness of a platelet [voxel]: thinner bodies fall to pieces."""

Field = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class FibreParameters(Parameters):
    """Parameters of fibres or channels."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("radius", "half_length")

    radius: float
    """Radius [voxel]."""
    half_length: float
    """Half of the length of the axis, between the centres of the round ends [voxel]."""
    weights: Triple
    """Weights of directions along x, y, z, the largest 1 [-]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlateletParameters(Parameters):
    """Parameters of platelets."""

    LENGTHS: ClassVar[tuple[str, ...]] = ("half_thickness", "radius")

    half_thickness: float
    """Half thickness [voxel]."""
    radius: float
    """Radius of the flat faces [voxel]."""
    weights: Triple
    """Weights of the directions of the normals along x, y, z, the largest 1 [-]."""


def _draw_weights(generator: Generator) -> Triple:
    """Weights of directions about an axis, about a plane, or of random directions."""
    kind, order = generator.random(), generator.permutation(3)
    weights = np.ones(3)
    small = 2 if kind < ALIGNED else 1 if kind < ALIGNED + PLANAR else 0
    for axis in order[:small]:
        weights[axis] = log_uniform(*SMALL_WEIGHT, generator)
    return triple(weights)


def _draw_fibres(fractions: tuple[float, float], generator: Generator) -> FibreParameters:
    return FibreParameters(
        volume_fraction=float(generator.uniform(*fractions)),
        radius=float(generator.uniform(*FIBRE_RADIUS)),
        half_length=float(generator.uniform(*FIBRE_HALF_LENGTH)),
        weights=_draw_weights(generator),
    )


draw_fibres = partial(_draw_fibres, FIBRE_FRACTION)
draw_channels = partial(_draw_fibres, CHANNEL_FRACTION)


def draw_platelets(generator: Generator) -> PlateletParameters:
    """Random parameters of platelets."""
    return PlateletParameters(
        volume_fraction=float(generator.uniform(*PLATELET_FRACTION)),
        half_thickness=float(generator.uniform(*PLATELET_HALF_THICKNESS)),
        radius=float(generator.uniform(*PLATELET_RADIUS)),
        weights=_draw_weights(generator),
    )


def make_fibres(
    parameters: FibreParameters, size: int, generator: Generator, *, stiff: bool = True
) -> Microstructure:
    """Short fibres that may touch and cross.

    Their radius follows from the volume fraction and is near the one asked for.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
        stiff: Whether the fibres are stiff; otherwise they are channels.
    """
    share = parameters.volume_fraction if stiff else 1.0 - parameters.volume_fraction
    radius, half = max(parameters.radius, LEAST_THICKNESS), parameters.half_length
    volume = np.pi * radius**2 * (2.0 * half + 4.0 / 3.0 * radius)
    count = _count(share, volume, size, parameters.weights)
    directions = _directions(parameters.weights, count, generator)
    squares = (directions**2).mean(axis=0)
    extent = radius + half * np.sqrt(squares)
    centres, spacing = _centres(extent, count, size, generator)
    distance = _distance(centres, directions, half, share, radius, size, flat=False)
    phases = cut_at_quantile(-distance if stiff else distance, parameters.volume_fraction)
    recipe = {
        "volume_fraction": parameters.volume_fraction,
        "count": count,
        "radius": float(distance[phases == stiff].max()),
        "half_length": half,
        "spacing": triple(spacing),
        **_orientation(directions),
    }
    return Microstructure(volume=phases, recipe=recipe)


def make_channels(parameters: FibreParameters, size: int, generator: Generator) -> Microstructure:
    """Soft channels in a stiff matrix, see `make_fibres`."""
    return make_fibres(parameters, size, generator, stiff=False)


def make_platelets(parameters: PlateletParameters, size: int, generator: Generator) -> Microstructure:
    """Stiff discs that may touch and cross.

    Their thickness follows from the volume fraction and is near the one asked for.

    Args:
        parameters: Parameters, lengths in voxels.
        size: Voxels per edge, n.
        generator: Source of random numbers.
    """
    thickness, radius = max(parameters.half_thickness, LEAST_THICKNESS), parameters.radius
    volume = 2.0 * thickness * np.pi * (radius + thickness / 2.0) ** 2
    count = _count(parameters.volume_fraction, volume, size, parameters.weights)
    directions = _directions(parameters.weights, count, generator)
    squares = (directions**2).mean(axis=0)
    extent = thickness + radius * np.sqrt(1.0 - squares)
    centres, spacing = _centres(extent, count, size, generator)
    distance = _distance(centres, directions, radius, parameters.volume_fraction, thickness, size, flat=True)
    phases = cut_at_quantile(-distance, parameters.volume_fraction)
    recipe = {
        "volume_fraction": parameters.volume_fraction,
        "count": count,
        "half_thickness": float(distance[phases == 1].max()),
        "radius": radius,
        "spacing": triple(spacing),
        **_orientation(directions),
    }
    return Microstructure(volume=phases, recipe=recipe)


def _count(share: float, volume: float, size: int, weights: Triple) -> int:
    """Number of bodies: side by side where they are aligned, crossing at random where they are not."""
    aligned = sorted(weights)[1] < 0.5
    covered = share if aligned else -np.log1p(-share)  # a Boolean model covers 1 - exp(-N V / n³)
    return max(round(covered * size**3 / volume), 1)


def _directions(weights: Triple, count: int, generator: Generator) -> Field:
    vectors = np.asarray(weights) * generator.standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _centres(extent: Field, count: int, size: int, generator: Generator) -> tuple[Field, Field]:
    """Centres that keep apart in units of the bodies' mean extent (3,): positions (N, 3), spacing (3,)."""
    box = size / extent
    spacing = (box.prod() / count) ** (1.0 / 3.0)
    points = separated_points(box, count, distance=DISTANCE * spacing, generator=generator)
    return points * extent, extent * spacing


def _orientation(directions: Field) -> dict[str, Any]:
    """Orientation tensor <u u> (Advani & Tucker 1987, doi:10.1122/1.549945) and texture of the bodies."""
    tensor = directions.T @ directions / len(directions)
    texture = np.sqrt(np.diag(tensor))
    return {
        "orientation": [[float(value) for value in row] for row in tensor],
        "texture": triple(texture / texture.max()),
    }


def _distance(
    centres: Field, directions: Field, half: float, share: float, thickness: float, size: int, *, flat: bool
) -> Field:
    """Distance of each voxel to the axis of a fibre or the mid-plane of a disc, shape (n, n, n) [voxel]."""
    reach = 1.5 * thickness + 1.0
    while True:
        distance = np.full((size, size, size), np.inf)
        _rasterise(centres, directions, half, reach, flat, distance)
        if np.isfinite(distance).mean() >= share:
            break
        reach *= 1.5
    return np.where(np.isfinite(distance), distance, 2.0 * reach)


@njit(cache=True)
def _rasterise(centres: Field, directions: Field, half: float, reach: float, flat: bool, out: Field) -> None:
    """Least distance up to `reach` of each voxel to the bodies, all periodic images of which count."""
    size = len(out)
    first, last = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for body in range(len(centres)):
        u = directions[body]
        for axis in range(3):
            along = np.sqrt(max(1.0 - u[axis] ** 2, 0.0)) if flat else abs(u[axis])
            extent = half * along + reach
            first[axis] = int(np.floor(centres[body, axis] - extent - 0.5))
            last[axis] = int(np.ceil(centres[body, axis] + extent - 0.5)) + 1
        for x in range(first[0], last[0]):
            a = x + 0.5 - centres[body, 0]
            for y in range(first[1], last[1]):
                b = y + 0.5 - centres[body, 1]
                for z in range(first[2], last[2]):
                    c = z + 0.5 - centres[body, 2]
                    along = a * u[0] + b * u[1] + c * u[2]
                    across = max(a * a + b * b + c * c - along * along, 0.0)
                    if flat:
                        beyond = max(np.sqrt(across) - half, 0.0)
                        distance = np.sqrt(along * along + beyond * beyond)
                    else:
                        beyond = max(abs(along) - half, 0.0)
                        distance = np.sqrt(across + beyond * beyond)
                    if distance <= reach and distance < out[x % size, y % size, z % size]:
                        out[x % size, y % size, z % size] = distance
