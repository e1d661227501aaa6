"""Statistics of periodic volumes: two-point correlation, lineal path, surface, connectivity.

Dimension letters: N volumes, X Y Z voxels.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from vaereg.errors import InputError
from vaereg.microstructure.volume import volume_fraction

__all__ = [
    "Connectivity",
    "connectivity",
    "contacts_across",
    "correlation_lengths",
    "face_density",
    "lineal_path",
    "specific_surface",
    "statistics_distance",
    "two_point_correlation",
    "two_point_distances",
    "within_component",
]

_DIRECTION_SHARES = {1: 0.04577789120476, 2: 0.03698062787608, 3: 0.03519563978232}
"""Share of the sphere that is nearest to a direction along an axis, a face or a body diagonal of a voxel [-]:
areas of the spherical Voronoi cells of the 26 directions, by number of axes involved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connectivity:
    """Connectivity of one phase of a periodic medium."""

    largest: float
    """Share of the phase that is in its largest cluster [-]; 0 if the phase is absent."""
    percolates: tuple[bool, bool, bool]
    """Whether a cluster extends to infinity along x, y, z."""
    count: int
    """Number of clusters in a cell."""
    windings: tuple[tuple[int, int, int], ...] = ()
    """Steps, in cells along x, y, z, between copies of the cell that a path joins; all others are sums of
    these, if there is one cluster. A slanted sheet has (1, 1, 0) and (0, 0, 1): it extends along x and y, but
    its copies along x alone are other sheets."""


def two_point_correlation(volume: ArrayLike) -> NDArray[np.float64]:
    """Probability that two voxels at a given periodic lag are both stiff.

    S2(r) = 1/V Σ_x m(x) m(x + r), evaluated for all lags at once by the Fourier transform
    (Torquato 2002, Random Heterogeneous Materials, doi:10.1007/978-1-4757-6355-3).

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).

    Returns:
        S2 [-] at each lag (i, j, k) [voxel], lag zero first, shape (X, Y, Z).
    """
    stiff = np.asarray(volume, dtype=np.float64)
    power = np.abs(np.asarray(fft.rfftn(stiff))) ** 2
    return np.asarray(fft.irfftn(power, s=stiff.shape)) / stiff.size


def two_point_distances(volumes: ArrayLike, labels: ArrayLike) -> tuple[list[float], list[float]]:
    """Root mean square differences of the two-point correlation over all lags [-], pair by pair.

    Args:
        volumes: Phase per voxel, 0 or 1, shape (N, X, Y, Z).
        labels: Kind of each volume, shape (N,).

    Returns:
        Differences of pairs of the same kind, and of pairs of different kinds.
    """
    curves, kinds = [two_point_correlation(volume) for volume in np.asarray(volumes)], np.asarray(labels)
    alike, different = [], []
    for i in range(len(curves)):
        for j in range(i):
            distance = float(np.sqrt(np.square(curves[i] - curves[j]).mean()))
            (alike if kinds[i] == kinds[j] else different).append(distance)
    return alike, different


def correlation_lengths(volume: ArrayLike) -> NDArray[np.float64]:
    """Lags along x, y, z at which the phases' autocorrelation has fallen to 1/e.

    The autocorrelation (S2 - f²) / (f - f²) is one at lag zero; between voxels it is interpolated linearly.

    Args:
        volume: Phase per voxel, 0 or 1, both present, shape (X, Y, Z).

    Returns:
        Lengths [voxel], shape (3,); half the edge where the autocorrelation stays above 1/e.

    Raises:
        InputError: The volume has a single phase.
    """
    fraction = volume_fraction(volume)
    if fraction in (0.0, 1.0):
        raise InputError("expected a volume of both phases, got a single one")
    correlation = (two_point_correlation(volume) - fraction**2) / (fraction - fraction**2)
    lengths = np.empty(3)
    for axis in range(3):
        half = correlation.shape[axis] // 2
        line = np.moveaxis(correlation, axis, 0)[: half + 1, 0, 0]
        below = np.flatnonzero(line < np.exp(-1.0))
        last = int(below[0]) - 1 if len(below) else half
        fall = (line[last] - np.exp(-1.0)) / (line[last] - line[last + 1]) if len(below) else 0.0
        lengths[axis] = last + fall
    return lengths


def lineal_path(volume: ArrayLike, phase: int = 1) -> NDArray[np.float64]:
    """Probability that a whole segment along an axis lies in one phase.

    The lineal-path function (Lu & Torquato 1992, doi:10.1103/PhysRevA.45.922) of a periodic volume.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        phase: The phase, 0 or 1.

    Returns:
        Probability [-] for segments along x, y, z of 0, 1, ... steps from voxel to voxel, shape (3, L) with L
        the longest edge: the segment of zero steps is one voxel, so that column 0 is the phase's fraction.
    """
    inside = np.asarray(volume) == phase
    steps = max(inside.shape)
    probability = np.zeros((3, steps))
    for axis in range(3):
        whole = inside.copy()
        for step in range(steps):
            whole &= np.roll(inside, -step, axis)
            probability[axis, step] = whole.mean()
            if not probability[axis, step]:
                break  # nor is any longer one
    return probability


def face_density(volume: ArrayLike) -> float:
    """Number of voxel faces between unlike phases per voxel [faces/voxel].

    This is the area of the staircase that the voxels show, 3/2 of the area of a smooth surface without a
    preferred direction; `specific_surface` estimates the area itself.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
    """
    phases = np.asarray(volume).astype(bool)
    return float(sum((phases != np.roll(phases, 1, axis)).mean() for axis in range(3)))


def specific_surface(volume: ArrayLike) -> float:
    """Area of the smooth interface per volume [1/voxel], estimated from crossings of lines.

    By Crofton's formula the area per volume is twice the mean number of crossings of the interface per length
    of a line, over all directions of the line. Here the directions are the 13 from a voxel to its neighbours,
    each weighted by its share of the sphere (Ohser & Mücklich 2000, Statistical Analysis of Microstructures
    in Materials Science; Legland, Kiêu & Devaux 2007, doi:10.5566/ias.v26.p83-92). Spheres come out within
    2 %; single planes depend on their direction, those normal to an axis come out 7 % low.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
    """
    phases = np.asarray(volume).astype(bool)
    padded = np.pad(phases, 1, mode="wrap")
    crossings = 0.0
    for step in np.ndindex(3, 3, 3):
        lag = np.array(step) - 1
        if tuple(lag) <= (0, 0, 0):  # the opposite direction has the same crossings
            continue
        beside = padded[
            tuple(slice(first, first + edge) for first, edge in zip(step, phases.shape, strict=True))
        ]
        different = np.count_nonzero(phases != beside) / phases.size
        crossings += 2.0 * _DIRECTION_SHARES[np.abs(lag).sum()] * different / np.linalg.norm(lag)
    return float(2.0 * crossings)


def contacts_across(labels: NDArray, axis: int, count: int) -> list[tuple[int, int]]:
    """Clusters that meet across the faces of a periodic cell, at its end and its beginning, each pair once.

    Args:
        labels: Cluster of each voxel from 1 to `count`, 0 outside, shape (X, Y, Z).
        axis: Axis that the faces are normal to.
        count: Number of clusters.
    """
    last, first = np.take(labels, [-1, 0], axis).swapaxes(0, axis).astype(np.int64)
    both = (last > 0) & (first > 0)
    pairs = np.unique(last[both] * (count + 1) + first[both])  # faster than unique rows
    return [divmod(pair, count + 1) for pair in pairs.tolist()]


def connectivity(volume: ArrayLike, phase: int = 1) -> Connectivity:
    """Clusters of one phase, of voxels that share faces, periodic.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        phase: The phase, 0 or 1.
    """
    labelled, count = ndimage.label(np.asarray(volume) == phase)  # type: ignore[misc]
    labels = np.asarray(labelled)
    contacts: list[list[tuple[int, int, int]]] = [[] for _ in range(count + 1)]
    for axis in range(3):
        for low, high in contacts_across(labels, axis, count):
            contacts[low].append((high, axis, 1))
            contacts[high].append((low, axis, -1))
    sizes = np.bincount(labels.ravel(), minlength=count + 1).tolist()
    cells: dict[int, list[int]] = {}  # the copy of the cell in which a cluster is met, from its first part
    largest, number, percolates = 0, 0, [False] * 3
    windings: set[tuple[int, int, int]] = set()
    for start in range(1, count + 1):
        if start in cells:
            continue
        cells[start], queue, size = [0, 0, 0], deque([start]), 0
        while queue:
            cluster = queue.popleft()
            size += sizes[cluster]
            for neighbour, axis, step in contacts[cluster]:
                cell = cells[cluster].copy()
                cell[axis] += step
                if neighbour not in cells:
                    cells[neighbour] = cell
                    queue.append(neighbour)
                x, y, z = (cell[along] - cells[neighbour][along] for along in range(3))
                if x or y or z:  # met in two copies of the cell: a path joins the copies
                    windings.add((x, y, z))
                for along, step in enumerate((x, y, z)):
                    percolates[along] |= step != 0
        largest, number = max(largest, size), number + 1
    total = sum(sizes[1:])
    return Connectivity(
        largest=largest / total if total else 0.0,
        percolates=(percolates[0], percolates[1], percolates[2]),
        count=number,
        windings=tuple(sorted(windings)),
    )


def statistics_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Root mean square difference of the two-point correlations of two volumes, over all lags [-]."""
    difference = two_point_correlation(first) - two_point_correlation(second)
    return float(np.sqrt(np.square(difference).mean()))


def within_component(volumes: ArrayLike, component: ArrayLike) -> float | None:
    """Mean distance of the two-point statistics of two volumes of one component [-]; None without a pair.

    Args:
        volumes: Phases 0 and 1, shape (N, X, Y, Z).
        component: Component of every volume, shape (N,).
    """
    distances, _ = two_point_distances(volumes, component)
    return float(np.mean(distances)) if distances else None
