"""Fields of the constructed modes: distances to cells, layers and oriented bodies, and periodic level sets.

Positions and directions are drawn at random; the geometry of z stretches them, so a field has a gradient in
the geometry wherever a small change of it moves the distances. A spacing stands for a number of points or
bodies that is not whole: the last of them counts by its share, so that statistics are continuous in it. Which
point is nearest is found by compiled loops without a gradient
(`vaereg.model.modes.constructive.nearest`); where one is asked for, the distances to it are computed again in
PyTorch.

Letters: N points, X Y Z voxels along the axes. A cell has lengths (X, Y, Z) [voxel] and is periodic.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.generators.bodies import DISTANCE
from vaereg.generators.points import separated_points
from vaereg.model.modes.constructive.nearest import ROUNDING, nearest_bodies, nearest_points
from vaereg.model.modes.constructive.symmetric import closed_bodies, closed_points

__all__ = ["bodies_field", "cells_field", "coordinates"]

_FEWEST_CELLS, _MOST_POINTS = 3, 20_000
"""Least number of cells and largest number of points in a volume."""
_LEAST_SHARE = 0.1
"""Share of a point or body below which it is left out, and the one before it is whole [-]."""
_HIDDEN = 1.2
"""Distance, over the spacing, that hides a point from its neighbours [-]."""


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
    symmetry: str = "none",
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
        symmetry: Symmetry that the positions have.
        generator: Source of the positions.
    """
    lengths = np.array(places.shape[1:], dtype=np.float64)
    scale = spacing.detach().double().cpu().numpy()
    box = lengths / scale
    if layered:
        layers = float(np.prod(np.maximum(box, 1.0)))
        count, share = min(round(layers), _MOST_POINTS), 1.0
        mean_spacing = (layers / count) ** (1.0 / 3.0)
    else:
        count, share, mean_spacing = _counted(box, _FEWEST_CELLS)
    if symmetry == "none":
        points = separated_points(box, count, distance=apart * mean_spacing, generator=generator)
        offsets, hidden = generator.standard_normal(count), np.zeros(count)
        hidden[-1] = _HIDDEN * (1.0 - share)
    else:  # points that come with their images are whole
        points, base = closed_points(
            box,
            count + share - 1.0,
            symmetry=symmetry,
            distance=apart * mean_spacing,
            spacing=mean_spacing,
            generator=generator,
        )
        offsets, hidden = generator.standard_normal(base.max() + 1)[base], np.zeros(len(points))
    points = points * scale
    nearest, distances = nearest_points(
        (places.detach().cpu().numpy() / scale.astype(np.float32)[:, None, None, None]).astype(
            np.float32, copy=False
        ),
        (points / scale).astype(np.float32),
        box.astype(np.float32),
        (float(spread.detach()) * offsets + hidden).astype(np.float32),
        order,
    )
    if not _has_gradient(spacing, spread, places):
        difference = distances[0] if order == 1 else distances[order - 1] - distances[0]
        return torch.from_numpy(difference).to(places)
    index = torch.from_numpy(nearest[[0, order - 1]]).long().to(spacing.device)
    distance = _metric_distance(places, points, lengths, spacing, index)
    distance = distance + (spread * torch.from_numpy(offsets) + torch.from_numpy(hidden)).to(distance)[index]
    return distance[0] if order == 1 else distance[1] - distance[0]


def bodies_field(
    spacing: Tensor,
    extent: Tensor,
    weights: Tensor,
    places: Tensor,
    *,
    flat: bool,
    symmetry: str = "none",
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
        symmetry: Symmetry that positions and directions have.
        generator: Source of positions and directions.
    """
    lengths = np.array(places.shape[1:], dtype=np.float64)
    scale = spacing.detach().double().cpu().numpy()
    box = lengths / scale
    count, share, mean_spacing = _counted(box, 1)
    if symmetry == "none":
        points = separated_points(box, count, distance=DISTANCE * mean_spacing, generator=generator)
        directions = _directions(weights, count, generator)
        shares = torch.ones(count).to(extent)
        shares[-1] = share ** (0.5 if flat else 1.0)  # of the area of a disc, of the length of a needle
    else:
        points, base = closed_points(
            box,
            count + share - 1.0,
            symmetry=symmetry,
            distance=DISTANCE * mean_spacing,
            spacing=mean_spacing,
            generator=generator,
        )
        drawn = _directions(weights, base.max() + 1, generator).detach().cpu().numpy()
        points, axes = closed_bodies(points, base, drawn, box, symmetry, mean_spacing)
        directions = torch.from_numpy(axes).to(weights)
        shares = torch.ones(len(points)).to(extent)
    points = points * scale
    extents = extent * shares
    nearest, distances = nearest_bodies(
        places.detach().cpu().numpy(),
        points.astype(np.float32),
        directions.detach().cpu().numpy().astype(np.float32),
        lengths.astype(np.float32),
        extents.detach().cpu().numpy(),
        flat,
    )
    if not _has_gradient(extent, directions, places):
        return torch.from_numpy(distances).to(places)
    index = torch.from_numpy(nearest).long().to(spacing.device)
    square, along = torch.zeros(()), torch.zeros(())
    for axis in range(3):
        offset = places[axis] - torch.from_numpy(points[:, axis]).to(places)[index]
        offset = offset - lengths[axis] * torch.round(offset / lengths[axis])
        square = square + offset.square()
        along = along + offset * directions[:, axis][index]
    across, reached = (square - along.square()).clamp_min(0.0), extents[index]
    if flat:
        beyond = torch.relu((across + ROUNDING).sqrt() - reached)
        return (along.square() + beyond.square() + ROUNDING).sqrt()
    beyond = torch.relu(along.abs() - reached)
    return (across + beyond.square() + ROUNDING).sqrt()


def _directions(weights: Tensor, count: int, generator: np.random.Generator) -> Tensor:
    """Random unit vectors, shape (N, 3)."""
    directions = weights * torch.from_numpy(generator.standard_normal((count, 3))).to(weights)
    return directions / directions.norm(dim=1, keepdim=True)


def _counted(box: NDArray[np.float64], least: int) -> tuple[int, float, float]:
    """Number of points in a box in units of their spacing, share of the last one [-], and spacing of such a
    number, over that of the geometry [-].
    """
    number = float(np.clip(np.prod(box), least, _MOST_POINTS))
    count = math.ceil(number - _LEAST_SHARE)
    return count, min(number - count + 1.0, 1.0), float(np.prod(box) / number) ** (1.0 / 3.0)


def _has_gradient(*tensors: Tensor) -> bool:
    """Whether a gradient is asked for; without one, distances come from the search itself."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _metric_distance(
    places: Tensor, points: NDArray[np.float64], lengths: NDArray[np.float64], spacing: Tensor, index: Tensor
) -> Tensor:
    """Distance to points in units of the spacing, shape of `index`; differentiable in the spacing."""
    square = torch.zeros((), device=spacing.device)
    for axis in range(3):
        offset = places[axis] - torch.from_numpy(points[:, axis]).to(places)[index]
        offset = offset - lengths[axis] * torch.round(offset / lengths[axis])
        square = square + (offset / spacing[axis]).square()
    return (square + ROUNDING).sqrt()
