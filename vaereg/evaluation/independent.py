"""Generators of the thirteen classes that share no code and no construction with `vaereg.generators`.

A classifier that is fitted to their volumes judges the volumes of the model independently: what it recognises
is the class, not the hand of the generator. Points are random or added in sequence and never pushed apart,
foams are labelled voxels that are dilated, bodies are blocks and ellipsoids that may overlap, fibres may be
infinite, lattices have bars between listed nodes, minimal surfaces are others, random fields are sums of
waves or of boxes.

All volumes are periodic cubes of n voxels per edge, 1 where stiff. Lengths are drawn relative to a cell of 32
voxels and scale with the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

__all__ = ["INDEPENDENT_CLASSES", "draw_independent"]

Field = NDArray[np.float64]
Volume = NDArray[np.bool_]


def draw_independent(name: str, size: int, *, generator: Generator) -> NDArray[np.uint8]:
    """Volume of one class.

    Args:
        name: One of `INDEPENDENT_CLASSES`.
        size: Voxels per edge, n.
        generator: Source of random numbers.

    Returns:
        Phase per voxel, 0 or 1, both present, shape (n, n, n).

    Raises:
        ValueError: The class is unknown or the size is below 8.
    """
    if name not in INDEPENDENT_CLASSES:
        raise ValueError(f"unknown class {name!r}, expected one of {', '.join(INDEPENDENT_CLASSES)}")
    if size < 8:
        raise ValueError(f"expected at least 8 voxels per edge, got {size}")
    volume = INDEPENDENT_CLASSES[name](size, generator)
    if not volume.any() or volume.all():
        raise RuntimeError(f"expected both phases in a volume of the class {name}, got one")
    return volume.astype(np.uint8)


def _cut(field: Field, fraction: float) -> Volume:
    """Voxels where the field is largest, a given share of all but for voxels of equal values."""
    level = np.quantile(field, 1.0 - fraction)
    above = field > level
    return above if above.any() else field >= level


def _centres(size: int) -> Field:
    """Voxel centres in units of the cell, shape (n, n, n, 3)."""
    line = (np.arange(size) + 0.5) / size
    return np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)


def _least(size: int, points: Field, measure: Callable[[Field, int], Field]) -> Field:
    """Least measure over all points of the vectors from their nearest copies to the voxel centres."""
    centres, least = _centres(size), np.full((size,) * 3, np.inf)
    for number, point in enumerate(points):
        offsets = centres - point
        np.minimum(least, measure(offsets - np.round(offsets), number), out=least)
    return least


def _points(count: int, generator: Generator) -> Field:
    """Random points; of half of the patterns those that come too near to an earlier one are left out."""
    points = generator.random((count, 3))
    if generator.random() < 0.5:
        return points
    apart = (0.4 / count) ** (1.0 / 3.0)
    accepted: list[NDArray[np.float64]] = []
    for point in points:
        offsets = [point - neighbour for neighbour in accepted]
        if all(np.linalg.norm(offset - np.round(offset)) > apart for offset in offsets):
            accepted.append(point)
    return np.array(accepted)


def _frames(count: int, generator: Generator) -> Field:
    """Rotation matrices of random directions, near an axis or all of them, shape (N, 3, 3)."""
    if generator.random() < 0.4:
        return Rotation.from_quat(generator.standard_normal((count, 4))).as_matrix()  # uniform
    turns = generator.uniform(0.03, 0.4) * generator.standard_normal((count, 3))
    return Rotation.from_rotvec(turns).as_matrix()[:, :, generator.permutation(3)]


def _bodies(size: int, count: int, aspect: float, roundness: float, generator: Generator) -> Field:
    """Scaled distance to bodies of random directions: ellipsoids, cylinders or plates of an aspect.

    Args:
        size: Voxels per edge.
        count: Number of random points.
        aspect: Length along the third axis over that along the others [-].
        roundness: Power of the norm: 2 of ellipsoids, large of blocks with edges.
        generator: Source of random numbers.
    """
    points = _points(count, generator)
    frames = _frames(len(points), generator)
    scale = np.exp(0.15 * generator.standard_normal(len(points)))

    def measure(offset: Field, number: int) -> Field:
        turned = np.abs(offset @ frames[number]) / scale[number]
        across = (turned[..., 0] ** roundness + turned[..., 1] ** roundness) ** (1.0 / roundness)
        return (across**roundness + (turned[..., 2] / aspect) ** roundness) ** (1.0 / roundness)

    return _least(size, points, measure)


def _blobs(size: int, generator: Generator) -> Field:
    aspect, roundness = np.exp(generator.uniform(-0.6, 0.6)), generator.choice([2.0, 2.0, 3.0, 6.0])
    return _bodies(size, int(generator.integers(6, 36)), aspect, roundness, generator)


def _particles(size: int, generator: Generator) -> Volume:
    return _cut(-_blobs(size, generator), generator.uniform(0.08, 0.35))


def _pores(size: int, generator: Generator) -> Volume:
    return _cut(_blobs(size, generator), generator.uniform(0.6, 0.92))


def _needles(size: int, generator: Generator) -> Field:
    """Distance to infinite lines or to slender bodies."""
    if generator.random() < 0.35:
        return _lines(size, generator)
    aspect, roundness = generator.uniform(3.5, 9.0), generator.choice([2.0, 4.0, 8.0])
    return _bodies(size, int(generator.integers(6, 36)), aspect, roundness, generator)


def _lines(size: int, generator: Generator) -> Field:
    """Distance to straight infinite lines: along an axis, tilted by whole periods, or along three axes."""
    arrangement = generator.choice(["axis", "tilted", "three"], p=[0.5, 0.3, 0.2])
    order, centres = generator.permutation(3), _centres(size)
    distance = np.full((size,) * 3, np.inf)
    for number in range(int(generator.integers(3, 15))):
        main = order[number % 3 if arrangement == "three" else 0]
        direction = np.zeros(3)
        direction[main] = 1.0
        if arrangement == "tilted":
            direction[order[1:]] = generator.choice([-1.0, 0.0, 1.0], 2, p=[0.25, 0.5, 0.25])
        offset = centres - generator.random(3)
        offset -= np.round(offset)
        tilted = [axis != main and direction[axis] != 0.0 for axis in range(3)]
        for shift in product(
            *((-1, 0, 1) if is_tilted else (0,) for is_tilted in tilted)
        ):  # copies that pass nearby
            shifted = offset - np.array(shift)
            across = shifted - (shifted @ direction / (direction @ direction))[..., None] * direction
            np.minimum(distance, np.linalg.norm(across, axis=-1), out=distance)
    return distance


def _fibres(size: int, generator: Generator) -> Volume:
    return _cut(-_needles(size, generator), generator.uniform(0.06, 0.38))


def _channels(size: int, generator: Generator) -> Volume:
    return _cut(_needles(size, generator), generator.uniform(0.58, 0.92))


def _platelets(size: int, generator: Generator) -> Volume:
    """Square plates or flat ellipsoids."""
    aspect, roundness = 1.0 / generator.uniform(3.5, 9.0), generator.choice([2.0, 8.0])
    distance = _bodies(size, int(generator.integers(5, 26)), aspect, roundness, generator)
    return _cut(-distance, generator.uniform(0.08, 0.38))


def _laminate(size: int, generator: Generator) -> Volume:
    """Sum of cosines along one direction, bent by a wave across it, or waves that are long along two axes."""
    centres, order = _centres(size), generator.permutation(3)
    if generator.random() < 0.25:
        stretch = np.full(3, generator.uniform(3.5, 8.0))
        stretch[order[0]] = 1.0
        return _cut(_waves(size, stretch, generator), generator.uniform(0.3, 0.7))
    bend = generator.uniform(0.0, 0.06) * np.sin(2.0 * np.pi * (centres[..., order[1]] + generator.random()))
    position = centres[..., order[0]] + bend
    if generator.random() < 0.25:
        position = position + centres[..., order[2]]  # tilted by one period
    field = np.zeros((size,) * 3)
    first = int(generator.integers(1, max(2, min(5, size // 6 + 1))))
    for harmonic in range(first, min(first + 3, max(size // 3, 2))):  # at least three voxels per period
        phase = generator.random()
        field += generator.uniform(0.3, 1.0) * np.cos(2.0 * np.pi * (harmonic * position + phase))
    return _cut(field, generator.uniform(0.15, 0.85))


def _cells(size: int, generator: Generator, most_points: int) -> NDArray[np.intp]:
    """Nearest of random points to each voxel, under a metric that is stretched along the axes."""
    stretch = np.exp(0.25 * generator.standard_normal(3))
    points = generator.random((int(generator.integers(6, most_points)), 3)) * stretch
    tree = KDTree(points, boxsize=stretch)
    return np.asarray(tree.query((_centres(size) * stretch).reshape(-1, 3))[1]).reshape((size,) * 3)


def _meeting(cells: NDArray[np.intp]) -> NDArray[np.int64]:
    """Number of different cells among the 2x2x2 voxels at each corner."""
    corners = np.stack([np.roll(cells, shift, (0, 1, 2)) for shift in product((0, 1), repeat=3)])
    ordered = np.sort(corners, axis=0)
    return 1 + (ordered[1:] != ordered[:-1]).sum(axis=0)


def _distance(marked: Volume) -> Field:
    """Distance to the marked voxels over periodic faces [voxel]."""
    edge = len(marked)
    width = edge // 2
    padded = np.pad(marked, width, mode="wrap")
    distance = np.asarray(ndimage.distance_transform_edt(~padded))
    inner = slice(width, width + edge)
    return distance[inner, inner, inner]


def _thickness(size: int, generator: Generator) -> float:
    """Distance from the marked voxels up to which a wall or strut extends [voxel]."""
    return size / 32.0 * float(generator.choice([0.0, 1.0, np.sqrt(2.0), np.sqrt(3.0), 2.0]))


def _closed_foam(size: int, generator: Generator) -> Volume:
    distance = _distance(_meeting(_cells(size, generator, 24)) > 1)
    return distance <= min(_thickness(size, generator), 0.5 * distance.max())


def _grains(size: int, generator: Generator) -> Volume:
    return ~_closed_foam(size, generator)


def _open_foam(size: int, generator: Generator) -> Volume:
    return _cut(-_distance(_meeting(_cells(size, generator, 18)) > 2), generator.uniform(0.1, 0.4))


def _level_set(size: int, generator: Generator) -> Volume:
    """Level sets that `vaereg.generators` does not have (Michielsen & Kole 2003)."""
    equal = generator.random() < 0.6
    periods = generator.integers(1, 3, 3) if not equal else np.repeat(generator.integers(1, 3), 3)
    x, y, z = np.moveaxis(2.0 * np.pi * (_centres(size) * periods + generator.random(3)), -1, 0)
    cx, cy, cz, sx, sy, sz = np.cos(x), np.cos(y), np.cos(z), np.sin(x), np.sin(y), np.sin(z)
    dx, dy, dz = np.cos(2.0 * x), np.cos(2.0 * y), np.cos(2.0 * z)
    kind = int(generator.integers(5))
    if kind == 0:  # F-RD
        field = 4.0 * cx * cy * cz - dx * dy - dy * dz - dz * dx
    elif kind == 1:  # Fischer-Koch S
        field = dx * sy * cz + dy * sz * cx + dz * sx * cy
    elif kind == 2:  # Lidinoid
        ex, ey, ez = np.sin(2.0 * x), np.sin(2.0 * y), np.sin(2.0 * z)
        field = ex * cy * sz + ey * cz * sx + ez * cx * sy - dx * dy - dy * dz - dz * dx + 0.3
    elif kind == 3:  # a surface of type P with an octahedral harmonic
        field = cx + cy + cz + 0.6 * cx * cy * cz
    else:  # a gyroid with its next harmonic
        field = sx * cy + sy * cz + sz * cx + 0.3 * (dx * dy + dy * dz + dz * dx)
    if generator.random() < 0.5:
        field = -np.abs(field)
    return _cut(field if generator.random() < 0.5 else -field, generator.uniform(0.2, 0.7))


def _lattice(size: int, generator: Generator) -> Volume:
    """Bars between listed nodes of a unit cell, round or square."""
    corner, middle = np.array(list(product((0.0, 1.0), repeat=3))), np.full(3, 0.5)
    faces = np.array([[0.5, 0.5, s] for s in (0.0, 1.0)])
    faces = np.concatenate([faces, faces[:, [2, 0, 1]], faces[:, [1, 2, 0]]])
    edges = [(a, b) for a in corner for b in corner if np.abs(a - b).sum() == 1.0]
    kind, square = int(generator.integers(4)), generator.random() < 0.5
    if kind == 0:  # simple cubic
        bars = edges
    elif kind == 1:  # body-centred with the edges of the cube
        bars = edges + [(middle, a) for a in corner]
    elif kind == 2:  # octahedra
        bars = [(a, b) for a in faces for b in faces if 0.6 < np.linalg.norm(a - b) < 0.8]
    else:  # octahedra with face-centred corners
        bars = [(a, b) for a in faces for b in [*faces, *corner] if 0.6 < np.linalg.norm(a - b) < 0.8]
    periods = np.repeat(generator.integers(1, 4 if kind < 2 else 3), 3)
    if generator.random() < 0.4:
        periods = generator.integers(1, 4 if kind < 2 else 3, 3)
    places = (_centres(size) * periods + generator.random(3)) % 1.0
    distance = np.full((size,) * 3, np.inf)
    for start, end in bars:
        offset, direction = places - start, end - start
        along = np.clip(offset @ direction / (direction @ direction), 0.0, 1.0)
        across = np.abs(offset - along[..., None] * direction)
        distance = np.minimum(distance, across.max(axis=-1) if square else np.linalg.norm(across, axis=-1))
    return _cut(-distance, generator.uniform(0.1, 0.4))


def _waves(size: int, stretch: Field, generator: Generator) -> Field:
    """Waves of nearly equal length and random directions (Cahn 1965, doi:10.1063/1.1695731)."""
    number = 32.0 / generator.uniform(7.0, 13.0)  # waves per cell
    lines = np.meshgrid(*(np.fft.fftfreq(size) * size * along for along in stretch), indexing="ij")
    lengths = np.linalg.norm(np.stack(lines), axis=0)
    shell = np.exp(-(((lengths - number) / (0.12 * number + 0.3)) ** 2))
    noise = np.fft.fftn(generator.standard_normal((size,) * 3))
    return np.fft.ifftn(noise * shell).real


def _spinodal(size: int, generator: Generator) -> Volume:
    stretch = np.ones(3)
    if generator.random() < 0.6:
        stretch[generator.permutation(3)[: generator.integers(1, 3)]] = generator.uniform(1.2, 2.5)
    return _cut(_waves(size, stretch, generator), generator.uniform(0.35, 0.65))


def _gaussian(size: int, generator: Generator) -> Volume:
    """Uniform noise, averaged over boxes two or three times."""
    edges = np.full(3, generator.uniform(2.5, 7.0))
    if generator.random() < 0.6:
        edges = generator.uniform(2.0, 14.0, 3)
    field = generator.random((size,) * 3)
    widths = np.maximum(np.round(edges * size / 32.0), 2).astype(int).tolist()
    for _ in range(int(generator.integers(2, 4))):
        field = ndimage.uniform_filter(field, widths, mode="wrap")
    return _cut(field, generator.uniform(0.25, 0.75))


INDEPENDENT_CLASSES: Mapping[str, Callable[[int, Generator], Volume]] = MappingProxyType(
    {
        "particles": _particles,
        "pores": _pores,
        "fibres": _fibres,
        "channels": _channels,
        "platelets": _platelets,
        "laminate": _laminate,
        "closed-foam": _closed_foam,
        "grains": _grains,
        "open-foam": _open_foam,
        "tpms": _level_set,
        "lattice": _lattice,
        "spinodal": _spinodal,
        "gaussian": _gaussian,
    }
)
"""Function that makes a volume of a size, by the name of the class."""
