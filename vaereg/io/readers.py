"""Files of users as two-phase volumes.

A file may be anything: its header is checked before its data is read, nothing is ever unpickled, and every
complaint is one line that says what was expected and what came. Dimension letters: N volumes, X Y Z voxels.
"""

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaereg.io import formats, matlab, vti
from vaereg.microstructure.segmentation import Segmentation
from vaereg.microstructure.volume import as_two_phase

__all__ = [
    "MAX_VOXELS",
    "SUFFIXES",
    "ArrayInfo",
    "RawLayout",
    "as_volumes",
    "choose_array",
    "list_arrays",
    "read_array",
    "read_npy",
    "read_volumes",
]

MAX_VOXELS = 2**27
"""Most voxels that a file may hold, 512³."""
SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".tif", ".tiff", ".vti", ".mat", ".raw")
"""Kinds of files that are read."""

_OWN_NAME = "microstructures"
_MAX_FILE = 2**32
_SHOWN = 200
_PICKLE = b"\x80"
_STARTS = {
    b"\x93NUMPY": "a NumPy file (.npy)",
    b"PK\x03\x04": "a zip archive (is it an .npz file?)",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (.h5)",
    b"II*\0": "a TIFF file (.tif)",
    b"MM\0*": "a TIFF file (.tif)",
    b"II+\0": "a TIFF file (.tif)",
    b"MM\0+": "a TIFF file (.tif)",
    b"MATLAB 5.0 MAT-file": "a MATLAB file (.mat)",
    b"MATLAB 7.3 MAT-file": "a MATLAB file (.mat)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayInfo:
    """An array of a file, as far as its header tells."""

    name: str
    """Its name in the file, in printable characters; empty where the file has one array without a name."""
    shape: tuple[int, ...]
    dtype: np.dtype
    source: Any
    """What finds it in the file."""

    @property
    def usable(self) -> bool:
        """Whether it could be a volume (X, Y, Z) or several (N, X, Y, Z)."""
        return self.dtype.kind in "biuf" and len(self.shape) in (3, 4) and math.prod(self.shape) > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RawLayout:
    """What a file without a header holds, in C order: the last axis runs fastest."""

    shape: tuple[int, ...]
    """(X, Y, Z) or (N, X, Y, Z)."""
    dtype: str = "uint8"
    """NumPy's name of the type, with `<` or `>` in front for a byte order."""

    def __post_init__(self) -> None:
        if len(self.shape) not in (3, 4) or min(self.shape) < 1:
            raise ValueError(f"expected a shape X,Y,Z or N,X,Y,Z of positive lengths, got {self.shape}")
        try:
            kind = np.dtype(self.dtype).kind
        except TypeError:
            kind = ""
        if not kind or kind not in "biuf":
            raise ValueError(f"expected a type such as uint8, uint16 or float32, got {self.dtype!r}")


def read_volumes(
    path: Path,
    *,
    dataset: str | None = None,
    raw: RawLayout | None = None,
    segmentation: Segmentation | None = None,
    cubic: bool = True,
    both_phases: bool = False,
) -> NDArray[np.uint8]:
    """Read the volumes of a file.

    Args:
        path: File of one of `SUFFIXES` that holds an array of shape (X, Y, Z) or (N, X, Y, Z).
        dataset: Name of the array, needed where the file holds several that could be volumes.
        raw: Shape and type of a `.raw` file.
        segmentation: How its values become phases; if left out they must be 0 and 1.
        cubic: Whether X, Y and Z must be equal.
        both_phases: Whether each volume must hold both phases.

    Returns:
        Phase per voxel, 0 or 1, shape (N, X, Y, Z).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds no two-phase volumes of the kind asked for.
    """
    if not path.is_file():
        raise FileNotFoundError(f"expected a file of volumes, got no file at {path}")
    with path.open("rb") as file:
        array = read_array(file, name=str(path), dataset=dataset, raw=raw)
    if segmentation is not None:
        array = segmentation.apply(array, name=str(path))
    return as_volumes(array, name=str(path), cubic=cubic, both_phases=both_phases)


def list_arrays(
    file: BinaryIO | bytes, *, name: str, kind: str | None = None, raw: RawLayout | None = None
) -> list[ArrayInfo]:
    """What arrays a file holds, its data unread.

    Args:
        file: The file, open for reading and seekable, or its bytes.
        name: Its name; also what to call it in errors.
        kind: One of `SUFFIXES`; that of `name` if left out.
        raw: Shape and type of a `.raw` file.

    Raises:
        ValueError: The file is of none of the kinds that are read, or is damaged.
    """
    stream = BytesIO(file) if isinstance(file, bytes) else file
    suffix = _kind(name, kind)
    _check_start(stream, suffix, name)
    if suffix == ".npy":
        _, shape, dtype = formats.list_npy(stream, name=name)
        return [_info("", shape, dtype)]
    if suffix == ".npz":
        return [_info(*header) for header in formats.list_npz(stream, name=name)]
    if suffix in (".h5", ".hdf5") or (suffix == ".mat" and _is_hdf5(stream)):
        return [_info(*header) for header in formats.list_hdf5(stream, name=name, reverse=suffix == ".mat")]
    if suffix in (".tif", ".tiff"):
        _, shape, dtype = formats.list_tiff(stream, name=name)
        return [_info("", shape, dtype)]
    if suffix == ".raw":
        if raw is None:
            raise ValueError(f"{name}: expected the shape of a file without a header, got none")
        return [_info("", raw.shape, np.dtype(raw.dtype))]
    content = stream.read()
    if suffix == ".mat":
        found = matlab.list_mat(content, name=name)
        return [_info(one.name, one.shape, one.dtype, one) for one in found]
    image = vti.list_vti(content, name=name)
    return [
        _info(one.name, one.shape, one.dtype, (image, one)) for one in image.arrays if one.components == 1
    ]


def choose_array(arrays: Sequence[ArrayInfo], dataset: str | None, *, name: str) -> ArrayInfo:
    """The array of a file that is meant: the one that is named, or the only one that could be a volume.

    Of this program's own files, which hold other arrays too, it is `microstructures`.

    Raises:
        ValueError: There is none, or more than one.
    """
    listed = ", ".join(f"{one.name} {one.shape}" for one in arrays if one.usable)
    if dataset is not None:
        named = [one for one in arrays if one.name == dataset.strip("/") or one.name == dataset]
        if not named:
            raise ValueError(f"{name}: expected an array {dataset!r}, got {_short(listed) or 'no volume'}")
        return named[0]
    if len(arrays) == 1:
        return arrays[0]
    usable = [one for one in arrays if one.usable]
    usable = [one for one in usable if one.name == _OWN_NAME] or usable
    if len(usable) == 1:
        return usable[0]
    if not usable:
        others = ", ".join(f"{one.name} {one.shape}" for one in arrays)
        raise ValueError(
            f"{name}: expected an array of shape (X, Y, Z) or (N, X, Y, Z), "
            f"got {_short(others) or 'no array'}"
        )
    raise ValueError(f"{name}: expected the name of one of its arrays, got none: {_short(listed)}")


def read_array(
    file: BinaryIO | bytes,
    *,
    name: str,
    dataset: str | None = None,
    kind: str | None = None,
    raw: RawLayout | None = None,
    max_voxels: int = MAX_VOXELS,
) -> NDArray[Any]:
    """Read one array of a file, of any shape and of boolean, integer or real type.

    Args:
        file: The file, open for reading and seekable, or its bytes.
        name: Its name; also what to call it in errors.
        dataset: Name of the array, where there are several.
        kind: One of `SUFFIXES`; that of `name` if left out.
        raw: Shape and type of a `.raw` file.
        max_voxels: Most numbers that the array may have.

    Raises:
        ValueError: The file is of none of the kinds that are read, is damaged or truncated, holds anything
            but finite numbers, or declares more than `max_voxels` of them.
    """
    stream = BytesIO(file) if isinstance(file, bytes) else file
    suffix = _kind(name, kind)
    chosen = choose_array(list_arrays(stream, name=name, kind=suffix, raw=raw), dataset, name=name)
    where = f"{name}: {chosen.name}" if chosen.name else name
    _check_header(chosen, max_voxels, where)
    header = (chosen.source, chosen.shape, chosen.dtype)
    if suffix == ".npy":
        array = formats.read_npy_data(stream, name=name)
    elif suffix == ".npz":
        array = formats.read_npz(stream, header, name=name)
    elif suffix in (".h5", ".hdf5") or (suffix == ".mat" and _is_hdf5(stream)):
        array = formats.read_hdf5(stream, header, name=name, reverse=suffix == ".mat")
    elif suffix in (".tif", ".tiff"):
        array = formats.read_tiff(stream, header, name=name)
    elif suffix == ".raw":
        array = _read_raw(stream, chosen, name)
    else:
        stream.seek(0)
        content = stream.read()
        if suffix == ".mat":
            array = matlab.read_mat(content, chosen.source, name=name)
        else:
            array = vti.read_vti(content, *chosen.source, name=name)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"{where}: expected finite numbers, got values that are not finite (NaN or infinity)"
        )
    return array


def read_npy(file: BinaryIO | bytes, *, name: str) -> NDArray[Any]:
    """Read the array of a NumPy file; see `read_array`."""
    return read_array(file, name=name, kind=".npy")


def as_volumes(
    array: ArrayLike, *, name: str, cubic: bool = True, both_phases: bool = False
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
        ValueError: The array holds no two-phase volumes of the kind asked for.
    """
    stack = np.asarray(array)
    if stack.ndim not in (3, 4):
        raise ValueError(f"{name}: expected shape (X, Y, Z) or (N, X, Y, Z), got {stack.shape}")
    if stack.size == 0:
        raise ValueError(f"{name}: expected at least one voxel, got shape {stack.shape}")
    if cubic and len(set(stack.shape[-3:])) != 1:
        raise ValueError(f"{name}: expected cubic volumes of equal X, Y and Z, got shape {stack.shape}")
    single = stack.ndim == 3
    volumes = []
    for index, volume in enumerate(stack[None] if single else stack):
        where = name if single else f"{name}, volume {index}"
        try:
            volumes.append(as_two_phase(volume))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if both_phases and volumes[-1].min() == volumes[-1].max():
            phase = "stiff" if volumes[-1].min() else "soft"
            raise ValueError(f"{where}: expected both phases, got {phase} voxels only")
    return np.stack(volumes)


def _kind(name: str, kind: str | None) -> str:
    suffix = (kind or Path(name).suffix).lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{name}: expected a file of {', '.join(SUFFIXES)}, got {suffix or 'no suffix'!r}")
    return suffix


def _check_start(stream: BinaryIO, suffix: str, name: str) -> None:
    """The file begins as its kind does; the stream is left at its start."""
    size = stream.seek(0, 2)
    if size > _MAX_FILE:
        raise ValueError(f"{name}: expected a file of at most {_MAX_FILE >> 30} GB, got {size} bytes")
    stream.seek(0)
    start = stream.read(32)
    stream.seek(0)
    starts = {
        ".npy": (b"\x93NUMPY",),
        ".npz": (b"PK\x03\x04",),
        ".h5": (b"\x89HDF\r\n\x1a\n",),
        ".hdf5": (b"\x89HDF\r\n\x1a\n",),
        ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        ".mat": (b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file", b"\x89HDF\r\n\x1a\n"),
        ".vti": (b"<", b"\xef\xbb\xbf<"),
        ".raw": (b"",),
    }
    if suffix == ".npy" and start.startswith(b"\x93NUMPY") and len(start) < 8:
        raise ValueError(f"{name}: expected the header of a NumPy file, got {size} bytes (file truncated)")
    if not start.startswith(starts[suffix]) or size == 0:
        titles = {
            ".npy": "a NumPy file (.npy)",
            ".npz": "a NumPy archive (.npz)",
            ".vti": "VTK image data (.vti)",
            ".h5": "an HDF5 file (.h5)",
            ".hdf5": "an HDF5 file (.hdf5)",
            ".mat": "a MATLAB file (.mat)",
        }
        title = titles.get(suffix, "a TIFF file (.tif)" if suffix != ".raw" else "a file of numbers (.raw)")
        raise ValueError(f"{name}: expected {title}, got {_describe(stream)}")


def _describe(stream: BinaryIO) -> str:
    stream.seek(0)
    start = stream.read(32)
    for known, title in _STARTS.items():
        if start.startswith(known):
            return title
    stream.seek(0)
    if zipfile.is_zipfile(stream):
        return "a zip archive (is it an .npz file?)"
    if not start:
        return "an empty file"
    return (
        "a pickle, which is never opened"
        if start.startswith(_PICKLE)
        else f"a file that starts with {start[:8]!r}"
    )


def _check_header(info: ArrayInfo, max_voxels: int, where: str) -> None:
    if info.dtype.hasobject:
        raise ValueError(f"{where}: expected numbers, got pickled Python objects")
    if info.dtype.kind not in "biuf":
        raise ValueError(f"{where}: expected boolean, integer or real numbers, got type {info.dtype}")
    if math.prod(info.shape) > max_voxels:
        raise ValueError(f"{where}: expected at most {max_voxels} voxels, got shape {info.shape}")


def _read_raw(stream: BinaryIO, info: ArrayInfo, name: str) -> NDArray[Any]:
    expected, present = math.prod(info.shape) * info.dtype.itemsize, stream.seek(0, 2)
    if present != expected:
        raise ValueError(
            f"{name}: expected {expected} bytes for shape {info.shape} of {info.dtype}, got {present}"
        )
    stream.seek(0)
    array = np.frombuffer(stream.read(), dtype=info.dtype).reshape(info.shape)
    if info.dtype.kind == "b":  # any byte but 0 and 1 is no truth value
        return array.view(np.uint8)
    return array


def _is_hdf5(stream: BinaryIO) -> bool:
    stream.seek(0)
    start = stream.read(19)
    stream.seek(0)
    return start.startswith((b"MATLAB 7.3", b"\x89HDF"))


def _info(name: str, shape: tuple[int, ...], dtype: np.dtype, source: object = None) -> ArrayInfo:
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name
    )
    return ArrayInfo(
        name=shown[:_SHOWN],
        shape=tuple(shape),
        dtype=np.dtype(dtype),
        source=name if source is None else source,
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
