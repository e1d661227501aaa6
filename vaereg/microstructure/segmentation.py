"""Grey values and labels to two phases, and what a file may need before it is a periodic cell.

Threshold, merging of labels, order of the phases, crop, blocks, and how far a volume is from being periodic.
Dimension letters: N volumes, X Y Z voxels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError

__all__ = [
    "MAX_LABELS",
    "FaceMismatch",
    "Segmentation",
    "crop",
    "face_mismatch",
    "histogram",
    "labels",
    "mirror",
    "otsu_threshold",
    "split_blocks",
]

MAX_LABELS = 64
"""Up to so many different integers are taken for labels, more for grey values: a scan of eight bits has 100
to 256."""
_MAX_REAL_LABELS = 16
"""The same of real numbers."""
_BINS = 256
_NOISE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Segmentation:
    """How the values of a file become phases."""

    threshold: float | str | None = None
    """Larger values are stiff; "otsu" is Otsu's choice; None where `stiff` decides or they are 0 and 1."""
    stiff: Sequence[float] | None = None
    """Labels that are stiff, all others being soft."""
    swap: bool = False
    """Whether the phases then change places."""

    def __post_init__(self) -> None:
        if self.threshold is not None and self.stiff is not None:
            raise InputError("expected a threshold or the labels that are stiff, got both")
        if isinstance(self.threshold, str) and self.threshold != "otsu":
            raise InputError(f"expected a threshold that is a number or otsu, got {self.threshold!r}")
        if isinstance(self.threshold, float | int) and not np.isfinite(self.threshold):
            raise InputError(f"expected a finite threshold, got {self.threshold}")

    def apply(self, array: ArrayLike, *, name: str) -> NDArray[Any]:
        """Phases 0 and 1 of the values of a file, of its shape; the values themselves where nothing is asked.

        Args:
            array: Values, of any shape.
            name: What to call the file in errors.

        Raises:
            InputError: All voxels become of one phase; a label is not in the file; values other than 0 and 1
                are to be swapped.
        """
        values = np.asarray(array)
        if self.threshold is not None:
            level = otsu_threshold(values) if isinstance(self.threshold, str) else float(self.threshold)
            phases = (values > level).astype(np.uint8)
            if phases.size and phases.min() == phases.max():
                raise InputError(
                    f"{name}: expected a threshold within its values {values.min():g} to {values.max():g}, "
                    f"got {level:g}"
                )
        elif self.stiff is not None:
            missing_labels = [label for label in self.stiff if not (values == label).any()]
            if missing_labels:
                raise InputError(
                    f"{name}: expected labels of the file, got {missing_labels[0]:g}, which is not in it"
                )
            # not `isin`, which would compare single precision values with labels in double precision
            phases = np.logical_or.reduce([values == label for label in self.stiff]).astype(np.uint8)
        else:
            phases = values
        if not self.swap:
            return phases
        if phases.size and not np.isin(phases, (0, 1)).all():
            raise InputError(f"{name}: expected phases 0 and 1 to swap, got other values as well")
        return (1 - phases.astype(np.uint8)).astype(np.uint8)


def labels(array: ArrayLike) -> NDArray[Any] | None:
    """The different values of an array, ascending; None where there are too many to be labels."""
    flat = np.asarray(array).ravel()
    limit = MAX_LABELS if flat.dtype.kind in "biu" else _MAX_REAL_LABELS
    if len(np.unique(flat[:4096])) > limit:  # most grey values end here
        return None
    result = np.unique(flat)
    return result if len(result) <= limit else None


def histogram(array: ArrayLike, bins: int = _BINS) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Voxels per grey value: counts (bins,) and edges (bins + 1,); integers of few values get a bin each."""
    values = np.asarray(array)
    values = values.astype(np.uint8) if values.dtype == bool else values
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "bui" and high - low < bins:
        edges = np.arange(int(low), int(high) + 2) - 0.5
    else:
        edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    counts, edges = np.histogram(values, edges)
    return counts.astype(np.int64), edges.astype(np.float64)


def otsu_threshold(array: ArrayLike) -> float:
    """Threshold that parts the values best: largest variance between the classes (Otsu 1979,
    doi:10.1109/TSMC.1979.4310076).

    Raises:
        InputError: All values are equal.
    """
    counts, edges = histogram(array)
    centres = edges[:-1] / 2.0 + edges[1:] / 2.0
    if np.count_nonzero(counts) < 2:
        raise InputError(
            f"expected different values to find a threshold, got {centres[counts.argmax()]:g} only"
        )
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    moment = np.cumsum(counts * (centres / np.abs(centres).max()))  # squares of large values stay finite
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = moment[:-1] / below - (moment[-1] - moment[:-1]) / above
        between = np.nan_to_num(below * above * distance**2)
    best = np.flatnonzero(between >= between.max() * (1.0 - 1e-12))  # an empty gap: its middle
    return float(edges[1:-1][best].mean())


def crop(volume: NDArray[Any], start: Sequence[int], shape: Sequence[int]) -> NDArray[Any]:
    """Part of a volume.

    Args:
        volume: Shape (X, Y, Z).
        start: First voxel along each axis.
        shape: Voxels along each axis.

    Raises:
        InputError: The part does not lie within the volume.
    """
    fits = len(start) == len(shape) == volume.ndim and all(
        0 <= first and 0 < length and first + length <= whole
        for first, length, whole in zip(start, shape, volume.shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"expected a part of the volume of shape {volume.shape}, got {tuple(shape)} from {tuple(start)}"
        )
    return volume[tuple(slice(first, first + length) for first, length in zip(start, shape, strict=True))]


def split_blocks(volume: NDArray[Any], edge: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Cubes of `edge` voxels that lie side by side in a volume, what is left over at its far faces left out.

    Returns:
        Blocks (N, edge, edge, edge) and the first voxel of each (N, 3).

    Raises:
        InputError: The volume is smaller than one block.
    """
    counts = [length // edge for length in volume.shape]
    if min(counts) < 1:
        raise InputError(f"expected at least {edge} voxels per edge for a block, got shape {volume.shape}")
    starts = edge * np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 3)
    return np.stack([crop(volume, start.tolist(), [edge] * 3) for start in starts]), starts.astype(np.int64)


def mirror(volumes: NDArray[Any]) -> NDArray[Any]:
    """Volumes (N, X, Y, Z) with their mirror images along x, y, z, shape (N, 2 X, 2 Y, 2 Z).

    Such a cell is periodic without a jump, and orthotropic. Its stiffness is that of the volume between
    rigid, frictionless walls: it lies between those of a uniform stress and a uniform displacement on its
    faces.
    """
    return np.pad(volumes, [(0, 0), *((0, length) for length in volumes.shape[1:])], mode="symmetric")


@dataclass(frozen=True, kw_only=True, slots=True)
class FaceMismatch:
    """How well the opposite faces of a cell fit together, for each axis."""

    faces: NDArray[np.float64]
    """Share of voxels of the first layer that differ from their neighbours in the last, shape (3,) [-]."""
    inside: NDArray[np.float64]
    """Largest such share between two neighbouring layers within the cell, shape (3,) [-]."""

    def words(self) -> str:
        """The same in words."""
        axis = int(self.faces.argmax())
        return (
            f"{100 * self.faces[axis]:.0f} % of the voxels differ between the faces across {'xyz'[axis]}, "
            f"{100 * self.inside[axis]:.0f} % at most between layers inside"
        )

    @property
    def periodic(self) -> bool:
        """Whether the faces fit together about as well as layers inside do."""
        return bool((self.faces <= 1.5 * self.inside + _NOISE).all())


def face_mismatch(volume: ArrayLike) -> FaceMismatch:
    """Compare the seams of a periodic cell with the layers inside it.

    Args:
        volume: Phase per voxel, 0 or 1, shape (X, Y, Z).
    """
    field = np.asarray(volume)
    faces, inside = np.zeros(3), np.zeros(3)
    for axis in range(3):
        layers = np.moveaxis(field, axis, 0).reshape(field.shape[axis], -1)
        faces[axis] = np.mean(layers[0] != layers[-1])
        if len(layers) > 1:
            inside[axis] = (layers[:-1] != layers[1:]).mean(axis=1).max()
    return FaceMismatch(faces=faces, inside=inside)
