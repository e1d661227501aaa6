"""Two-phase volumes of a user's file, with how the file was taken."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.readers import MAX_VOXELS

__all__ = ["SPACING_TOLERANCE", "ImportedVolume", "Part", "ReadAs", "to_cubes"]

SPACING_TOLERANCE = 1e-4
"""Largest relative difference of the edges of a voxel that is taken for a cube: scanners round their spacing
[-]."""
_MAX_REPEAT = 8
"""Most cubes that an edge of a voxel is parted into."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A box of a volume."""

    start: tuple[int, int, int]
    """First voxel along x, y, z."""
    shape: tuple[int, int, int]
    """Voxels along x, y, z."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadAs:
    """How a file was taken."""

    file: str
    """Its name."""
    format: str
    """Kind of file."""
    array: str
    """Name of the array in it; empty where there is one without a name."""
    stored_shape: tuple[int, ...]
    """Shape as the array is stored."""
    axes: str
    """Letter of every stored axis: x, y, z, n (volumes), c (component), t (time)."""
    axes_from: str
    """Source of the axes: the file, the user, or a default."""
    flipped: str
    """Axes that were stored backwards and are turned."""
    shape: tuple[int, int, int]
    """Voxels along x, y, z."""
    volumes: int
    """Number of volumes."""
    voxel_size: tuple[float, float, float] | None
    """Edges of a voxel along x, y, z; None where nobody says, and voxels are taken for cubes."""
    unit: str
    """Unit of the voxel size; empty where the file names none."""
    voxel_size_from: str
    """Source of the voxel size: the file, the user, or empty."""
    phases: str
    """Rule by which values became phases, in words."""
    part: Part | None = None
    """Part of the volume that was taken; None for all of it."""
    notes: tuple[str, ...] = ()
    """Further steps, each in a phrase."""

    def to_json(self) -> dict[str, Any]:
        """The description in plain values."""
        return asdict(self)

    def sentence(self) -> str:
        """The description in a line."""
        spacing = "voxels taken for cubes"
        if self.voxel_size is not None:
            edges = " x ".join(f"{edge:.6g}" for edge in self.voxel_size)
            source = f" ({self.voxel_size_from})" if self.voxel_size_from else ""
            spacing = f"voxels of {edges}{f' {self.unit}' if self.unit else ''}{source}"
        parts = [
            f"{self.format}{f', array {self.array}' if self.array else ''} of shape {self.stored_shape}",
            f"axes {self.axes} ({self.axes_from}){f', {self.flipped} turned' if self.flipped else ''}",
            spacing,
            self.phases,
        ]
        if self.part is not None:
            parts.append(f"part {self.part.shape} from {self.part.start}")
        return "; ".join([*parts, *self.notes])


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedVolume:
    """Two-phase volumes of a file."""

    volumes: NDArray[np.uint8]
    """Phase per voxel, 0 or 1, shape (N, X, Y, Z)."""
    read_as: ReadAs
    """How the file was taken."""

    @property
    def volume(self) -> NDArray[np.uint8]:
        """The first volume, shape (X, Y, Z)."""
        return self.volumes[0]

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Edges of a voxel along x, y, z, in the unit of the file; 1 where nobody says."""
        return self.read_as.voxel_size or (1.0, 1.0, 1.0)

    @property
    def cubes(self) -> bool:
        """Whether the voxels are cubes."""
        return max(self.voxel_size) <= min(self.voxel_size) * (1.0 + SPACING_TOLERANCE)


def to_cubes(imported: ImportedVolume, *, max_voxels: int = MAX_VOXELS) -> ImportedVolume:
    """The same volumes in cubes: every voxel is parted along its longer edges.

    Raises:
        InputError: An edge is no multiple of the shortest one, or there would be more than `max_voxels`.
    """
    if imported.cubes:
        return imported
    size = np.array(imported.voxel_size)
    ratios = size / size.min()
    repeats = ratios.round().astype(int)
    if np.abs(ratios - repeats).max() > SPACING_TOLERANCE * _MAX_REPEAT or repeats.max() > _MAX_REPEAT:
        raise InputError(
            f"{imported.read_as.file}: expected voxels whose edges are small multiples of the "
            f"shortest one, to be "
            f"parted into cubes, got {', '.join(f'{edge:g}' for edge in imported.voxel_size)}"
        )
    if imported.volumes.size * int(repeats.prod()) > max_voxels:
        raise InputError(
            f"{imported.read_as.file}: expected at most {max_voxels} voxels after they are "
            f"parted into cubes, got "
            f"{imported.volumes.size * int(repeats.prod())}"
        )
    volumes = imported.volumes
    for axis, count in enumerate(repeats.tolist(), start=1):
        volumes = volumes.repeat(count, axis=axis)
    edge = float(size.min())
    note = f"voxels parted {' x '.join(map(str, repeats.tolist()))} into cubes of {edge:.6g}"
    x, y, z = volumes.shape[1:]
    read_as = replace(
        imported.read_as,
        shape=(x, y, z),
        voxel_size=(edge, edge, edge),
        notes=(*imported.read_as.notes, note),
    )
    return ImportedVolume(volumes=volumes, read_as=read_as)
