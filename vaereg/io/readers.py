"""Arrays of users' files: what a file holds, which array is meant, and its numbers along x, y, z.

A file may be anything: its header is checked before its data is read, nothing is ever unpickled, and every
complaint is one line that says what was expected and what came. What a file says of its axes is obeyed.
Dimension letters: N volumes, X Y Z voxels.
"""

import math
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.errors import InputError
from vaereg.io.formats import slices
from vaereg.io.formats.stored import LIMITS, ReadBudget, StoredArray, bounded
from vaereg.io.kinds import KINDS, SUFFIXES, RawLayout, check_start
from vaereg.microstructure.volume import as_two_phase

__all__ = [
    "MAX_VOXELS",
    "SUFFIXES",
    "ArrayFile",
    "RawLayout",
    "ReadArray",
    "Source",
    "StoredArray",
    "as_volumes",
    "choose_array",
    "list_arrays",
    "open_array",
    "read_array",
    "read_npy",
]

MAX_VOXELS = LIMITS.voxels
"""Most voxels that a file may hold, 512³."""

Source = BinaryIO | bytes | Path
"""A file that is open for reading and seekable, its bytes, or the path of a file or of a folder of slices."""

_OWN_NAME = "microstructures"
_SHOWN = 200
_FOLDER = "folder"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadArray:
    """Numbers of a file along x, y, z."""

    values: NDArray[Any]
    """Shape (N, X, Y, Z)."""
    single: bool
    """Whether the file has one volume without an axis for several."""
    stored: StoredArray
    """Description of the array by the file, with the axes as they were taken."""


class ArrayFile:
    """A file that is open, with what it holds."""

    def __init__(
        self, stream: BinaryIO | Path, kind: str, budget: ReadBudget, arrays: list[StoredArray]
    ) -> None:
        self._stream, self._kind, self._budget = stream, kind, budget
        self.arrays = arrays
        """Its arrays, their data unread."""

    @property
    def name(self) -> str:
        """Name of the file."""
        return self._budget.name

    def read(
        self, dataset: str | None = None, *, axes: str | None = None, max_voxels: int = MAX_VOXELS
    ) -> ReadArray:
        """Read one of the arrays.

        Args:
            dataset: Name of the array, where there are several that could be volumes.
            axes: Letter of every axis as it is stored, where the user says so: x, y, z, and n for several
            volumes
                or c for a single component; what the file says counts if left out.
            max_voxels: Most numbers that the array may have.

        Raises:
            InputError: There is no such array; it is damaged or truncated, holds anything but finite numbers,
            declares
                more than `max_voxels` of them, or more than one channel or time.
        """
        name = self.name
        stored = choose_array(self.arrays, dataset, name=name)
        where = f"{name}: {stored.name}" if stored.name else name
        if stored.problem and not (axes and "images declared" not in stored.problem):
            raise InputError(f"{where}: {stored.problem}")
        _check_header(stored, max_voxels, where)
        stored = _taken(stored, axes, where)
        if isinstance(self._stream, Path):
            values = slices.read_slices(self._stream, stored, budget=self._budget)
        else:
            self._stream.seek(0)
            values = KINDS[self._kind].read_array(self._stream, stored, budget=self._budget)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(
                f"{where}: expected finite numbers, got values that are not finite (NaN or infinity)"
            )
        return ReadArray(values=_oriented(values, stored), single="n" not in stored.axes, stored=stored)


@contextmanager
def open_array(
    source: Source,
    *,
    name: str,
    kind: str | None = None,
    raw: RawLayout | None = None,
) -> Generator[ArrayFile, None, None]:
    """Open a file and list its arrays, their data unread.

    Args:
        source: The file.
        name: Its name; also what to call it in errors.
        kind: One of `SUFFIXES`; that of `name` if left out.
        raw: Shape and type of a `.raw` file.

    Raises:
        InputError: The file is of none of the kinds that are read, or is damaged.
        FileNotFoundError: There is no such file.
    """
    if not isinstance(source, Path):
        stream = BytesIO(source) if isinstance(source, bytes) else source
        yield _opened(stream, name, _suffix(name, kind), raw, None)
    elif source.is_dir():
        budget = ReadBudget(name, 0)
        yield ArrayFile(source, _FOLDER, budget, slices.list_slices(source, budget=budget))
    elif source.is_file():
        suffix = _suffix(name, kind)
        beside = _data_beside(source, name) if suffix == ".mhd" else None
        with source.open("rb") as stream:
            yield _opened(stream, name, suffix, raw, beside)
    else:
        raise FileNotFoundError(f"expected a file of volumes or a folder of slices, got no file at {source}")


def _opened(
    stream: BinaryIO, name: str, suffix: str, raw: RawLayout | None, beside: Path | None
) -> ArrayFile:
    check_start(stream, suffix, name)
    budget = ReadBudget(name, stream.seek(0, 2))
    stream.seek(0)
    counted = bounded(stream, budget, beside=beside)
    options = {"raw": raw} if suffix == ".raw" else {}
    return ArrayFile(counted, suffix, budget, KINDS[suffix].list_arrays(counted, budget=budget, **options))


def list_arrays(
    file: BinaryIO | bytes, *, name: str, kind: str | None = None, raw: RawLayout | None = None
) -> list[StoredArray]:
    """Arrays of a file, their data unread; see `open_array`."""
    with open_array(file, name=name, kind=kind, raw=raw) as opened:
        return opened.arrays


def choose_array(arrays: Sequence[StoredArray], dataset: str | None, *, name: str) -> StoredArray:
    """The array of a file that is meant: the one that is named, or the only one that could be a volume.

    Of this program's own files, which hold other arrays too, it is `microstructures`.

    Raises:
        InputError: There is none, or more than one.
    """
    listed = ", ".join(f"{array.name} {array.shape}" for array in arrays if array.usable)
    if dataset is not None:
        named = [array for array in arrays if array.name in (dataset, dataset.strip("/"))]
        named = named or [array for array in arrays if getattr(array.source, "name", None) == dataset]
        if len(named) == 1:
            return named[0]
        raise InputError(f"{name}: expected an array {dataset!r}, got {_short(listed) or 'no volume'}")
    if len(arrays) == 1:
        return arrays[0]
    usable = [array for array in arrays if array.usable]
    usable = [array for array in usable if array.name == _OWN_NAME] or usable
    if len(usable) == 1:
        return usable[0]
    if not usable:
        names = ", ".join(f"{array.name} {array.shape}" for array in arrays)
        raise InputError(
            f"{name}: expected an array of shape (X, Y, Z) or (N, X, Y, Z), got {_short(names) or 'no array'}"
        )
    raise InputError(f"{name}: expected the name of one of its arrays, got none: {_short(listed)}")


def read_array(
    file: Source,
    *,
    name: str,
    dataset: str | None = None,
    kind: str | None = None,
    raw: RawLayout | None = None,
    axes: str | None = None,
    max_voxels: int = MAX_VOXELS,
) -> NDArray[Any]:
    """Numbers of one array of a file along x, y, z: shape (X, Y, Z), or (N, X, Y, Z) of several volumes.

    The arguments are those of `open_array` and `ArrayFile.read`, and so are the errors.
    """
    with open_array(file, name=name, kind=kind, raw=raw) as opened:
        array = opened.read(dataset, axes=axes, max_voxels=max_voxels)
    return array.values[0] if array.single else array.values


def read_npy(file: BinaryIO | bytes, *, name: str) -> NDArray[Any]:
    """Read the array of a NumPy file; see `read_array`."""
    return read_array(file, name=name, kind=".npy")


def as_volumes(
    array: ArrayLike, *, name: str, cubic: bool = False, both_phases: bool = False
) -> NDArray[np.uint8]:
    """Check that an array holds one or several two-phase volumes.

    Args:
        array: Phase per voxel, exactly 0 or 1, shape (X, Y, Z) or (N, X, Y, Z).
        name: What to call the array in errors.
        cubic: Whether X, Y and Z must be equal.
        both_phases: Whether each volume must hold both phases.

    Returns:
        Phase per voxel, 0 or 1, shape (N, X, Y, Z).

    Raises:
        InputError: The array holds no two-phase volumes of the kind asked for.
    """
    stack = np.asarray(array)
    if stack.ndim not in (3, 4):
        raise InputError(f"{name}: expected shape (X, Y, Z) or (N, X, Y, Z), got {stack.shape}")
    if stack.size == 0:
        raise InputError(f"{name}: expected at least one voxel, got shape {stack.shape}")
    if cubic and len(set(stack.shape[-3:])) != 1:
        raise InputError(f"{name}: expected cubic volumes of equal X, Y and Z, got shape {stack.shape}")
    single = stack.ndim == 3 or len(stack) == 1
    volumes = []
    for index, volume in enumerate(stack[None] if stack.ndim == 3 else stack):
        where = name if single else f"{name}, volume {index}"
        try:
            volumes.append(as_two_phase(volume))
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
        if both_phases and volumes[-1].min() == volumes[-1].max():
            phase = "stiff" if volumes[-1].min() else "soft"
            raise InputError(f"{where}: expected both phases, got {phase} voxels only")
    return np.stack(volumes)


def _taken(stored: StoredArray, axes: str | None, where: str) -> StoredArray:
    """The array with the axes that count: those of the user, of the file, or the order of the array."""
    shape = stored.shape
    if axes is not None:
        letters = axes.lower()
        if not set("xyz") <= set(letters) <= set("xyznct") or len(set(letters)) != len(letters):
            raise InputError(f"expected axes such as zyx or nxyz, each of x, y, z once, got {axes!r}")
        if stored.axes and stored.axes != letters and len(shape) == len(letters):
            stored = replace(stored, notes=(*stored.notes, f"the file says {stored.axes}"))
        if len(letters) < len(shape):  # axes of length 1 need no letter
            shape = tuple(length for length in shape if length > 1)
        stored = replace(stored, shape=shape, axes=letters, axes_from="the user", flipped="")
    elif not stored.axes:
        if len(shape) not in (3, 4):
            raise InputError(f"{where}: expected shape (X, Y, Z) or (N, X, Y, Z), got {shape}")
        if len(shape) == 4 and shape[3] == 1 and shape[0] > 1:
            stored = replace(stored, axes="xyzc", axes_from="a last axis of length 1 is a component")
        else:
            stored = replace(stored, axes="nxyz"[-len(shape) :], axes_from="order of the array")
    if len(stored.axes) != len(shape):
        raise InputError(f"{where}: expected axes for shape {shape}, got {stored.axes!r}")
    if not set("xyz") <= set(stored.axes):
        raise InputError(f"{where}: expected axes x, y and z, got {stored.axes!r}")
    for axis, length in zip(stored.axes, shape, strict=True):
        if axis not in "xyzn" and length > 1:
            title = {"c": "channel", "t": "time"}.get(axis, f"place along the axis {axis!r}")
            raise InputError(
                f"{where}: expected one {title}, got {length} (axes {stored.axes}; --axes says what they are)"
            )
    return stored


def _oriented(values: NDArray[Any], stored: StoredArray) -> NDArray[Any]:
    """The array along n, x, y, z."""
    single = [place for place, axis in enumerate(stored.axes) if axis not in "xyzn"]
    axes = [axis for axis in stored.axes if axis in "xyzn"]
    values = values.reshape(stored.shape).squeeze(tuple(single))
    if "n" not in axes:
        values, axes = values[None], ["n", *axes]
    values = values.transpose([axes.index(axis) for axis in "nxyz"])
    backwards = tuple("nxyz".index(axis) for axis in stored.flipped)
    return np.flip(values, backwards) if backwards else values


def _suffix(name: str, kind: str | None) -> str:
    suffix = (kind or Path(name).suffix).lower()
    if suffix not in KINDS:
        raise InputError(f"{name}: expected a file of {', '.join(SUFFIXES)}, got {suffix or 'no suffix'!r}")
    return suffix


def _data_beside(path: Path, name: str) -> Path | None:
    """The file of the numbers of an .mhd file, which lies in the same folder."""
    with path.open("rb") as file:
        header = file.read(2**16).decode("latin1")
    result = re.search(r"(?im)^ElementDataFile\s*=\s*(.*?)\s*$", header)
    if result is None or result.group(1).upper() == "LOCAL":
        return None
    data = path.parent / result.group(1)
    if Path(result.group(1)).name != result.group(1) or not data.is_file():
        raise InputError(
            f"{name}: expected its data in a file of the same folder, got {result.group(1)[:60]!r}"
        )
    return data


def _check_header(stored: StoredArray, max_voxels: int, where: str) -> None:
    if stored.dtype.hasobject:
        raise InputError(f"{where}: expected numbers, got pickled Python objects")
    if stored.dtype.kind not in "biuf":
        raise InputError(f"{where}: expected boolean, integer or real numbers, got type {stored.dtype}")
    if math.prod(stored.shape) > max_voxels:
        raise InputError(f"{where}: expected at most {max_voxels} voxels, got shape {stored.shape}")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
