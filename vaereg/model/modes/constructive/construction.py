"""Fields of the constructed modes: distances to cells, layers and oriented bodies, and periodic level sets.

Positions and directions are drawn at random; the geometry of z stretches them, so a field has a gradient in
the geometry wherever a small change of it moves the distances. Which point is nearest is found by compiled
loops without a gradient; the distances to it are computed again in PyTorch.

Letters: N points, X Y Z voxels along the axes. A cell has lengths (X, Y, Z) [voxel] and is periodic.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from vaereg.generators.bodies import DISTANCE
from vaereg.generators.points import separated_points

__all__ = ["bodies_field", "cells_field", "coordinates"]

_FEWEST_CELLS, _MOST_POINTS = 3, 20_000
"""Least number of cells and largest number of points in a volume."""
_ROUNDING = 1e-4
"""Square added under roots, so that the slope at zero distance is finite."""


def coordinates(shape: tuple[int, int, int], warp: Tensor, displacement: Tensor) -> Tensor:
    """Coordinates of the voxel centres [voxel], displaced by a smooth field, shape (3, X, Y, Z).

    Args:
        shape: Voxels along the axes.
        warp: Root mean square displacement [voxel], a scalar tensor that may carry a gradient.
        displacement: Smooth periodic fields of unit variance, shape (3, X, Y, Z).
    """
    axes = [torch.arange(n, device=warp.device, dtype=torch.float32) + 0.5 for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")) + warp * displacement


def cells_field(
    spacing: Tensor,
    spread: Tensor,
    places: Tensor,
    *,
    order: int,
    apart: float = 0.0,
    layered: bool = False,
    generator: np.random.Generator,
) -> Tensor:
    """Distance to the nearest of scattered points, or how much farther others are, shape (X, Y, Z) [-].

    Args:
        spacing: Spacing of the points along the axes, shape (3,) [voxel]; distances are measured in it.
        spread: Standard deviation of what is added to the distances from each point, over the spacing [-].
        places: Coordinates of the voxels, shape (3, X, Y, Z) [voxel].
        order: 1 for the distance F1 to the nearest point, 2 for F2 - F1 (walls of Voronoi cells are where it
            vanishes), 3 for F3 - F1 (edges of the cells).
        apart: Distance to which points repel one another, over their mean spacing [-].
        layered: Whether a spacing above the length of the cell stands for no structure along this axis.
        generator: Source of the positions.
    """
    lengths = np.array(places.shape[1:], dtype=np.float64)
    scale = spacing.detach().double().cpu().numpy()
    box = lengths / scale
    kept = np.maximum(box, 1.0) if layered else box
    least = 1 if layered else _FEWEST_CELLS
    count = int(np.clip(round(float(np.prod(kept))), least, _MOST_POINTS))
    mean_spacing = (float(np.prod(kept)) / count) ** (1.0 / 3.0)
    points = separated_points(box, count, distance=apart * mean_spacing, generator=generator) * scale
    offsets = generator.standard_normal(count)
    added = float(spread.detach()) * offsets
    scaled = (places.detach().cpu().numpy() / scale[:, None, None, None]).astype(np.float32)
    nearest = _three_nearest(scaled, (points / scale).astype(np.float32), box, added.astype(np.float32))
    chosen = torch.from_numpy(nearest[[0, order - 1]]).long().to(spacing.device)
    distance = _metric_distance(places, points, lengths, spacing, chosen)
    distance = distance + spread * torch.from_numpy(offsets).to(distance)[chosen]
    return distance[0] if order == 1 else distance[1] - distance[0]


def bodies_field(
    spacing: Tensor,
    extent: Tensor,
    weights: Tensor,
    places: Tensor,
    *,
    flat: bool,
    generator: np.random.Generator,
) -> Tensor:
    """Distance to the nearest oriented needle or disc, shape (X, Y, Z) [voxel].

    Args:
        spacing: Spacing of the centres along the axes, shape (3,) [voxel].
        extent: Half-length of a needle, or radius of a disc [voxel].
        weights: Weights of the directions along the axes, shape (3,) [-]: normal deviates times weights are
            normalised (angular central Gaussian distribution, Tyler 1987, doi:10.1093/biomet/74.3.579).
        places: Coordinates of the voxels, shape (3, X, Y, Z) [voxel].
        flat: Whether bodies are discs with the direction as their normal; otherwise needles along it.
        generator: Source of positions and directions.
    """
    lengths = np.array(places.shape[1:], dtype=np.float64)
    scale = spacing.detach().double().cpu().numpy()
    box = lengths / scale
    count = int(np.clip(round(float(np.prod(box))), 1, _MOST_POINTS))
    mean_spacing = (float(np.prod(box)) / count) ** (1.0 / 3.0)
    points = separated_points(box, count, distance=DISTANCE * mean_spacing, generator=generator) * scale
    directions = weights * torch.from_numpy(generator.standard_normal((count, 3))).to(weights)
    directions = directions / directions.norm(dim=1, keepdim=True)
    nearest = _nearest_body(
        places.detach().cpu().numpy(),
        points.astype(np.float32),
        directions.detach().cpu().numpy().astype(np.float32),
        lengths.astype(np.float32),
        float(extent.detach()),
        flat,
    )
    chosen = torch.from_numpy(nearest).long().to(spacing.device)
    square, along = torch.zeros(()), torch.zeros(())
    for axis in range(3):
        offset = places[axis] - torch.from_numpy(points[:, axis]).to(places)[chosen]
        offset = offset - lengths[axis] * torch.round(offset / lengths[axis])
        square = square + offset.square()
        along = along + offset * directions[:, axis][chosen]
    across = (square - along.square()).clamp_min(0.0)
    if flat:
        beyond = torch.relu((across + _ROUNDING).sqrt() - extent)
        return (along.square() + beyond.square() + _ROUNDING).sqrt()
    beyond = torch.relu(along.abs() - extent)
    return (across + beyond.square() + _ROUNDING).sqrt()


def _metric_distance(
    places: Tensor, points: NDArray[np.float64], lengths: NDArray[np.float64], spacing: Tensor, chosen: Tensor
) -> Tensor:
    """Distance to chosen points in units of the spacing, shape of `chosen`; differentiable in the spacing."""
    square = torch.zeros((), device=spacing.device)
    for axis in range(3):
        offset = places[axis] - torch.from_numpy(points[:, axis]).to(places)[chosen]
        offset = offset - lengths[axis] * torch.round(offset / lengths[axis])
        square = square + (offset / spacing[axis]).square()
    return (square + _ROUNDING).sqrt()


_BLOCK = 8
"""Edge of the blocks of voxels that leave out the points which can be nearest to none of them [voxel]."""


@njit(cache=True)
def _block_centre(
    places: NDArray[np.float32], x: int, y: int, z: int, centre: NDArray[np.float32]
) -> np.float32:
    """Centre of the places of the block that begins at a voxel, and the distance to the farthest of them."""
    _, nx, ny, nz = places.shape
    ends = (min(x + _BLOCK, nx), min(y + _BLOCK, ny), min(z + _BLOCK, nz))
    square = np.float32(0.0)
    for axis in range(3):
        low, high = np.float32(1e30), np.float32(-1e30)
        for i in range(x, ends[0]):
            for j in range(y, ends[1]):
                for k in range(z, ends[2]):
                    low = min(low, places[axis, i, j, k])
                    high = max(high, places[axis, i, j, k])
        centre[axis] = np.float32(0.5) * (low + high)
        square += (np.float32(0.5) * (high - low)) ** 2
    return np.float32(math.sqrt(square)) + np.float32(1e-4)


@njit(cache=True, fastmath=True, inline="always")
def _offset(place: np.float32, point: np.float32, length: np.float32) -> np.float32:
    """Offset of a place from the nearest periodic image of a point."""
    step = place - point
    return step - length * np.float32(math.floor(step / length + np.float32(0.5)))


@njit(cache=True, fastmath=True)
def _three_nearest(
    places: NDArray[np.float32],
    points: NDArray[np.float32],
    box: NDArray[np.float64],
    added: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Indices of the three nearest points of each place by distance plus `added`, shape (3, X, Y, Z).

    Args:
        places: Shape (3, X, Y, Z), in the units of the box.
        points: Shape (N, 3), within the box.
        box: Lengths of the periodic box, shape (3,).
        added: What is added to the distance from each point, shape (N,).
    """
    _, nx, ny, nz = places.shape
    nearest = np.zeros((3, nx, ny, nz), np.int32)
    b0, b1, b2 = np.float32(box[0]), np.float32(box[1]), np.float32(box[2])
    centre = np.zeros(3, np.float32)
    distances = np.zeros(len(points), np.float32)
    kept = np.zeros(len(points), np.int64)
    for x0 in range(0, nx, _BLOCK):
        for y0 in range(0, ny, _BLOCK):
            for z0 in range(0, nz, _BLOCK):
                # a distance changes by no more than the step: what is farther from the centre than the third
                # nearest by twice the radius is not among the three nearest of any place of the block
                radius = _block_centre(places, x0, y0, z0, centre)
                first, second, third = np.float32(1e9), np.float32(1e9), np.float32(1e9)
                for n in range(len(points)):
                    d0 = _offset(centre[0], points[n, 0], b0)
                    d1 = _offset(centre[1], points[n, 1], b1)
                    d2 = _offset(centre[2], points[n, 2], b2)
                    d = np.float32(math.sqrt(d0 * d0 + d1 * d1 + d2 * d2)) + added[n]
                    distances[n] = d
                    if d < first:
                        third, second, first = second, first, d
                    elif d < second:
                        third, second = second, d
                    elif d < third:
                        third = d
                count = 0
                for n in range(len(points)):
                    if distances[n] <= third + np.float32(2.0) * radius:
                        kept[count] = n
                        count += 1
                for x in range(x0, min(x0 + _BLOCK, nx)):
                    for y in range(y0, min(y0 + _BLOCK, ny)):
                        for z in range(z0, min(z0 + _BLOCK, nz)):
                            first, second, third = np.float32(1e9), np.float32(1e9), np.float32(1e9)
                            i, j, k = 0, 0, 0
                            for place in range(count):
                                n = kept[place]
                                d0 = _offset(places[0, x, y, z], points[n, 0], b0)
                                d1 = _offset(places[1, x, y, z], points[n, 1], b1)
                                d2 = _offset(places[2, x, y, z], points[n, 2], b2)
                                d = np.float32(math.sqrt(d0 * d0 + d1 * d1 + d2 * d2)) + added[n]
                                if d < first:
                                    third, second, first = second, first, d
                                    k, j, i = j, i, n
                                elif d < second:
                                    third, second = second, d
                                    k, j = j, n
                                elif d < third:
                                    third = d
                                    k = n
                            nearest[0, x, y, z], nearest[1, x, y, z], nearest[2, x, y, z] = i, j, k
    return nearest


@njit(cache=True, fastmath=True, inline="always")
def _body_square(
    d0: np.float32,
    d1: np.float32,
    d2: np.float32,
    u0: np.float32,
    u1: np.float32,
    u2: np.float32,
    reach: np.float32,
    flat: bool,
) -> np.float32:
    """Squared distance to a needle or disc of direction u from the offset d of its centre."""
    along = d0 * u0 + d1 * u1 + d2 * u2
    across = max(d0 * d0 + d1 * d1 + d2 * d2 - along * along, np.float32(0.0))
    if flat:
        beyond = max(np.float32(math.sqrt(across)) - reach, np.float32(0.0))
        return along * along + beyond * beyond
    beyond = max(abs(along) - reach, np.float32(0.0))
    return across + beyond * beyond


@njit(cache=True, fastmath=True)
def _nearest_body(
    places: NDArray[np.float32],
    points: NDArray[np.float32],
    directions: NDArray[np.float32],
    lengths: NDArray[np.float32],
    extent: float,
    flat: bool,
) -> NDArray[np.int32]:
    """Index of the nearest needle (or disc) of each place, shape (X, Y, Z)."""
    _, nx, ny, nz = places.shape
    nearest = np.zeros((nx, ny, nz), np.int32)
    half, reach = np.float32(0.5), np.float32(extent)
    centre = np.zeros(3, np.float32)
    distances = np.zeros(len(points), np.float32)
    kept = np.zeros(len(points), np.int64)
    for x0 in range(0, nx, _BLOCK):
        for y0 in range(0, ny, _BLOCK):
            for z0 in range(0, nz, _BLOCK):
                radius = _block_centre(places, x0, y0, z0, centre)
                least = np.float32(1e30)
                for n in range(len(points)):
                    d0 = _offset(centre[0], points[n, 0], lengths[0])
                    d1 = _offset(centre[1], points[n, 1], lengths[1])
                    d2 = _offset(centre[2], points[n, 2], lengths[2])
                    if (
                        abs(d0) + radius > half * lengths[0]
                        or abs(d1) + radius > half * lengths[1]
                        or abs(d2) + radius > half * lengths[2]
                    ):
                        # places of the block may have other images nearest: none is nearer than its ball
                        distances[n] = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2) - reach
                        continue
                    u0, u1, u2 = directions[n, 0], directions[n, 1], directions[n, 2]
                    distances[n] = math.sqrt(_body_square(d0, d1, d2, u0, u1, u2, reach, flat))
                    least = min(least, distances[n])
                count = 0
                for n in range(len(points)):
                    if distances[n] <= least + np.float32(2.0) * radius:
                        kept[count] = n
                        count += 1
                for x in range(x0, min(x0 + _BLOCK, nx)):
                    for y in range(y0, min(y0 + _BLOCK, ny)):
                        for z in range(z0, min(z0 + _BLOCK, nz)):
                            smallest = np.float32(1e30)
                            p0, p1, p2 = places[0, x, y, z], places[1, x, y, z], places[2, x, y, z]
                            for entry in range(count):
                                n = kept[entry]
                                d0 = _offset(p0, points[n, 0], lengths[0])
                                d1 = _offset(p1, points[n, 1], lengths[1])
                                d2 = _offset(p2, points[n, 2], lengths[2])
                                u0, u1, u2 = directions[n, 0], directions[n, 1], directions[n, 2]
                                square = _body_square(d0, d1, d2, u0, u1, u2, reach, flat)
                                if square < smallest:
                                    smallest = square
                                    nearest[x, y, z] = n
    return nearest
