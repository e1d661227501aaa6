"""Files of users as two-phase volumes.

A file may be anything: its header is checked before its data is read, nothing is ever unpickled, and every
complaint is one line that says what was expected and what came. Dimension letters: N volumes, X Y Z voxels.
"""

import math
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from vaereg.microstructure import as_two_phase

__all__ = ["MAX_VOXELS", "as_volumes", "read_npy", "read_volumes"]

MAX_VOXELS = 2**27
"""Most voxels that a file may hold, 512³."""

_MAX_HEADER = 10_000
_PICKLE = b"\x80"


def read_volumes(path: Path, *, cubic: bool = True, both_phases: bool = False) -> NDArray[np.uint8]:
    """Read the volumes of a file.

    Args:
        path: `.npy` file of shape (X, Y, Z) or (N, X, Y, Z) that holds 0 and 1.
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
        array = read_npy(file, name=str(path))
    return as_volumes(array, name=str(path), cubic=cubic, both_phases=both_phases)


def read_npy(file: BinaryIO | bytes, *, name: str) -> NDArray[Any]:
    """Read the array of a NumPy file, of any shape and of boolean, integer or real type.

    Args:
        file: The file, open for reading and seekable, or its bytes.
        name: What to call the file in errors.

    Raises:
        ValueError: The file is no NumPy file, is truncated, holds anything but numbers, or declares more than
            `MAX_VOXELS` of them.
    """
    stream = BytesIO(file) if isinstance(file, bytes) else file
    stream.seek(0)
    shape, dtype = _read_header(stream, name)
    if dtype.hasobject:
        raise ValueError(f"{name}: expected numbers, got pickled Python objects")
    if dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected boolean, integer or real numbers, got type {dtype}")
    if math.prod(shape) > MAX_VOXELS:
        raise ValueError(f"{name}: expected at most {MAX_VOXELS} voxels, got shape {shape}")
    start = stream.tell()
    expected, present = math.prod(shape) * dtype.itemsize, stream.seek(0, 2) - start
    if present != expected:
        kind = "truncated" if present < expected else "with more behind it"
        raise ValueError(
            f"{name}: expected {expected} bytes of data for shape {shape}, got {present} (file {kind})"
        )
    stream.seek(0)
    return npy.read_array(stream, allow_pickle=False, max_header_size=_MAX_HEADER)


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


def _read_header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = npy.read_magic(stream)
    except ValueError as error:
        raise ValueError(f"{name}: expected a NumPy file (.npy), got {_describe(stream)}") from error
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(
            f"{name}: expected a NumPy file of version 1.0 or 2.0, got {version[0]}.{version[1]}"
        )
    try:
        shape, _, dtype = readers[version](stream, max_header_size=_MAX_HEADER)
    except Exception as error:  # NumPy evaluates the header as a literal, which fails in many ways
        raise ValueError(f"{name}: expected the header of a NumPy file, got a damaged one") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"{name}: expected lengths of zero or more, got shape {shape}")
    return shape, dtype


def _describe(stream: BinaryIO) -> str:
    stream.seek(0)
    if zipfile.is_zipfile(stream):
        return "a zip archive (is it an .npz file?)"
    stream.seek(0)
    start = stream.read(8)
    if not start:
        return "an empty file"
    return (
        "a pickle, which is never opened"
        if start.startswith(_PICKLE)
        else f"a file that starts with {start!r}"
    )
