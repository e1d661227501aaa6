"""Fields of the constructed modes: distances to cells, layers and oriented bodies, and periodic level sets.

Positions and directions are drawn at random; the geometry of z stretches them, so a field has a gradient in
the geometry wherever a small change of it moves the distances. Which point is nearest is found by compiled
loops without a gradient (`vaereg.model.modes.constructive.nearest`); where one is asked for, the distances
to it are computed again in PyTorch.

Letters: N points, X Y Z voxels along the axes. A cell has lengths (X, Y, Z) [voxel] and is periodic.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaereg.generators.bodies import DISTANCE
from vaereg.generators.points import separated_points
from vaereg.model.modes.constructive.nearest import ROUNDING, nearest_bodies, nearest_points

__all__ = ["bodies_field", "cells_field", "coordinates"]

_FEWEST_CELLS, _MOST_POINTS = 3, 20_000
"""Least number of cells and largest number of points in a volume."""


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
    nearest, distances = nearest_points(
        (places.detach().cpu().numpy() / scale.astype(np.float32)[:, None, None, None]).astype(
            np.float32, copy=False
        ),
        (points / scale).astype(np.float32),
        box.astype(np.float32),
        (float(spread.detach()) * offsets).astype(np.float32),
        order,
    )
    if not _has_gradient(spacing, spread, places):
        told = distances[0] if order == 1 else distances[order - 1] - distances[0]
        return torch.from_numpy(told).to(places)
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
    nearest, distances = nearest_bodies(
        places.detach().cpu().numpy(),
        points.astype(np.float32),
        directions.detach().cpu().numpy().astype(np.float32),
        lengths.astype(np.float32),
        float(extent.detach()),
        flat,
    )
    if not _has_gradient(extent, directions, places):
        return torch.from_numpy(distances).to(places)
    chosen = torch.from_numpy(nearest).long().to(spacing.device)
    square, along = torch.zeros(()), torch.zeros(())
    for axis in range(3):
        offset = places[axis] - torch.from_numpy(points[:, axis]).to(places)[chosen]
        offset = offset - lengths[axis] * torch.round(offset / lengths[axis])
        square = square + offset.square()
        along = along + offset * directions[:, axis][chosen]
    across = (square - along.square()).clamp_min(0.0)
    if flat:
        beyond = torch.relu((across + ROUNDING).sqrt() - extent)
        return (along.square() + beyond.square() + ROUNDING).sqrt()
    beyond = torch.relu(along.abs() - extent)
    return (across + beyond.square() + ROUNDING).sqrt()


def _has_gradient(*tensors: Tensor) -> bool:
    """Whether a gradient is asked for; without one, distances come from the search itself."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _metric_distance(
    places: Tensor, points: NDArray[np.float64], lengths: NDArray[np.float64], spacing: Tensor, chosen: Tensor
) -> Tensor:
    """Distance to chosen points in units of the spacing, shape of `chosen`; differentiable in the spacing."""
    square = torch.zeros((), device=spacing.device)
    for axis in range(3):
        offset = places[axis] - torch.from_numpy(points[:, axis]).to(places)[chosen]
        offset = offset - lengths[axis] * torch.round(offset / lengths[axis])
        square = square + (offset / spacing[axis]).square()
    return (square + ROUNDING).sqrt()
