"""What a two-phase voxel volume is: checks, statistics, bit packing.

Array axes are x, y, z; a voxel is 1 where the material is stiff and 0 where it is soft; volumes are periodic.
Dimension letters: N volumes, X Y Z voxels, L lags.
"""

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

__all__ = [
    "Connectivity",
    "as_two_phase",
    "connectivity",
    "correlation_lengths",
    "lineal_path",
    "pack_bits",
    "specific_surface",
    "two_point_correlation",
    "two_point_distances",
    "unpack_bits",
    "volume_fraction",
    "volume_hash",
]

_LISTED = 2**16
"""Unexpected voxels that are looked at to say which values came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Connectivity:
    """How a phase hangs together in the periodic medium that a cell stands for."""

    largest: float
    """Share of the phase that is in its largest cluster [-]; 0 if the phase is absent."""
    percolates: tuple[bool, bool, bool]
    """Whether a cluster goes on for ever along x, y, z."""


def as_two_phase(array: ArrayLike) -> NDArray[np.uint8]:
    """Check that an array is a two-phase volume and return it as 0 and 1.

    Args:
        array: Phase per voxel, exactly 0 (soft) or 1 (stiff), boolean, integer or real, shape (X, Y, Z). A
            volume of a single phase is accepted.

    Returns:
        The same phases as uint8 in C order, shape (X, Y, Z).

    Raises:
        ValueError: The array is not three-dimensional, is empty, or holds anything but 0 and 1.
    """
    volume = np.asarray(array)
    if volume.ndim != 3:
        raise ValueError(f"expected a volume of shape (X, Y, Z), got an array of shape {volume.shape}")
    _check_phases(volume)
    return np.ascontiguousarray(volume, dtype=np.uint8)


def volume_hash(volume: NDArray[np.uint8]) -> str:
    """SHA-256 of the shape and the phases, 0 and 1, of a volume, in hexadecimal."""
    digest = hashlib.sha256(str(volume.shape).encode())
    digest.update(np.packbits(volume).tobytes())
    return digest.hexdigest()


def volume_fraction(volume: ArrayLike) -> float:
    """Share of stiff voxels [-] of a volume of 0 and 1, shape (X, Y, Z)."""
    return float(np.asarray(volume).mean(dtype=np.float64))


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
        Of pairs of one kind, and of pairs of different kinds.
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
        ValueError: The volume has a single phase.
    """
    fraction = volume_fraction(volume)
    if fraction in (0.0, 1.0):
        raise ValueError("expected a volume of both phases, got a single one")
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


def specific_surface(volume: ArrayLike) -> float:
    """Area of the interface per volume [1/voxel] of a volume of 0 and 1, shape (X, Y, Z).

    Counted are the faces between voxels of unlike phases: of smooth surfaces without a preferred direction
    they are 3/2 of the area.
    """
    phases = np.asarray(volume).astype(bool)
    return float(sum((phases != np.roll(phases, 1, axis)).mean() for axis in range(3)))


def connectivity(volume: ArrayLike, phase: int = 1) -> Connectivity:
    """Clusters of one phase, of voxels that share faces, periodic.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
        phase: The phase, 0 or 1.
    """
    found, count = ndimage.label(np.asarray(volume) == phase)  # type: ignore[misc]
    labels = np.asarray(found)
    contacts: list[list[tuple[int, int, int]]] = [[] for _ in range(count + 1)]
    for axis in range(3):
        faces = np.stack([labels.take(-1, axis).ravel(), labels.take(0, axis).ravel()], axis=1)
        for one, other in np.unique(faces[faces.all(axis=1)], axis=0).tolist():
            contacts[one].append((other, axis, 1))
            contacts[other].append((one, axis, -1))
    sizes = np.bincount(labels.ravel(), minlength=count + 1).tolist()
    cells: dict[int, list[int]] = {}  # in which copy of the cell a cluster is met, going from its first part
    largest, percolates = 0, [False] * 3
    for start in range(1, count + 1):
        if start in cells:
            continue
        cells[start], queue, size = [0, 0, 0], deque([start]), 0
        while queue:
            one = queue.popleft()
            size += sizes[one]
            for other, axis, step in contacts[one]:
                cell = cells[one].copy()
                cell[axis] += step
                if other not in cells:
                    cells[other] = cell
                    queue.append(other)
                for each in range(3):  # met in two copies: there is a way from one to the other
                    percolates[each] |= cell[each] != cells[other][each]
        largest = max(largest, size)
    total = sum(sizes[1:])
    return Connectivity(
        largest=largest / total if total else 0.0,
        percolates=(percolates[0], percolates[1], percolates[2]),
    )


def pack_bits(volumes: ArrayLike) -> NDArray[np.uint8]:
    """Pack volumes of 0 and 1, shape (N, X, Y, Z), eight voxels to a byte, shape (N, ceil(X Y Z / 8)).

    Voxels are taken in C order; the first of eight is the highest bit, as in `numpy.packbits`.
    """
    stack = np.asarray(volumes)
    if stack.ndim != 4:
        raise ValueError(f"expected volumes of shape (N, X, Y, Z), got an array of shape {stack.shape}")
    return np.packbits(stack.reshape(len(stack), -1).astype(bool), axis=1)


def unpack_bits(packed: ArrayLike, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Undo `pack_bits`.

    Args:
        packed: Bytes of N volumes, shape (N, ceil(X Y Z / 8)).
        shape: Voxels of one volume, (X, Y, Z).

    Returns:
        Volumes of 0 and 1, shape (N, X, Y, Z).

    Raises:
        ValueError: The bytes do not fit the shape.
    """
    rows = np.asarray(packed, dtype=np.uint8)
    voxels = int(np.prod(shape))
    if rows.ndim != 2 or rows.shape[1] != -(-voxels // 8):
        expected = f"(N, {-(-voxels // 8)})"
        raise ValueError(f"expected packed volumes of shape {expected}, got an array of shape {rows.shape}")
    return np.unpackbits(rows, axis=1, count=voxels).reshape(len(rows), *shape)


def _check_phases(volume: NDArray[Any]) -> None:
    if volume.size == 0:
        raise ValueError(f"expected at least one voxel, got an array of shape {volume.shape}")
    if volume.dtype == np.bool_:
        return
    if volume.dtype.kind not in "iuf":
        raise ValueError(f"expected phases of bool, integer or float type, got {volume.dtype}")
    if volume.dtype.kind == "f" and not np.isfinite(volume).all():
        raise ValueError("expected phases 0 and 1, got values that are not finite (NaN or infinity)")
    if not (valid := (volume == 0) | (volume == 1)).all():
        others = np.unique(volume[~valid][:_LISTED])
        shown = ", ".join(f"{value:g}" for value in others[:4]) + (", ..." if len(others) > 4 else "")
        raise ValueError(f"expected phases 0 and 1 only, got other values as well: {shown}")
