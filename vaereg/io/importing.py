"""A file of a user as a two-phase volume, in one order: list, choose, read, labels, threshold, phases, crop.

Whoever imports answers the questions that a file leaves open: `Choices` does it by values that are known
before, as flags of a command line are; `AutomaticChoices` without asking anybody; a page by widgets. How the
file was taken is part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vaereg.errors import InputError
from vaereg.io.imported import SPACING_TOLERANCE, ImportedVolume, Part, ReadAs, to_cubes
from vaereg.io.readers import (
    MAX_VOXELS,
    ArrayFile,
    RawLayout,
    ReadArray,
    Source,
    StoredArray,
    as_volumes,
    open_array,
)
from vaereg.microstructure.segmentation import Segmentation, crop, labels, mirror, otsu_threshold

__all__ = [
    "MIRRORED",
    "AutomaticChoices",
    "Choices",
    "ImportedVolume",
    "Part",
    "ReadAs",
    "import_volume",
    "read_volumes",
    "to_cubes",
]

MIRRORED = "joined with its mirror images along x, y, z (orthotropic)"
"""Note on a volume that was mirrored."""

_Made = TypeVar("_Made")


@dataclass(kw_only=True)
class Choices:
    """Answers to what a file leaves open, known before it is read."""

    raw: RawLayout | None = None
    """Shape and type of a `.raw` file."""
    dataset: str | None = None
    """Name of the array, needed where the file holds several that could be volumes."""
    axes: str | None = None
    """Letter of every stored axis, where the user says so."""
    voxel_size: tuple[float, float, float] | None = None
    """Edges of a voxel along x, y, z, where the user says so."""
    number: int | None = None
    """Volume of several, from 1; None for all."""
    segmentation: Segmentation = field(default_factory=Segmentation)
    """How values become phases."""
    part: Part | None = None
    """Part of the volume; None for all of it."""
    mirror: bool = False
    """Whether the volumes are joined with their mirror images."""
    max_voxels: int = MAX_VOXELS
    """Most voxels that the array, or the mirrored volumes, may have."""

    def choose_raw(self) -> RawLayout | None:
        """Shape and type of a file without a header."""
        return self.raw

    def choose_array(self, arrays: Sequence[StoredArray]) -> str | None:
        """Name of the array that is meant; None for the only one."""
        return self.dataset

    def choose_axes(self, stored: StoredArray | None) -> str | None:
        """Letters of the axes of the array; None for what the file says."""
        return self.axes

    def choose_number(self, count: int) -> int | None:
        """Which volume of several, from 1; None for all."""
        return self.number

    def choose_segmentation(self, values: NDArray[Any], labels: NDArray[Any] | None) -> Segmentation:
        """How values become phases.

        Args:
            values: Shape (N, X, Y, Z).
            labels: Their labels; None where they are grey values.
        """
        return self.segmentation

    def choose_part(self, volume: NDArray[np.uint8]) -> Part | None:
        """Part of a volume of shape (X, Y, Z); None for all of it."""
        return self.part

    def choose_mirror(self, volume: NDArray[np.uint8]) -> bool:
        """Whether a volume of shape (X, Y, Z) is joined with its mirror images."""
        return self.mirror

    def remember(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What a step makes; who imports the same file often may keep it under its key."""
        return make()


class AutomaticChoices(Choices):
    """The first volume, the largest label or Otsu's threshold, without a question."""

    def choose_number(self, count: int) -> int | None:
        """Take the first volume."""
        return 1

    def choose_segmentation(self, values: NDArray[Any], labels: NDArray[Any] | None) -> Segmentation:
        """Take the largest of a few labels as stiff, or cut grey values at Otsu's threshold."""
        if labels is None:
            return Segmentation(threshold="otsu")
        if set(labels.tolist()) <= {0, 1}:
            return Segmentation()
        if len(labels) < 2:
            raise InputError(f"expected two phases, grey values or labels, got the value {labels[0]:g} only")
        return Segmentation(stiff=[labels.max().item()])


def import_volume(
    source: Source,
    choices: Choices | None = None,
    *,
    name: str | None = None,
    kind: str | None = None,
    both_phases: bool = False,
) -> ImportedVolume:
    """Import the volumes of a file.

    Args:
        source: File that is open for reading, its bytes, or the path of a file or of a folder of slices.
        choices: Answers to what the file leaves open.
        name: Name of the file; needed where `source` is no path.
        kind: Suffix of its kind; that of the name if left out.
        both_phases: Whether each volume must hold both phases.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file holds no two-phase volumes of the kind asked for.
    """
    choices = choices or Choices()
    name = name or (str(source) if isinstance(source, Path) else "file")
    raw = choices.choose_raw() if (kind or name.lower()).endswith(".raw") else None

    def opened(act: Callable[[ArrayFile], _Made]) -> _Made:
        with open_array(source, name=name, kind=kind, raw=raw) as file:
            return act(file)

    arrays = choices.remember(("arrays", raw), lambda: opened(lambda file: file.arrays))
    dataset = choices.choose_array(arrays)
    axes = choices.choose_axes(_meant(arrays, dataset))
    array: ReadArray = choices.remember(
        ("values", raw, dataset, axes),
        lambda: opened(lambda file: file.read(dataset, axes=axes, max_voxels=choices.max_voxels)),
    )
    count = len(array.values)
    if array.values.size == 0:
        raise InputError(f"{name}: expected at least one voxel, got shape {array.stored.shape}")
    number = choices.choose_number(count)
    if number is not None and not 1 <= number <= count:
        raise InputError(f"{name}: expected a volume from 1 to {count}, got {number}")
    values = array.values if number is None else array.values[number - 1 : number]
    place = (raw, dataset, axes, number)
    result = choices.remember(("labels", *place), lambda: labels(values))
    segmentation = choices.choose_segmentation(values, result)
    volumes, phases = choices.remember(
        ("phases", *place, repr(segmentation)), lambda: _phases(values, segmentation, name)
    )
    part = choices.choose_part(volumes[0])
    if part is not None:
        volumes = np.stack([crop(volume, part.start, part.shape) for volume in volumes])
    notes = array.stored.notes
    if choices.choose_mirror(volumes[0]):
        if 8 * volumes.size > choices.max_voxels:
            raise InputError(
                f"{name}: expected at most {choices.max_voxels // 8} voxels to mirror, got {volumes.size}"
            )
        volumes, notes = mirror(volumes), (*notes, MIRRORED)
    if number is not None and count > 1:
        notes = (*notes, f"volume {number} of {count}")
    return ImportedVolume(
        volumes=as_volumes(volumes, name=name, both_phases=both_phases),
        read_as=_read_as(array.stored, volumes, phases, part, notes, choices.voxel_size, name),
    )


def read_volumes(
    path: Path,
    *,
    dataset: str | None = None,
    raw: RawLayout | None = None,
    segmentation: Segmentation | None = None,
    cubic: bool = False,
    both_phases: bool = False,
) -> NDArray[np.uint8]:
    """Volumes of a file; see `import_volume`.

    Args:
        path: File, or folder of slices.
        dataset: Name of the array, needed where the file holds several that could be volumes.
        raw: Shape and type of a `.raw` file.
        segmentation: How its values become phases; if left out they must be 0 and 1.
        cubic: Whether X, Y and Z must be equal.
        both_phases: Whether each volume must hold both phases.

    Returns:
        Phase per voxel, 0 or 1, shape (N, X, Y, Z).

    Raises:
        FileNotFoundError: There is no such file.
        InputError: The file holds no two-phase volumes of the kind asked for, or says that its voxels are no
        cubes.
    """
    choices = Choices(dataset=dataset, raw=raw, segmentation=segmentation or Segmentation())
    imported = import_volume(path, choices, both_phases=both_phases)
    if not imported.cubes:
        raise InputError(f"{path}: expected voxels that are cubes, got edges of {imported.voxel_size}")
    return as_volumes(imported.volumes, name=str(path), cubic=cubic)


def _meant(arrays: Sequence[StoredArray], dataset: str | None) -> StoredArray | None:
    """The array of a name, or the only one."""
    named = [array for array in arrays if dataset is None or array.name == dataset]
    usable = [array for array in named if array.usable]
    return usable[0] if len(usable) == 1 else None


def _phases(values: NDArray[Any], segmentation: Segmentation, name: str) -> tuple[NDArray[np.uint8], str]:
    """Phases of values (N, X, Y, Z), and in words how they were made."""
    text = "0 soft, 1 stiff"
    if segmentation.threshold is not None:
        by_otsu = isinstance(segmentation.threshold, str)
        try:
            level = otsu_threshold(values) if by_otsu else segmentation.threshold
        except ValueError as error:
            raise InputError(f"{name}: {error}") from error
        segmentation = replace(segmentation, threshold=level)
        text = f"values above {level:g} stiff{' (Otsu)' if by_otsu else ''}"
    elif segmentation.stiff is not None:
        listed = ", ".join(f"{label:g}" for label in segmentation.stiff)
        text = f"labels {listed} stiff, others soft"
    if segmentation.swap:
        text += ", then swapped"
    try:
        phases = segmentation.apply(values, name=name)
    except ValueError as error:
        raise InputError(str(error)) from error
    try:
        return as_volumes(phases, name=name), text
    except InputError as error:
        if segmentation.threshold is None and segmentation.stiff is None and values.dtype.kind in "iuf":
            raise InputError(
                f"{error}; --threshold makes phases of grey values, --labels of labels"
            ) from error
        raise


def _read_as(
    stored: StoredArray,
    volumes: NDArray[np.uint8],
    phases: str,
    part: Part | None,
    notes: tuple[str, ...],
    voxel_size: tuple[float, float, float] | None,
    name: str,
) -> ReadAs:
    size, source, unit = stored.voxel_size, stored.voxel_size_from, stored.unit
    if voxel_size is not None:
        if size is not None and not np.allclose(size, voxel_size, rtol=SPACING_TOLERANCE):
            notes = (*notes, f"the file says voxels of {' x '.join(f'{edge:g}' for edge in size)}")
        size, source = voxel_size, "the user"
    if size is not None and not all(np.isfinite(edge) and edge > 0.0 for edge in size):
        raise InputError(f"{name}: expected positive edges of a voxel, got {size}")
    x, y, z = volumes.shape[1:]
    return ReadAs(
        file=Path(name).name,
        format=stored.format,
        array=stored.name,
        stored_shape=stored.shape,
        axes=stored.axes,
        axes_from=stored.axes_from,
        flipped=stored.flipped,
        shape=(x, y, z),
        volumes=len(volumes),
        voxel_size=size,
        unit=unit,
        voxel_size_from=source,
        phases=phases,
        part=part,
        notes=notes,
    )
