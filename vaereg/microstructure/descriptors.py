"""Descriptors of the morphology of a periodic two-phase volume, for the recognition of its class.

Lengths are relative to lengths of the structure itself, so that cells of any number of voxels can be
compared; the volume fraction is not among the descriptors. For a volume fraction f and a share s of unlike
neighbours (mean over the axes), the correlation length is 2 f (1 - f) / s and the mean chord of a phase is
twice its share over s, in voxels (Torquato 2002, Random Heterogeneous Materials,
doi:10.1007/978-1-4757-6355-3, chapter 2).

All descriptors stay the same where the volume is shifted periodically or its axes are exchanged or reversed:
curves along the three axes are listed in the order of the axes' surfaces, patterns of 2x2x2 voxels are
counted up to the 48 symmetries of a cube.
"""

from collections.abc import Iterable
from concurrent.futures import Executor
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from vaereg.microstructure.statistics import connectivity, lineal_path, two_point_correlation
from vaereg.microstructure.volume import as_two_phase, volume_fraction

__all__ = ["DESCRIPTOR_NAMES", "describe_morphologies", "describe_morphology", "phase_distances"]

_LAGS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Lags of the two-point correlation along the axes [correlation length]."""
_RADII = (1.0, 2.0, 3.0, 4.0, 6.0)
"""Radii of the shells of the two-point correlation over all directions [correlation length]."""
_PATHS = (0.5, 1.0, 2.0, 3.0, 5.0)
"""Lengths of segments of the lineal path [mean chord of the phase]."""
_PEAKS = (4.0, 8.0)
"""Edges of the cubes that are counted for the number of the strongest modes [correlation length]."""
_QUANTILES = (0.5, 0.9, 1.0)
"""Quantiles of the distance to the other phase [-]."""
_SHARP, _WIDE = 0.35, 1.0
"""Standard deviations of the filters that gradients are taken of, and averaged with [correlation length]."""
_LEAST_SHARP = 0.6
"""Least standard deviation of the first of these filters [voxel]."""
_LOCAL = (0.1, 0.5, 0.9)
"""Quantiles of the eigenvalues of the local structure tensor [-]."""
_NO_EDGE = 1e-12
"""Trace of the structure tensor below which no interface is near [1/voxel²]."""
_PHASES = ("soft", "stiff")
_AXES = ("most", "middle", "least")
"""Axes by the area of the interface that is normal to them."""
_CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]


def _pattern_orbits() -> tuple[NDArray[np.intp], int]:
    """Orbit of each of the 256 patterns of 2x2x2 voxels under the symmetries of a cube, and their number."""
    symmetries = [
        [_CORNERS.index((c[x] ^ flip[0], c[y] ^ flip[1], c[z] ^ flip[2])) for c in _CORNERS]
        for x, y, z in permutations(range(3))
        for flip in _CORNERS
    ]
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    least = np.min([bits[:, symmetry] @ (1 << np.arange(8)) for symmetry in symmetries], axis=0)
    representatives, orbits = np.unique(least, return_inverse=True)
    return orbits, len(representatives)


_ORBITS, _ORBIT_COUNT = _pattern_orbits()
_MIXED_ORBITS = [orbit for orbit in range(_ORBIT_COUNT) if orbit not in (_ORBITS[0], _ORBITS[255])]
"""Orbits of the patterns that have both phases: 20 of 22."""

DESCRIPTOR_NAMES: tuple[str, ...] = (
    *(
        f"{figure} {axis}"
        for axis in _AXES
        for figure in (
            "surface",
            *(f"two-point {lag:g}" for lag in _LAGS),
            "two-point least",
            *(f"path {phase} {length:g}" for phase in _PHASES for length in _PATHS),
            *(f"chord {phase}" for phase in _PHASES),
        )
    ),
    *(f"shell {figure} {radius:g}" for figure in ("mean", "spread") for radius in _RADII),
    "spectrum modes",
    *(f"spectrum peak {edge:g}" for edge in _PEAKS),
    *(
        f"{figure} {phase}"
        for phase in _PHASES
        for figure in (
            "distance mean",
            *(f"distance {quantile:g}" for quantile in _QUANTILES),
            "distance spread",
            "distance skewness",
            "euler",
            "largest",
            "percolation",
            "clusters",
        )
    ),
    *(f"pattern {number}" for number in range(len(_MIXED_ORBITS))),
    *(
        f"local {extreme} {phase} {figure}"
        for phase in _PHASES
        for extreme in ("most", "least")
        for figure in ("mean", *(f"{quantile:g}" for quantile in _LOCAL))
    ),
)
"""Names of the descriptors, in their order."""


def describe_morphologies(
    volumes: Iterable[ArrayLike], *, executor: Executor | None = None
) -> NDArray[np.float64]:
    """Descriptors of several volumes, which may differ in shape.

    Args:
        volumes: Phase per voxel, 0 or 1, both present in each volume, each of shape (X, Y, Z).
        executor: Executor that describes the volumes in parallel; this process if left out.

    Returns:
        Descriptors in the order of `DESCRIPTOR_NAMES`, shape (N, 132).
    """
    rows = list((map if executor is None else executor.map)(describe_morphology, volumes))
    return np.array(rows).reshape(len(rows), len(DESCRIPTOR_NAMES))


def describe_morphology(volume: ArrayLike) -> NDArray[np.float64]:
    """Descriptors of the morphology of a volume, all dimensionless.

    - surface: share of the interface's faces that are normal to an axis;
    - two-point: normalised autocorrelation (S2 - f²) / (f - f²) along the axis at multiples of the
      correlation length, up to half the edge, and its least value;
    - path: lineal path along the axis divided by the share of the phase, at multiples of its mean chord;
    - chord: coefficient of variation of the chords along the axis, 0 where no chord ends;
    - shell: mean and standard deviation of the autocorrelation over all lags of about a given length;
    - spectrum: logarithm of the effective number of Fourier modes per cube of the correlation length, and
      share of the power in the strongest modes, as many as cubes of a given edge fit into the volume, at
      least two;
    - distance: from the voxels of a phase to the other phase: mean relative to the mean chord, quantiles
      relative to the mean, coefficient of variation and skewness;
    - euler: inverse hyperbolic sine of the Euler number per cube of the mean chord, voxels as closed cubes;
    - largest, percolation, clusters: share of the largest cluster, number of axes along which a cluster
      percolates, logarithm of one plus the number of clusters per cube of the mean chord;
    - pattern: share of one kind of 2x2x2 voxels among all of these that have both phases;
    - local: mean and quantiles over the voxels of a phase of the largest and of the least eigenvalue of the
      structure tensor about them, relative to its trace: interfaces near a disc are normal to one direction,
      near a fibre to two, around a particle to all three (Bigün & Granlund 1987; Knutsson 1989).

    Args:
        volume: Phase per voxel, 0 or 1, both present, shape (X, Y, Z).

    Returns:
        Descriptors in the order of `DESCRIPTOR_NAMES`, shape (132,).

    Raises:
        ValueError: The array is no two-phase volume or has a single phase.
    """
    field = as_two_phase(volume)
    fraction = volume_fraction(field)
    if fraction in (0.0, 1.0):
        raise ValueError("expected a volume of both phases, got a single one")
    faces = [np.count_nonzero(field != np.roll(field, 1, axis)) for axis in range(3)]
    unlike = sum(faces) / (3.0 * field.size)
    length = 2.0 * fraction * (1.0 - fraction) / unlike  # correlation length [voxel]
    chords = (2.0 * (1.0 - fraction) / unlike, 2.0 * fraction / unlike)  # mean chords [voxel]

    correlation = _autocorrelation(field, fraction)
    paths = [np.rint(lineal_path(field, phase) * field.size) for phase in (0, 1)]
    axes = sorted(
        [faces[axis] / sum(faces)]
        + _along_axis(correlation, axis, length)
        + [value for path, chord in zip(paths, chords, strict=True) for value in _segments(path[axis], chord)]
        + [_chord_variation(path[axis, : field.shape[axis]]) for path in paths]
        for axis in range(3)
    )[::-1]
    row = [value for along in axes for value in along]
    row += _shells(correlation, length) + _spectrum(field, fraction, length)
    patterns = _patterns(field)
    for phase, chord in enumerate(chords):
        cubes = field.size / chord**3
        euler = float(patterns @ _euler_shares(phase))
        clusters = connectivity(field, phase)
        row += [*_distances(field == phase, chord), float(np.arcsinh(euler / cubes)), clusters.largest]
        row += [float(sum(clusters.percolates)), float(np.log1p(clusters.count / cubes))]
    shares = np.bincount(_ORBITS, patterns, _ORBIT_COUNT)[_MIXED_ORBITS]
    return np.array([*row, *(shares / shares.sum()), *_local_directions(field, length)])


def phase_distances(inside: ArrayLike) -> NDArray[np.float64]:
    """Distance of each voxel of a phase to the nearest voxel of the other, over periodic faces.

    Args:
        inside: Whether a voxel is of the phase, shape (X, Y, Z); not all are.

    Returns:
        Distances between voxel centres [voxel], 0 outside the phase, shape (X, Y, Z).
    """
    mask = np.asarray(inside, dtype=bool)
    farthest = np.ceil(np.max(np.asarray(ndimage.distance_transform_edt(mask))))  # over all faces it is less
    widths = [int(min(farthest, edge // 2)) for edge in mask.shape]
    padded = np.pad(mask, [(width, width) for width in widths], mode="wrap")
    inner = tuple(slice(width, width + edge) for width, edge in zip(widths, mask.shape, strict=True))
    return np.asarray(ndimage.distance_transform_edt(padded))[inner]


def _autocorrelation(field: NDArray[np.uint8], fraction: float) -> NDArray[np.float64]:
    """Normalised autocorrelation at all lags, from whole numbers of pairs of voxels."""
    pairs = np.rint(two_point_correlation(field) * field.size)
    return (pairs / field.size - fraction**2) / (fraction - fraction**2)


def _along_axis(correlation: NDArray[np.float64], axis: int, length: float) -> list[float]:
    half = correlation.shape[axis] // 2
    line = np.moveaxis(correlation, axis, 0)[: half + 1, 0, 0]
    values = np.interp(np.array(_LAGS) * length, np.arange(half + 1), line)
    return [*values.tolist(), float(line.min())]


def _segments(path: NDArray[np.float64], chord: float) -> list[float]:
    """Lineal path of one axis [voxels] at multiples of the mean chord, divided by its first value."""
    return (np.interp(np.array(_PATHS) * chord, np.arange(len(path)), path) / path[0]).tolist()


def _chord_variation(path: NDArray[np.float64]) -> float:
    """Coefficient of variation of the chords of one axis; the path is the sum of max(chord - step, 0)."""
    ending = path - path[-1]  # without the chords that never end
    if ending[0] == 0.0:
        return 0.0
    count = ending[0] - ending[1] if len(ending) > 1 else ending[0]
    mean = ending[0] / count
    square = (2.0 * ending.sum() - ending[0]) / count
    return float(np.sqrt(max(square / mean**2 - 1.0, 0.0)))


def _shells(correlation: NDArray[np.float64], length: float) -> list[float]:
    squares = [(edge * fft.fftfreq(edge)) ** 2 for edge in correlation.shape]
    distance = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2]).ravel()
    half = min(correlation.shape) // 2
    shells = []
    for radius in _RADII:
        near = np.abs(distance - min(radius * length, half)) <= 0.5
        shells.append(np.sort(correlation.ravel()[near]))
    return [float(shell.mean()) for shell in shells] + [float(shell.std()) for shell in shells]


def _spectrum(field: NDArray[np.uint8], fraction: float, length: float) -> list[float]:
    power = np.sort((np.abs(np.asarray(fft.fftn(field - fraction))) ** 2).ravel())[::-1]
    power /= power.sum()
    modes = 1.0 / np.square(power).sum()
    counts = [max(2, round(field.size / (edge * length) ** 3)) for edge in _PEAKS]
    return [float(np.log(modes * length**3 / field.size)), *(float(power[:count].sum()) for count in counts)]


def _distances(inside: NDArray[np.bool_], chord: float) -> list[float]:
    distances = np.sort(phase_distances(inside)[inside])
    mean, std = float(distances.mean()), float(distances.std())
    skewness = float(((distances - mean) ** 3).mean()) / std**3 if std > 0.0 else 0.0
    quantiles = np.quantile(distances, _QUANTILES) / mean
    return [mean / chord, *quantiles.tolist(), std / mean, skewness]


def _local_directions(field: NDArray[np.uint8], length: float) -> list[float]:
    """Eigenvalues of the structure tensor: the averaged outer product of gradients of the filtered phase."""
    sharp, wide = max(_SHARP * length, _LEAST_SHARP), _WIDE * length
    smooth = ndimage.gaussian_filter(field.astype(np.float64), sharp, mode="wrap")
    gradient = [np.roll(smooth, -1, axis) - np.roll(smooth, 1, axis) for axis in range(3)]
    tensor = np.empty((*field.shape, 3, 3))
    for first in range(3):
        for second in range(first, 3):
            averaged = ndimage.gaussian_filter(gradient[first] * gradient[second], wide, mode="wrap")
            tensor[..., first, second] = tensor[..., second, first] = averaged
    eigenvalues = np.linalg.eigvalsh(tensor)
    trace = eigenvalues.sum(-1, keepdims=True)
    shares = np.divide(eigenvalues, trace, out=np.full_like(eigenvalues, 1.0 / 3.0), where=trace > _NO_EDGE)
    return [
        value
        for phase in (0, 1)
        for column in (2, 0)
        for inside in [shares[..., column][field == phase]]
        for value in (float(inside.mean()), *np.quantile(inside, _LOCAL).tolist())
    ]


def _patterns(field: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of 2x2x2 cubes of each of the 256 patterns."""
    code = np.zeros(field.shape, np.intp)
    for place, corner in enumerate(_CORNERS):
        code += np.roll(field, corner, (0, 1, 2)).astype(np.intp) << place
    return np.bincount(code.ravel(), minlength=256)


@cache
def _euler_shares(phase: int) -> NDArray[np.float64]:
    """Share of the Euler number of a phase in the node amid each pattern: nodes - edges + faces - cubes.

    An edge has two nodes, a face four and a cube eight.
    """
    shares = np.zeros(256)
    for code in range(256):
        present = [corner for place, corner in enumerate(_CORNERS) if (code >> place) & 1 == phase]
        for free in product((False, True), repeat=3):  # axes along which a cell of the complex extends
            cells = {
                tuple(c for c, extends in zip(corner, free, strict=True) if extends) for corner in present
            }
            shares[code] += len(cells) * (-0.5) ** sum(free)
    return shares
