"""Geometry that is closed under the mirrors and exchanges of axes of a cell: its distances are symmetric.

To average or to mirror a field of distances would double walls, and cut bodies at the mirrors. Here points
come with all of their images. A point nearer to images of its own than most of a spacing moves to the mean of
these, which lies on the mirrors between them, so that no pairs straddle a mirror. See
`vaereg.microstructure.symmetry` for the groups.

Letters: N points, R operations of the group, X Y Z voxels.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from vaereg.elasticity import SYMMETRY_ORDERS
from vaereg.microstructure.symmetry import group_of

__all__ = ["closed_bodies", "closed_points", "equal_axes", "symmetric_displacement"]

_REACH = 0.7
"""Distance, over the mean spacing, within which a point and images of it become one [-]: of 200 orthotropic
volumes of all modes 165 are recognised, with 0.5 158, with 0.35 141; foams lose from 0.9 on."""
_SAME = 1e-3
"""Distance, over the mean spacing, within which images are the same point [-]."""
_CANDIDATES = 16
"""Candidates for each point and its images, of which the farthest from the earlier ones are taken."""
_BESIDE = 256
"""Points beside the tree of the others from which the tree is built anew."""
_SWEEPS, _PUSH, _SETTLED = 60, 0.25, 0.02
"""Sweeps that push points apart, the share of an overlap that each moves by, and the overlap, over the
distance asked for, at which they end [-]."""
_SETTLING = 32
"""Most rounds in which a point moves to the mean of its near images."""
_ALIKE = 1.0 - 1e-6
"""Cosine from which two directions of bodies at one place are one [-]."""

Field = NDArray[np.float64]


def equal_axes(numbers: Tensor, symmetry: str) -> Tensor:
    """Lengths or weights along x, y and z, shape (3,), with their geometric means over exchanged axes."""
    logs = numbers.log()
    return torch.stack([logs[list(order)] for order in SYMMETRY_ORDERS[symmetry]]).mean(0).exp()


def closed_points(
    box: Field, number: float, *, symmetry: str, distance: float, spacing: float, generator: Generator
) -> tuple[Field, NDArray[np.intp]]:
    """Random points of a periodic box with all of their images.

    Args:
        box: Edges of the box, shape (3,), equal along exchanged axes.
        number: Number of points that is aimed at; that of points with images is as near to it as they allow.
        symmetry: One of `vaereg.microstructure.symmetry.SYMMETRIES`.
        distance: Distance below which points are pushed apart, in the unit of the box; 0 for none.
        spacing: Mean spacing of the points, in the same unit.
        generator: Source of random numbers.

    Returns:
        Positions, shape (N, 3), and the point whose image each is, as a number from 0, shape (N,).
    """
    orbits: list[Field] = []
    known = _KnownPoints(box)
    while known.count < number:
        places = _settled(generator.random((_CANDIDATES, 3)) * box, box, symmetry, spacing)
        farthest_first = places[np.argsort(-known.distances(places))]
        offered = (_distinct(_images(place, box, symmetry), box, spacing) for place in farthest_first)
        room = 2.0 * (number - known.count) if orbits else np.inf
        images = next((images for images in offered if len(images) <= room), None)
        if images is None:
            break
        orbits.append(images)
        known.add(images)
    if distance > 0.0:
        starts = np.cumsum([0, *map(len, orbits[:-1])])
        moved = _pushed_apart(np.concatenate(orbits), box, distance)
        places = _settled(moved[starts], box, symmetry, spacing)
        orbits = [_distinct(_images(place, box, symmetry), box, spacing) for place in places]
    return np.concatenate(orbits), np.repeat(np.arange(len(orbits)), [len(images) for images in orbits])


def closed_bodies(
    points: Field, base: NDArray[np.intp], directions: Field, box: Field, symmetry: str, spacing: float
) -> tuple[Field, Field]:
    """Bodies at points with all of their images, none twice: positions and directions, shape (M, 3) each.

    Where operations leave a point, the body takes the nearest direction that they leave, too, up to its sign:
    the first principal axis of its images.

    Args:
        points: Positions with all of their images, shape (N, 3).
        base: The point whose image each is, shape (N,).
        directions: Unit vectors, one of each such point.
        box: Edges of the box, shape (3,).
        symmetry: As for `closed_points`.
        spacing: As for `closed_points`.
    """
    positions: list[Field] = []
    axes: list[Field] = []
    for number, direction in enumerate(directions):
        place = points[np.flatnonzero(base == number)[0]]
        images, turned = _images(place, box, symmetry), _operations(symmetry) @ direction
        own = turned[_apart(images, place, box) < _SAME * spacing]
        turned = _operations(symmetry) @ np.linalg.eigh(own.T @ own)[1][:, -1]
        kept: list[int] = []
        for row in range(len(images)):
            same = _apart(images[kept], images[row], box) < _SAME * spacing
            if not (same & (np.abs(turned[kept] @ turned[row]) > _ALIKE)).any():
                kept.append(row)
        positions += list(images[kept])
        axes += list(turned[kept])
    return np.array(positions), np.array(axes)


def symmetric_displacement(displacement: Tensor, symmetry: str) -> Tensor:
    """Displacement that moves images alike, zero mean and unit variance, shape (3, X, Y, Z)."""
    total = torch.zeros_like(displacement)
    operations = group_of(symmetry)
    for axes, flips in operations:
        image = displacement[list(axes)].permute(0, *(1 + axis for axis in axes)).flip([1 + a for a in flips])
        signs = torch.ones(3).to(image)
        signs[list(flips)] = -1.0
        total = total + signs[:, None, None, None] * image
    return total * torch.rsqrt(total.square().mean((1, 2, 3), keepdim=True) + 1e-12)


@cache
def _operations(symmetry: str) -> Field:
    """The group as matrices, shape (R, 3, 3)."""
    matrices = []
    for axes, flips in group_of(symmetry):
        matrix = np.eye(3)[list(axes)]
        matrix[list(flips)] *= -1.0
        matrices.append(matrix)
    return np.array(matrices)


def _images(places: Field, box: Field, symmetry: str) -> Field:
    """Images of places in a box, shape (..., R, 3)."""
    middle = 0.5 * box
    return np.einsum("rij,...j->...ri", _operations(symmetry), places - middle) + middle


def _steps(places: Field, others: Field, box: Field) -> Field:
    """From others to the nearest periodic images of places, shape (..., 3)."""
    steps = places - others
    return steps - box * np.round(steps / box)


def _apart(places: Field, others: Field, box: Field) -> Field:
    return np.linalg.norm(_steps(places, others, box), axis=-1)


def _settled(places: Field, box: Field, symmetry: str, spacing: float) -> Field:
    """Places, shape (C, 3), that are no nearer to their images than `_REACH`, unless these are the same."""
    for _ in range(_SETTLING):
        steps = _steps(_images(places, box, symmetry), places[:, None], box)
        near = np.linalg.norm(steps, axis=2, keepdims=True) < _REACH * spacing
        moves = (steps * near).sum(axis=1) / near.sum(axis=1)
        places = places + moves
        if np.abs(moves).max() < 1e-9 * spacing:
            break
    return places


def _distinct(images: Field, box: Field, spacing: float) -> Field:
    """Images without those that are the same point."""
    kept: list[int] = []
    for row in range(len(images)):
        if (_apart(images[kept], images[row], box) > _SAME * spacing).all():
            kept.append(row)
    return images[kept]


class _KnownPoints:
    """Points of a periodic box, to which more are added, and distances to them."""

    def __init__(self, box: Field) -> None:
        self.box = box
        self._tree = KDTree(np.zeros((0, 3)), boxsize=box)
        self._beside = np.zeros((0, 3))

    @property
    def count(self) -> int:
        return self._tree.n + len(self._beside)

    def add(self, points: Field) -> None:
        self._beside = np.concatenate([self._beside, points])
        if len(self._beside) > max(_BESIDE, self._tree.n // 8):
            self._tree = _tree(np.concatenate([self._tree.data, self._beside]), self.box)
            self._beside = np.zeros((0, 3))

    def distances(self, places: Field) -> Field:
        """Distances to the nearest point, shape (C,); infinite without points."""
        near = self._tree.query(places % self.box)[0] if self._tree.n else np.full(len(places), np.inf)
        beside = _apart(places[:, None], self._beside[None], self.box)
        return np.minimum(near, beside.min(axis=1, initial=np.inf))


def _tree(points: Field, box: Field) -> KDTree:
    return KDTree(np.where(points % box < box, points % box, 0.0), boxsize=box)


def _pushed_apart(points: Field, box: Field, distance: float) -> Field:
    """Points of which near ones are moved apart all at once, so that images stay images."""
    for _ in range(_SWEEPS):
        one, other = _tree(points, box).query_pairs(distance, output_type="ndarray").T
        steps = _steps(points[one], points[other], box)
        lengths = np.linalg.norm(steps, axis=1, keepdims=True)
        if not len(one) or (distance - lengths).max() < _SETTLED * distance:
            break
        push = _PUSH * (distance - lengths) * steps / np.maximum(lengths, 1e-9)
        moves = np.zeros_like(points)
        np.add.at(moves, one, push)
        np.add.at(moves, other, -push)
        points = points + moves
    return points
